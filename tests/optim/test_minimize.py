"""The driver: one loop for any optimizer, and how it ended in words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import BOWL, START, TARGET, quadratic, rosenbrock

from fnnet import optim
from fnnet.errors import FnnetError, HyperparameterError, ShapeError, StructureError

pytestmark = pytest.mark.exhaustive  # compiles whole solvers, most of them for one test each

METHODS = {
    "sgd": lambda: optim.sgd(0.2),
    "adam": lambda: optim.adam(0.1),
    "newton": lambda: optim.newton(),
    "lbfgs": lambda: optim.lbfgs(),
    "conjugate_gradient": lambda: optim.conjugate_gradient(),
    "fletcher_reeves": lambda: optim.conjugate_gradient("fletcher_reeves"),
    "line_search_descent": lambda: optim.line_search_descent(),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_finds_the_minimum_of_a_quadratic(name):
    with jax.enable_x64(True):  # in float32 a search by values alone cannot see the last of the way
        result = optim.minimize(quadratic, jnp.zeros(3), METHODS[name](), steps=500, tol=1e-4)
        assert result.sentence == "converged: the tolerance was reached"
        np.testing.assert_allclose(result.solution, np.linalg.solve(BOWL, TARGET), atol=3e-4)
        assert result.gradient_norm <= 1e-4
        np.testing.assert_allclose(result.value, quadratic(result.solution), rtol=1e-6)


@pytest.mark.parametrize("name", ["adam", "newton", "lbfgs", "conjugate_gradient", "line_search_descent"])
def test_mapped_over_starting_points_equals_a_loop_each_with_its_own_count_and_status(name):
    starts = jnp.array([[-1.2, 1.0], [1.0, 1.0], [0.99, 0.98], [np.nan, 0.0], [0.0, 2.0]])

    def run(x):
        return optim.minimize(rosenbrock, x, METHODS[name](), steps=40, tol=1e-3, trace=True)

    mapped = jax.jit(jax.vmap(run))(starts)
    alone = jax.jit(run)
    for lane, start in enumerate(starts):
        result = alone(start)
        assert mapped.steps[lane] == result.steps
        assert mapped.sentence[lane] == result.sentence
        np.testing.assert_allclose(mapped.solution[lane], result.solution, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(np.isnan(mapped.trace[lane]), np.isnan(result.trace))
    assert mapped.steps[1] == 0
    assert len(set(mapped.steps.tolist())) > 2 or name in ("adam", "line_search_descent")
    assert mapped.sentence[3].startswith("the value or the step was not finite")
    assert mapped.sentence[4].startswith("the matrix of second derivatives") == (name == "newton")


def test_mapped_over_hyperparameters_each_lane_stops_by_itself():
    run = jax.vmap(lambda rate: optim.minimize(lambda x: jnp.sum(x**2), jnp.ones(2), optim.sgd(rate), steps=60))
    result = run(jnp.array([0.5, 0.25, 0.01, 3.0]))
    assert result.steps[0] == 1
    assert result.steps[0] < result.steps[1] < result.steps[2] == 60
    assert [sentence.split()[0] for sentence in result.sentence] == ["converged:", "converged:", "the", "the"]


def test_pytrees_go_in_and_come_out_in_their_dtypes():
    x0 = {"w": jnp.ones((2, 2), jnp.bfloat16), "b": [jnp.ones(3), 2.0]}
    total = lambda p: sum(jnp.sum(leaf.astype(jnp.float32) ** 2) for leaf in jax.tree.leaves(p))  # noqa: E731
    for name in ("sgd", "newton", "lbfgs", "conjugate_gradient", "line_search_descent"):
        result = optim.minimize(total, x0, METHODS[name](), steps=60, tol=1e-3)
        assert jax.tree.structure(result.solution) == jax.tree.structure(x0)
        assert [leaf.dtype for leaf in jax.tree.leaves(result.solution)] == [jnp.float32, jnp.float32, jnp.bfloat16]
        assert result.sentence.startswith("converged"), name


def test_a_python_number_may_be_the_starting_point():
    solution = optim.minimize(lambda x: (x - 2) ** 2, 0.0, optim.newton()).solution
    assert (solution.shape, solution.dtype, solution.weak_type) == ((), jnp.float32, False)
    np.testing.assert_allclose(solution, 2, rtol=1e-6)


def test_the_trace_holds_the_value_before_each_update_and_nan_after_the_last():
    result = optim.minimize(lambda x: jnp.sum(x**2), jnp.array([8.0]), optim.sgd(0.25), steps=9, tol=1.5, trace=True)
    assert result.steps == 4
    np.testing.assert_array_equal(result.trace, [64, 16, 4, 1] + [np.nan] * 5)
    assert optim.minimize(lambda x: jnp.sum(x**2), jnp.array([8.0]), optim.sgd(0.25)).trace is None


def test_a_run_that_diverges_returns_its_last_finite_best_point():
    result = optim.minimize(lambda x: jnp.sum(x**4), jnp.array([1.0]), optim.sgd(10.0), tol=0.0)
    assert result.sentence.startswith("the value or the step was not finite")
    assert result.solution == 1.0
    assert result.value == 1.0


def test_steps_used_up_return_the_best_point_and_not_the_last():
    result = optim.minimize(lambda x: jnp.sum(x**2), jnp.array([1.0]), optim.sgd(1.25), steps=5)  # error · −1.5
    assert result.sentence.startswith("the steps were used up")
    assert (result.solution, result.steps) == (1.0, 5)


def test_float64_is_kept_and_reaches_tolerances_that_float32_cannot():
    with jax.enable_x64(True):
        for tol in (1e-10, jnp.float32(1e-10)):
            result = optim.minimize(rosenbrock, jnp.array(START), optim.lbfgs(), tol=tol)
            assert result.solution.dtype == jnp.float64
            assert result.sentence.startswith("converged")


def test_a_pair_of_plain_functions_from_elsewhere_will_do():
    def update(grads, state, params=None):  # takes no extra arguments
        return -0.25 * grads, state

    result = optim.minimize(lambda x: jnp.sum(x**2), jnp.ones(2), (lambda params: (), update), tol=1e-4)
    assert result.sentence.startswith("converged")


def test_one_trace_serves_new_starting_points_and_tolerances():
    traces = []

    @jax.jit
    def run(x0, tol, rate):
        traces.append(1)
        return optim.minimize(quadratic, x0, optim.sgd(rate), tol=tol).steps

    run(jnp.zeros(3), 1e-2, 0.1)
    run(jnp.ones(3), 1e-3, 0.2)
    assert len(traces) == 1


def test_a_step_that_a_chain_holds_is_seen_as_well():
    chained = optim.chain(optim.newton(), optim.clip_by_global_norm(1.0))
    result = optim.minimize(lambda x: -jnp.sum(x**2), jnp.ones(2), chained)
    assert result.sentence.startswith("the matrix of second derivatives is not positive definite")


MISTAKES = {
    "minimize: parameter (the only one) has dtype int32": (StructureError, lambda: {"x0": jnp.arange(3)}),
    "minimize: the parameters are an empty tree": (StructureError, lambda: {"x0": {}}),
    "minimize: parameter a of x0 is 'b', which is not an array": (StructureError, lambda: {"x0": {"a": "b"}}),
    "minimize: fun returns shape (3,), but a scalar is needed. Sum": (ShapeError, lambda: {"fun": lambda x: x}),
    "minimize: fun returns a tuple, but a scalar": (ShapeError, lambda: {"fun": lambda x: (x.sum(), x)}),
    "minimize: fun returns dtype int32": (StructureError, lambda: {"fun": lambda x: jnp.array(1)}),
    "minimize: fun is 3, which is not a function": (StructureError, lambda: {"fun": 3}),
    "is not an (init, update) pair. Call its factory: optim.adam(0.1)": (
        StructureError,
        lambda: {"optimizer": optim.adam},
    ),
    "minimize: steps is 0, but it has to be a positive integer": (HyperparameterError, lambda: {"steps": 0}),
    "minimize: steps is 2.5": (HyperparameterError, lambda: {"steps": 2.5}),
    "minimize: tol is -1, but it has to be at least 0": (HyperparameterError, lambda: {"tol": -1.0}),
    "minimize: tol is nan": (HyperparameterError, lambda: {"tol": float("nan")}),
    "minimize: key is 7, which is not a random key": (StructureError, lambda: {"key": 7}),
}


@pytest.mark.parametrize("sentence", MISTAKES)
def test_a_mistake_is_met_with_a_sentence(sentence):
    kind, change = MISTAKES[sentence]
    arguments = {"fun": quadratic, "x0": jnp.zeros(3), "optimizer": optim.sgd(0.1)} | change()
    with pytest.raises(kind) as caught:
        optim.minimize(**arguments)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("name", ["newton", "lbfgs", "conjugate_gradient", "line_search_descent"])
def test_a_pair_that_looks_at_the_objective_says_so_when_it_is_not_given(name):
    optimizer, x = METHODS[name](), jnp.ones(3)
    state = optimizer.init(x)
    with pytest.raises(StructureError, match=f"^{name}: needs the parameters"):
        optimizer.update(x, state, value_fn=quadratic)
    with pytest.raises(StructureError, match=rf"^{name}: needs the function .*value_fn=fun\), as optim.minimize"):
        optimizer.update(x, state, x)
    with pytest.raises(FnnetError, match=f"^{name}: the gradient .* has shape"):
        optimizer.update(jnp.ones(2), state, x, value_fn=quadratic)
    with pytest.raises(StructureError, match=f"^{name}: parameter .* has dtype int32"):
        optimizer.init(jnp.arange(3))


@pytest.mark.parametrize("name", ["newton", "lbfgs", "conjugate_gradient", "line_search_descent"])
def test_full_batch_training_of_a_small_net_goes_down_with_a_method_that_looks_at_the_objective(name):
    import fnnet
    from fnnet import data, losses, nn

    x = np.linspace(-1, 1, 24, dtype=np.float32)[:, None]
    line = data.from_arrays(x, 2 * x + 1 if name == "newton" else np.sin(3 * x))
    model = nn.dense(1) if name == "newton" else nn.chain(nn.dense(8), nn.tanh, nn.dense(1))
    learner = fnnet.Learner(model, losses.squared_error, METHODS[name]())
    run = fnnet.fit(learner, line, epochs=40, batch_size=24, key=jax.random.key(0))
    losses_seen = run.history["train/loss"]
    assert losses_seen[-1] < (0.2 if name == "line_search_descent" else 0.05) * losses_seen[0]
    if name == "newton":  # squared error of a line is a quadratic
        assert losses_seen[1] < 1e-10
    else:
        assert (np.diff(losses_seen) <= 1e-7).all()
