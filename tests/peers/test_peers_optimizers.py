"""The same optimizers in optax and torch, and fnnet's inside the loops that people have."""

import catalogue_of_problems as problems
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim

STEPS = 100
LARGEST = 1e-9  # what the largest difference of a parameter may be; `record_property` keeps what it was
RATE = {"quadratic": 0.05, "rosenbrock": 1e-3, "net": 0.05}
every_problem = pytest.mark.parametrize("problem", problems.PROBLEMS)


def with_optax(optax, name, rate):
    """Combinations; the methods by themselves are rows of the parity table."""
    return {
        "clipping": lambda: (
            optim.chain(optim.clip_by_global_norm(0.5), optim.sgd(rate)),
            optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(rate)),
        ),
        "schedule": lambda: (
            optim.adam(optim.schedules.linear_decay(rate, rate / 10, 50)),
            # Optax divides counts in float32 unless it is given a float64.
            optax.adam(lambda t: optax.linear_schedule(rate, rate / 10, 50)(jnp.asarray(t, jnp.float64))),
        ),
    }[name]()


def minimise(optimizer, objective, params):
    """All parameters on the way, in one scan."""

    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(jax.grad(objective)(params), state, params)
        params = jax.tree.map(lambda p, u: p + u, params, updates)
        return (params, state), params

    return jax.jit(lambda p: jax.lax.scan(step, (p, optimizer.init(p)), None, length=STEPS)[1])(params)


def difference(ours, theirs):
    gaps = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), ours, theirs)
    return max(jax.tree.leaves(gaps))


@every_problem
@pytest.mark.parametrize("name", ["clipping", "schedule"])
def test_a_hundred_steps_agree_with_optax(name, problem, record_property):
    optax = pytest.importorskip("optax", reason="optax is a reference and not a dependency")
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        objective, params = problems.PROBLEMS[problem]()
        ours, theirs = (minimise(o, objective, params) for o in with_optax(optax, name, RATE[problem]))
        gap = difference(ours, theirs)
    record_property("largest difference", float(gap))
    assert np.isfinite(gap)
    assert gap <= LARGEST


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_clipping_agrees_with_torch_up_to_its_constant(factor, record_property):
    torch = pytest.importorskip("torch", reason="torch is a reference and not a dependency")
    with jax.enable_x64(True):
        grads = {"a": factor * np.arange(4.0), "b": factor * np.ones((2, 2))}
        tensors = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in grads.values()]
        for tensor, g in zip(tensors, grads.values(), strict=True):
            tensor.grad = torch.tensor(g)
        torch.nn.utils.clip_grad_norm_(tensors, 1.0)
        ours, _ = optim.clip_by_global_norm(1.0).update(jax.tree.map(jnp.asarray, grads), ())
        gap = difference(list(ours.values()), [t.grad.numpy() for t in tensors])
    record_property("largest difference", float(gap))
    assert gap <= 1.1e-6 * max(1, factor)  # torch divides by the norm plus 1e-6


NAMED = [
    "ema_momentum", "normalized_gradient", "lion", "adagrad", "rmsprop", "adadelta", "nadam", "amsgrad", "adamax",
    "radam", "adan", "muon",
]  # fmt: skip
EVERY = {
    "sgd": lambda: optim.sgd(0.1),
    "momentum": lambda: optim.sgd(0.1, 0.9, nesterov=True),
    "adam": lambda: optim.adam(0.1),
    "scheduled": lambda: optim.adam(optim.schedules.linear_decay(0.1, 0.01, 5)),
    "adamw": lambda: optim.adamw(0.1),
    "clip": lambda: optim.clip_by_global_norm(0.1),
    **{name: lambda name=name: getattr(optim, name)(0.1) for name in NAMED},
    "chain": lambda: optim.chain(optim.clip_by_global_norm(0.1), optim.adam(0.1)),
    "clip by value": lambda: optim.chain(optim.clip(0.1), optim.sgd(0.1)),
    "clip by norm": lambda: optim.chain(optim.clip_by_norm(0.1), optim.sgd(0.1)),
    "coupled decay": lambda: optim.chain(optim.add_weight_decay(0.1, optim.matrices), optim.sgd(0.1)),
    "decoupled decay": lambda: optim.decoupled_weight_decay(optim.sgd(0.1), 0.1, optim.matrices),
    "freeze": lambda: optim.chain(optim.sgd(0.1), optim.freeze(optim.matrices)),
    "accumulate": lambda: optim.accumulate(optim.sgd(0.1), 1),
    "ema_parameters": lambda: optim.ema_parameters(optim.adam(0.1), 0.9),
    "skip_nonfinite": lambda: optim.skip_nonfinite(optim.adam(0.1)),
    "partition": lambda: optim.partition({True: optim.adam(0.1), False: optim.sgd(0.1)}, optim.matrices),
}
LOOKING = {
    "newton": lambda: optim.newton(),
    "lbfgs": lambda: optim.lbfgs(),
    "conjugate_gradient": lambda: optim.conjugate_gradient(),
    "line_search_descent": lambda: optim.line_search_descent(0.1),
    "random_search": lambda: optim.random_search(0.1),
    "genetic": lambda: optim.genetic(8),
    "cma_es": lambda: optim.cma_es(0.1),
}
each = pytest.mark.parametrize("name", EVERY)


