"""The same schedules, transforms and wrappers in optax and torch."""

import catalogue_of_problems as problems
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import optim
from fnnet.optim import schedules

LARGEST = 1e-9
COUNTS = np.arange(40)


@pytest.fixture
def optax():
    found = pytest.importorskip("optax", reason="optax is a reference and not a dependency")
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield found


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is a reference and not a dependency")


OF_OPTAX = {
    "constant": lambda o: (schedules.constant(0.3), o.constant_schedule(0.3)),
    "linear_decay": lambda o: (schedules.linear_decay(0.3, 0.1, 20), o.linear_schedule(0.3, 0.1, 20)),
    "polynomial": lambda o: (schedules.polynomial(0.3, 0.1, 2.5, 20), o.polynomial_schedule(0.3, 0.1, 2.5, 20)),
    "exponential": lambda o: (schedules.exponential(0.3, 7, 0.6), o.exponential_decay(0.3, 7, 0.6)),
    "step": lambda o: (schedules.step(0.3, 7, 0.6), o.exponential_decay(0.3, 7, 0.6, staircase=True)),
    "piecewise_scaled": lambda o: (
        schedules.piecewise_scaled(0.3, [10, 20], [0.5, 3.0]),
        o.piecewise_constant_schedule(0.3, {10: 0.5, 20: 3.0}),
    ),
    "piecewise": lambda o: (
        schedules.piecewise([10, 20], [0.3, 0.15, 0.45]),
        o.piecewise_constant_schedule(0.3, {10: 0.5, 20: 3.0}),
    ),
    "cosine": lambda o: (schedules.cosine(0.3, 20, 0.1), o.cosine_decay_schedule(0.3, 20, 0.1)),
    "cosine_restarts": lambda o: (
        schedules.cosine_restarts(0.3, 7, 2.0),
        o.join_schedules([o.cosine_decay_schedule(0.3, steps) for steps in (7, 14, 28)], [7, 21]),
    ),
    "one_cycle": lambda o: (schedules.one_cycle(20, 0.3, 0.25), o.cosine_onecycle_schedule(20, 0.3, 0.25)),
    "warm_up": lambda o: (schedules.warm_up(5, 0.3, 0.1), o.warmup_constant_schedule(0.1, 0.3, 5)),
    "warm_up of cosine": lambda o: (
        schedules.warm_up(5, schedules.cosine(0.3, 20), 0.1),
        o.warmup_cosine_decay_schedule(0.1, 0.3, 5, 25),
    ),
    "warm_up of exponential": lambda o: (
        schedules.warm_up(5, schedules.exponential(0.3, 7, 0.6)),
        o.warmup_exponential_decay_schedule(0.0, 0.3, 5, 7, 0.6),
    ),
    "join": lambda o: (
        schedules.join([0.1, schedules.cosine(0.3, 10), schedules.linear_decay(0.2, 0.1, 8)], [5, 15]),
        o.join_schedules(
            [o.constant_schedule(0.1), o.cosine_decay_schedule(0.3, 10), o.linear_schedule(0.2, 0.1, 8)], [5, 15]
        ),
    ),
}


@pytest.mark.parametrize("name", OF_OPTAX)
def test_a_schedule_is_that_of_optax(optax, name, record_property):
    ours, theirs = OF_OPTAX[name](optax)
    expected = np.array([theirs(jnp.asarray(t, jnp.float64)) for t in COUNTS])
    largest = np.abs(np.array([ours(jnp.asarray(t, jnp.float64)) for t in COUNTS]) - expected).max()
    record_property("difference", float(largest))
    assert largest <= LARGEST


