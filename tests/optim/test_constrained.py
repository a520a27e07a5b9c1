"""The augmented Lagrangian against closed forms and SciPy's methods for constraints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from problems import BOWL, TARGET, quadratic, rosenbrock

from fnnet import optim
from fnnet.errors import HyperparameterError, ShapeError, StructureError

pytestmark = pytest.mark.exhaustive  # compiles whole solvers, most of them for one test each

CONVERGED = "converged: the tolerance was reached"


def solve(*args, **kwargs):
    return optim.augmented_lagrangian(*args, tol=1e-7, **kwargs)


def test_a_quadratic_under_linear_equalities_is_the_solution_of_the_kkt_system():
    C, d = np.array([[1.0, 1.0, 1.0], [1.0, -2.0, 0.0]]), np.array([1.0, 0.5])
    with jax.enable_x64(True):
        found = solve(quadratic, jnp.zeros(3), equalities=lambda x: C @ x - d)
        system = np.block([[BOWL, -C.T], [C, np.zeros((2, 2))]])
        exact = np.linalg.solve(system, np.concatenate([TARGET, d]))
        assert found.sentence == CONVERGED
        np.testing.assert_allclose(found.solution, exact[:3], atol=1e-6)
        np.testing.assert_allclose(found.equality_multipliers, exact[3:], atol=1e-5)
        assert found.inequality_multipliers == ()
        assert found.violation <= found.kkt_residual <= 1e-7


def disc(x):
    return 2 - jnp.sum(x**2)


PROBLEMS = {  # function, start, equalities, inequalities
    "rosenbrock in a disc": (lambda x: rosenbrock(x), [-1.2, 1.0], None, lambda x: disc(x) - 0.5),
    "rosenbrock in a disc that does not bind": (lambda x: rosenbrock(x), [-1.2, 1.0], None, lambda x: disc(x) + 1),
    "a line against a circle": (lambda x: x[0] + 2 * x[1], [1.0, 1.0], disc, None),
    "both kinds": (
        lambda x: jnp.sum((x - jnp.array([2.0, 1.0, 3.0])) ** 2),
        [0.0, 0.0, 0.0],
        lambda x: x[0] + x[1] - x[2],
        lambda x: jnp.stack([1 - x[0], 1 - jnp.sum(x[1:] ** 2), x[1] + 5]),
    ),
    "hock and schittkowski 71": (
        lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
        [1.0, 5.0, 5.0, 1.0],
        lambda x: jnp.sum(x**2) - 40,
        lambda x: jnp.concatenate([jnp.prod(x)[None] - 25, x - 1, 5 - x]),
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_scipy_finds_the_same_point(name):
    f, start, equalities, inequalities = PROBLEMS[name]
    with jax.enable_x64(True):
        found = solve(f, jnp.array(start), equalities=equalities, inequalities=inequalities)
        constraints = [
            {"type": kind, "fun": jax.jit(c), "jac": jax.jit(jax.jacobian(c))}
            for kind, c in (("eq", equalities), ("ineq", inequalities))
            if c is not None
        ]
        theirs = scipy.optimize.minimize(
            jax.jit(f),
            start,
            jac=jax.jit(jax.grad(f)),
            constraints=constraints,
            method="SLSQP",
            options={"ftol": 1e-14},
        )
        assert found.sentence == CONVERGED
        np.testing.assert_allclose(found.solution, theirs.x, atol=2e-6)
        np.testing.assert_allclose(found.value, theirs.fun, rtol=1e-6, atol=1e-7)
        # The conditions of Karush, Kuhn and Tucker, written out.
        force = jax.grad(f)(found.solution)
        if equalities is not None:
            force = force - jax.vjp(equalities, found.solution)[1](found.equality_multipliers)[0]
            np.testing.assert_allclose(equalities(found.solution), 0, atol=1e-7)
        if inequalities is not None:
            force = force - jax.vjp(inequalities, found.solution)[1](found.inequality_multipliers)[0]
            assert (inequalities(found.solution) >= -1e-7).all()
            assert (found.inequality_multipliers >= 0).all()
            np.testing.assert_allclose(found.inequality_multipliers * inequalities(found.solution), 0, atol=1e-7)
        np.testing.assert_allclose(force, 0, atol=1e-7)
        binds = name != "rosenbrock in a disc that does not bind"
        assert any((jnp.abs(m) > 1e-3).any() for m in jax.tree.leaves(found[2:4])) == binds


def test_a_multiplier_is_the_price_of_its_constraint():
    with jax.enable_x64(True):
        run = jax.jit(lambda d: solve(quadratic, jnp.zeros(3), equalities=lambda x: x.sum() - d))
        price = (run(1.01).value - run(0.99).value) / 0.02
        np.testing.assert_allclose(run(1.0).equality_multipliers, price, rtol=1e-6)


def test_constraints_and_multipliers_are_pytrees():
    x0 = {"a": jnp.zeros(2), "b": jnp.zeros(())}
    found = optim.augmented_lagrangian(
        lambda p: jnp.sum((p["a"] - 1) ** 2) + (p["b"] + 2) ** 2,
        x0,
        equalities=lambda p: {"sum": p["a"].sum() - 1},
        inequalities=lambda p: [p["b"], p["a"]],
    )
    assert found.sentence == CONVERGED
    np.testing.assert_allclose(found.solution["a"], 0.5, atol=1e-4)
    np.testing.assert_allclose(found.solution["b"], 0, atol=1e-4)
    np.testing.assert_allclose(found.equality_multipliers["sum"], -1, atol=1e-3)
    np.testing.assert_allclose(found.inequality_multipliers[0], 4, atol=1e-3)
    assert found.inequality_multipliers[1].shape == (2,)


def test_mapped_over_starting_points_and_constraints_equals_a_loop():
    starts = jnp.array([[1.0, 1.0], [-1.0, -0.5], [0.0, 1.0], [np.nan, 0.0]])
    radii = jnp.array([1.0, 2.0, -1.0, 1.0])

    def run(x, r):
        return optim.augmented_lagrangian(lambda x: x[0] + x[1], x, inequalities=lambda x: r - x @ x, steps=12)

    with jax.enable_x64(True):
        starts, radii = starts.astype(float), radii.astype(float)
        mapped, alone = jax.jit(jax.vmap(run))(starts, radii), jax.jit(run)
        for lane in range(4):
            single = alone(starts[lane], radii[lane])
            assert mapped.sentence[lane] == single.sentence
            assert mapped.steps[lane] == single.steps
            np.testing.assert_allclose(mapped.solution[lane], single.solution, rtol=1e-6)
        np.testing.assert_allclose(mapped.solution[:2, 0], -np.sqrt([0.5, 1.0]), atol=1e-3)
        assert [s.split(":")[0] for s in mapped.sentence[:2]] == ["converged"] * 2
        assert mapped.sentence[2].startswith("the steps were used up and the constraints are still violated")
        assert mapped.violation[2] > 0.9
        assert mapped.sentence[3].startswith("the value or the step was not finite")


def test_an_objective_that_falls_without_end_outside_is_held_by_the_constraint():
    with jax.enable_x64(True):
        found = solve(lambda x: -jnp.sum(x**4), jnp.array([0.5]), inequalities=lambda x: 1 - x**2, penalty=0.1)
        np.testing.assert_allclose(jnp.abs(found.solution), 1, atol=1e-6)


def test_any_pair_may_do_the_inner_work():
    for optimizer in (optim.newton(), optim.conjugate_gradient(), optim.line_search_descent(0.1)):
        with jax.enable_x64(True):
            found = optim.augmented_lagrangian(
                quadratic, jnp.zeros(3), equalities=lambda x: x.sum() - 1, optimizer=optimizer
            )
            assert found.sentence == CONVERGED


def test_mistakes_are_met_with_sentences():
    where, x0 = "^augmented_lagrangian: ", jnp.ones(2)
    f, c = (lambda x: x @ x), (lambda x: x[0])
    run = optim.augmented_lagrangian
    with pytest.raises(StructureError, match=where + "there are no constraints.*use minimize"):
        run(f, x0)
    with pytest.raises(ShapeError, match=where + r"fun returns shape \(2,\)"):
        run(lambda x: x, x0, equalities=c)
    with pytest.raises(StructureError, match=where + "equalities is 3, which is not a function"):
        run(f, x0, equalities=3)
    with pytest.raises(StructureError, match=where + "inequalities returns .*one float or more"):
        run(f, x0, inequalities=lambda x: x > 0)
    with pytest.raises(StructureError, match=where + "parameter .* has dtype int32"):
        run(f, jnp.arange(2), equalities=c)
    with pytest.raises(StructureError, match=where + "the parameters are an empty tree"):
        run(f, {}, equalities=c)
    with pytest.raises(StructureError, match=where + "the optimizer is"):
        run(f, x0, equalities=c, optimizer=optim.adam)
    for name, wrong in {"penalty": 0.0, "growth": 1.0, "tol": -1.0, "steps": 0, "inner_steps": 1.5}.items():
        with pytest.raises(HyperparameterError, match=where + f"{name} is {wrong:g}, but it has to be"):
            run(f, x0, equalities=c, **{name: wrong})