@each
def test_it_stands_in_an_optax_chain_unchanged(name):
    optax = pytest.importorskip("optax", reason="optax is a reference and not a dependency")
    with jax.numpy_dtype_promotion("standard"):
        objective, params = problems.net(np.float32)
        ours = EVERY[name]()
        chained = optax.chain(optax.identity(), ours, optax.scale(1.0))
        assert difference(minimise(chained, objective, params), minimise(ours, objective, params)) == 0
        wrapped = optax.with_extra_args_support(ours)
        state = wrapped.init(params)
        grads = jax.grad(objective)(params)
        wrapped.update(grads, state, params, value=1.0)


@pytest.mark.parametrize("name", LOOKING)
def test_one_that_looks_at_the_function_stands_there_too_once_optax_is_told_that_it_takes_more(name):
    """optax passes ``value_fn`` and ``key`` on to its own type alone; flax's TrainState passes nothing on."""
    optax = pytest.importorskip("optax", reason="optax is a reference and not a dependency")
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        objective, params = problems.quadratic()
        chained = optax.chain(optax.GradientTransformationExtraArgs(*LOOKING[name]()), optax.scale(1.0))

        @jax.jit
        def step(params, state, key):
            value, grads = jax.value_and_grad(objective)(params)
            updates, state = chained.update(grads, state, params, value=value, value_fn=objective, key=key)
            return optim.apply_updates(params, updates), state, value

        state, values = chained.init(params), []
        for key in jax.random.split(jax.random.key(0), 4):
            params, state, value = step(params, state, key)
            values.append(float(value))
        assert values[-1] < values[0]
        assert (np.diff(values) <= 1e-12).all()


def test_optax_stands_in_an_fnnet_chain_unchanged():
    optax = pytest.importorskip("optax", reason="optax is a reference and not a dependency")
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        objective, params = problems.net()
        mixed = optim.chain(optax.clip_by_global_norm(0.1), optax.scale_by_adam(), optax.scale(-0.1))
        ours = optim.chain(optim.clip_by_global_norm(0.1), optim.adam(0.1))
        assert difference(minimise(mixed, objective, params), minimise(ours, objective, params)) <= LARGEST


@each
def test_it_stands_in_a_flax_train_state_unchanged(name):
    train_state = pytest.importorskip("flax.training.train_state", reason="flax is a reference")
    with jax.numpy_dtype_promotion("standard"):
        objective, params = problems.net(np.float32)
        state = train_state.TrainState.create(apply_fn=None, params=params, tx=EVERY[name]())
        step = jax.jit(lambda s: s.apply_gradients(grads=jax.grad(objective)(s.params)))
        for _ in range(3):
            state = step(state)
        path = minimise(EVERY[name](), objective, params)
        assert difference(state.params, jax.tree.map(lambda leaf: leaf[2], path)) < 1e-6
        assert int(state.step) == 3


@each
def test_it_stands_in_an_equinox_loop_unchanged(name):
    eqx = pytest.importorskip("equinox", reason="equinox is a reference and not a dependency")
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        model = eqx.nn.MLP(3, 1, 4, 1, key=jax.random.key(0))
        x, y = jnp.ones((5, 3)), jnp.zeros((5, 1))
        optimizer = EVERY[name]()
        state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))

        @eqx.filter_value_and_grad
        def loss(model):
            return jnp.mean((jax.vmap(model)(x) - y) ** 2)

        @eqx.filter_jit
        def step(model, state):
            value, grads = loss(model)
            updates, state = optimizer.update(grads, state, eqx.filter(model, eqx.is_inexact_array))
            return eqx.apply_updates(model, updates), state, value

        values = []
        for _ in range(3):
            model, state, value = step(model, state)
            values.append(float(value))
        assert np.isfinite(values).all()
        assert len(set(values)) == 3


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
def test_minimize_takes_optax_pairs_as_they_are(name):
    optax = pytest.importorskip("optax", reason="optax is a reference and not a dependency")
    matrix, target = jnp.diag(jnp.array([1.0, 2.0, 5.0])) + 0.3, jnp.arange(1.0, 4.0)

    def bowl(x):
        return x @ matrix @ x / 2 - target @ x

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        pair = optax.adam(0.1) if name == "adam" else optax.lbfgs()
        result = optim.minimize(bowl, jnp.zeros(3), pair, steps=500, tol=1e-3)
    np.testing.assert_allclose(result.solution, np.linalg.solve(matrix, target), atol=3e-3)