OF_TORCH = {
    "constant": lambda s, o: (schedules.constant(0.3), s.ConstantLR(o, 1.0)),
    "linear_decay": lambda s, o: (schedules.linear_decay(0.3, 0.06, 20), s.LinearLR(o, 1.0, 0.2, 20)),
    "polynomial": lambda s, o: (schedules.polynomial(0.3, 0.0, 2.5, 20), s.PolynomialLR(o, 20, 2.5)),
    "exponential": lambda s, o: (schedules.exponential(0.3, 1, 0.9), s.ExponentialLR(o, 0.9)),
    "inverse_time": lambda s, o: (schedules.inverse_time(0.3, 5), s.LambdaLR(o, lambda t: 1 / (1 + t / 5))),
    "step": lambda s, o: (schedules.step(0.3, 7, 0.6), s.StepLR(o, 7, 0.6)),
    "piecewise_scaled": lambda s, o: (
        schedules.piecewise_scaled(0.3, [10, 20], 0.5),
        s.MultiStepLR(o, [10, 20], 0.5),
    ),
    "cosine": lambda s, o: (schedules.cosine(0.3, 39, 0.1), s.CosineAnnealingLR(o, 39, 0.03)),
    "cosine_restarts": lambda s, o: (
        schedules.cosine_restarts(0.3, 6, 2, 0.1),
        s.CosineAnnealingWarmRestarts(o, 6, 2, 0.03),
    ),
    "one_cycle": lambda s, o: (
        schedules.one_cycle(39, 0.3, 12 / 39),
        s.OneCycleLR(o, 0.3, total_steps=40, pct_start=13 / 40, cycle_momentum=False),
    ),
    "warm_up": lambda s, o: (schedules.warm_up(10, 0.3, 0.03), s.LinearLR(o, 0.1, 1.0, 10)),
    "join": lambda s, o: (
        schedules.join([0.03, schedules.exponential(0.3, 1, 0.9)], [10]),
        s.SequentialLR(o, [s.ConstantLR(o, 0.1, 11), s.ExponentialLR(o, 0.9)], [10]),
    ),
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # torch's own, about its calls
@pytest.mark.parametrize("name", OF_TORCH)
def test_a_schedule_is_that_of_torch(torch, name, record_property):
    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=0.3)
    ours, scheduler = OF_TORCH[name](torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in COUNTS:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    with jax.enable_x64(True):
        largest = np.abs(np.array([ours(t) for t in COUNTS]) - np.array(rates)).max()
    record_property("difference", float(largest))
    assert largest <= LARGEST


def labels(params):
    return jax.tree.map(lambda p: "matrix" if p.ndim > 1 else "other", params)


PAIRS = {
    "clip": lambda o: (optim.chain(optim.clip(0.05), optim.sgd(0.1)), o.chain(o.clip(0.05), o.sgd(0.1))),
    "coupled decay": lambda o: (
        optim.chain(optim.add_weight_decay(0.1, optim.matrices), optim.adam(0.1)),
        o.chain(o.add_decayed_weights(0.1, problems.matrices), o.adam(0.1)),
    ),
    "decoupled decay": lambda o: (
        optim.decoupled_weight_decay(optim.adam(0.1), 0.3, optim.matrices),
        o.adamw(0.1, weight_decay=0.3, mask=problems.matrices),
    ),
    "decoupled decay beside momentum": lambda o: (
        optim.decoupled_weight_decay(optim.sgd(0.01, 0.9), 0.3),
        o.chain(o.trace(0.9), o.add_decayed_weights(0.3), o.scale_by_learning_rate(0.01)),
    ),
    "accumulation": lambda o: (
        optim.accumulate(optim.adam(0.1), 3),
        o.MultiSteps(o.adam(0.1), 3, accumulator_dtype=jnp.float64),
    ),
    "partition": lambda o: (
        optim.partition({"matrix": optim.adam(0.1), "other": optim.sgd(0.1, 0.9)}, labels),
        o.partition({"matrix": o.adam(0.1), "other": o.sgd(0.1, 0.9)}, labels),
    ),
    "freezing": lambda o: (
        optim.chain(optim.adam(0.1), optim.freeze(optim.matrices)),
        o.partition({"matrix": o.set_to_zero(), "other": o.adam(0.1)}, labels),
    ),
    "skipping": lambda o: (optim.skip_nonfinite(optim.adam(0.1), 2), o.apply_if_finite(o.adam(0.1), 2)),
    "optax inside": lambda o: (
        optim.skip_nonfinite(
            optim.accumulate(optim.partition({"matrix": o.adam(0.1), "other": o.sgd(0.1)}, labels), 2)
        ),
        o.MultiSteps(
            o.partition({"matrix": o.adam(0.1), "other": o.sgd(0.1)}, labels), 2, accumulator_dtype=jnp.float64
        ),
    ),
}


def minimise(optimizer, objective, params, spoilt=()):
    """All parameters on the way; the gradients of some steps are NaN."""

    def step(carry, t):
        params, state = carry
        bad = jnp.isin(t, jnp.array(spoilt, int))
        grads = jax.tree.map(lambda g: jnp.where(bad, jnp.nan, g), jax.grad(objective)(params))
        updates, state = optimizer.update(grads, state, params)
        params = jax.tree.map(lambda p, u: p + u, params, updates)
        return (params, state), params

    return jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(100))[1]


@pytest.mark.parametrize("problem", ["quadratic", "net"])
@pytest.mark.parametrize("name", PAIRS)
def test_a_transform_is_that_of_optax(optax, name, problem, record_property):
    ours, theirs = PAIRS[name](optax)
    objective, params = problems.PROBLEMS[problem]()
    spoilt = (7, 20, 21) if name == "skipping" else ()
    paths = [minimise(optimizer, objective, params, spoilt) for optimizer in (ours, theirs)]
    largest = max(jax.tree.leaves(jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), *paths)))
    record_property("difference", float(largest))
    assert largest <= LARGEST


def test_the_mean_of_parameters_is_that_of_optax(optax):
    objective, params = problems.net()
    ours = optim.ema_parameters(optax.sgd(0.1), 0.9)
    mean = optax.ema(0.9, debias=True)
    state, seen = ours.init(params), mean.init(params)
    for _ in range(20):
        updates, state = ours.update(jax.grad(objective)(params), state, params)
        params = optim.apply_updates(params, updates)
        expected, seen = mean.update(params, seen)
        evaluated = optim.evaluation_parameters(state, params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=LARGEST), evaluated, expected)


def test_the_mean_of_parameters_is_that_of_torch(torch):
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model = torch.nn.Linear(3, 1, dtype=torch.float64)
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    averaged.update_parameters(model)  # the first call copies
    with jax.enable_x64(True):
        ours = optim.ema_parameters(optim.Optimizer(lambda p: (), lambda g, s, p: (g, s)), 0.9, debias=False)
        params = jnp.asarray(model.weight.detach().numpy())
        state = ours.init(params)
        for t in range(20):
            step = np.full((1, 3), 0.1 * t)
            with torch.no_grad():
                model.weight += torch.tensor(step)
            averaged.update_parameters(model)
            _, state = ours.update(jnp.asarray(step), state, params)
            params = params + step
            expected = averaged.module.weight.detach().numpy()
            np.testing.assert_allclose(optim.evaluation_parameters(state, params), expected, atol=LARGEST)


@pytest.mark.parametrize("clip", ["clip_grad_norm_", "clip_grad_value_", "each by its norm"])
def test_clipping_is_that_of_torch(torch, clip):
    grads = [np.random.default_rng(i + 1).normal(size=(3, 2)) * 10**i for i in range(-1, 2)]
    tensors = [torch.zeros(3, 2, dtype=torch.float64, requires_grad=True) for _ in grads]
    for tensor, grad in zip(tensors, grads, strict=True):
        tensor.grad = torch.tensor(grad)
    if clip == "each by its norm":
        ours = optim.clip_by_norm(0.5)
        for tensor in tensors:
            torch.nn.utils.clip_grad_norm_(tensor, 0.5)
    else:
        ours = {"clip_grad_norm_": optim.clip_by_global_norm, "clip_grad_value_": optim.clip}[clip](0.5)
        getattr(torch.nn.utils, clip)(tensors, 0.5)
    with jax.enable_x64(True):
        clipped, _ = ours.update([jnp.asarray(g) for g in grads], ())
    for a, tensor in zip(clipped, tensors, strict=True):
        np.testing.assert_allclose(a, tensor.grad, rtol=3e-6)  # torch adds 1e-6 to the norm


def test_the_learning_rate_that_optax_injects_can_be_read(optax):
    inner = optax.inject_hyperparams(optax.adam)(learning_rate=lambda t: 0.5 / (1 + t))
    optimizer = optim.chain(optim.clip(1.0), inner)
    params = jnp.ones(2)
    _, state = optimizer.update(params, optimizer.init(params), params)
    assert float(optim.learning_rate(optimizer, state)) == 0.5  # that of the update that is done


def test_wrappers_stand_in_an_optax_chain(optax):
    objective, params = problems.net()
    ours = optim.skip_nonfinite(optim.decoupled_weight_decay(optim.adam(0.1), 0.1, optim.matrices))
    chained = optax.chain(optax.clip_by_global_norm(1.0), ours)
    theirs = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(0.1, weight_decay=0.1, mask=problems.matrices)
    )  # fmt: skip
    paths = [minimise(optimizer, objective, params) for optimizer in (chained, theirs)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=LARGEST), *paths)
