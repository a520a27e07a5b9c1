"""Backpropagation written out, beside `jax.grad` and the sentence of lecture 002 that takes a whole slide."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnnet import calculus, losses, nn
from fnnet.errors import DataError, ShapeError, StructureError

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(7, 3)))
IDS = jnp.asarray(RNG.integers(0, 4, 7))
NUMBERS = jnp.asarray(RNG.normal(size=(7, 4)))
SHARES = jax.nn.softmax(NUMBERS)

LOSSES = [
    (losses.squared_error, NUMBERS),
    (losses.half_squared_error, NUMBERS),
    (losses.sum_of_squares, NUMBERS),
    (losses.softmax_cross_entropy, IDS),
    (losses.softmax_cross_entropy, SHARES),
    (losses.sigmoid_binary_cross_entropy, SHARES),
]
MODELS = {
    "the lecture's three hidden layers": nn.mlp([5, 6, 5, 4]),
    "a chain by names": nn.chain(first=nn.dense(5), bend=nn.logistic, out=nn.dense(4, bias=False)),
    "two layers in a row": nn.chain(nn.dense(5), nn.dense(4)),
    "an activation at the end": nn.chain(nn.dense(5), nn.softplus, nn.dense(4), nn.tanh),
}
ACTIVATIONS = [
    nn.identity,
    nn.relu,
    nn.leaky_relu,
    functools.partial(nn.leaky_relu, negative_slope=0.3),
    nn.logistic,
    nn.tanh,
    nn.softplus,
    functools.partial(nn.softplus, beta=2.0),
    nn.sin,
    nn.exp,
    nn.cos,
    nn.step,
]


def parameters(model, stack=()):
    """Random ones; biases too. Drawn by NumPy, as there is nothing to compile then."""
    shapes, state = jax.eval_shape(model.init, jax.random.key(0), X)
    rng = np.random.default_rng(1)
    draw = lambda leaf: jnp.asarray(rng.normal(size=(*stack, *leaf.shape)) / 2, leaf.dtype)  # noqa: E731
    return jax.tree.map(draw, shapes), state


def compare(model, questions=((losses.squared_error, NUMBERS),)):
    """Our gradients and those of `jax.grad`, in one program for all losses."""
    params, state = parameters(model)

    @jax.jit
    def both(params):
        def mean(p, loss, y):
            return loss(model.apply(p, state, X)[0], y).mean()

        return [
            (calculus.backprop_mlp(model, params, X, y, loss=loss), jax.value_and_grad(mean)(params, loss, y))
            for loss, y in questions
        ]

    for ours, (value, gradients) in both(params):
        np.testing.assert_allclose(ours.loss, value, rtol=1e-6)
        assert jax.tree.structure(ours.gradients) == jax.tree.structure(gradients)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), ours.gradients, gradients)


def test_gradients_are_those_of_jax_for_every_loss():
    compare(MODELS["a chain by names"], LOSSES)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_jax_for_chains_of_all_kinds(name):
    compare(MODELS[name])


def test_gradients_are_those_of_jax_for_every_activation_of_the_lectures():
    parts = [part for activation in ACTIVATIONS for part in (nn.dense(3), activation)]
    # Behind nn.step no gradient passes, so it comes first.
    compare(nn.chain(*parts[-2:], *parts[:-2], nn.dense(4)))


def test_the_passes_are_the_recursion_of_the_lecture_in_numpy():
    model = nn.mlp([5, 4])
    params, _ = parameters(model)
    found = jax.jit(lambda p: calculus.backprop_mlp(model, p, X, IDS, loss=losses.softmax_cross_entropy))(params)
    x, (W0, b0), (W1, b1) = (
        np.asarray(X),
        *[(np.asarray(p["kernel"]), np.asarray(p["bias"])) for p in (params[0], params[2])],
    )
    f0 = x @ W0 + b0
    h1 = np.maximum(f0, 0)
    f1 = h1 @ W1 + b1
    softmax = np.exp(f1) / np.exp(f1).sum(axis=1, keepdims=True)
    delta1 = softmax - np.eye(4)[np.asarray(IDS)]
    delta0 = delta1 @ W1.T * (f0 > 0)
    expected = {"f": (f0, f1), "h": (x, h1), "delta": (delta0, delta1)}
    for name, arrays in expected.items():
        for ours, array in zip(getattr(found, name), arrays, strict=True):
            np.testing.assert_allclose(ours, array, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.gradients[0]["kernel"], x.T @ delta0 / 7, atol=1e-6)
    np.testing.assert_allclose(found.gradients[2]["bias"], delta1.mean(axis=0), atol=1e-6)


def test_the_derivative_by_the_logits_is_output_minus_target():
    model = nn.mlp([4])
    params, _ = parameters(model)
    found = jax.jit(lambda p: calculus.backprop_mlp(model, p, X, IDS, loss=losses.softmax_cross_entropy))(params)
    logits = found.output
    by_logits = jax.jit(jax.grad(lambda f: losses.softmax_cross_entropy(f, IDS).sum()))(logits)
    np.testing.assert_allclose(found.delta[-1], by_logits, atol=1e-6)


def test_models_are_mapped_over_their_stacked_parameters():
    model = MODELS["two layers in a row"]
    params, _ = parameters(model, stack=(2,))
    step = jax.jit(lambda p: calculus.backprop_mlp(model, p, X, NUMBERS).gradients)
    together = jax.jit(jax.vmap(step))(params)
    alone = step(jax.tree.map(lambda leaf: leaf[1], params))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-6), together, alone)


def test_targets_may_be_whole_numbers_wherever_the_loss_is_of_numbers():
    model, whole = nn.mlp([4]), jnp.asarray(RNG.integers(0, 2, (7, 4)))
    params, _ = parameters(model)
    for loss in (losses.squared_error, losses.sigmoid_binary_cross_entropy):
        found, expected = (
            calculus.backprop_mlp(model, params, X, y, loss=loss).delta[0] for y in (whole, whole.astype(X.dtype))
        )
        np.testing.assert_array_equal(found, expected)


def test_models_and_losses_that_are_not_written_out_are_refused_in_sentences():
    def backprop(model, loss=losses.squared_error, x=X, y=NUMBERS):
        params, _ = parameters(model)
        return calculus.backprop_mlp(model, params, x, y, loss=loss)

    with pytest.raises(StructureError, match="normalisation and dropout are not written out"):
        backprop(nn.mlp([5, 4], drop_rate=0.5))
    with pytest.raises(StructureError, match=r"part layer_norm\(\), but only dense layers and activations"):
        backprop(nn.chain(nn.dense(4), nn.layer_norm()))
    with pytest.raises(StructureError, match=r"whose derivative is not written out. Use an activation of the lectures"):
        backprop(nn.mlp([5, 4], activation=nn.gelu))
    with pytest.raises(StructureError, match=r"loss is .*huber.*, whose derivative is not written out"):
        backprop(nn.mlp([4]), losses.huber)
    with pytest.raises(StructureError, match="part 2 of the model is an activation that stands behind another"):
        backprop(nn.chain(nn.dense(4), nn.tanh, nn.tanh))
    with pytest.raises(StructureError, match="part 0 of the model is an activation that stands before all layers"):
        backprop(nn.chain(nn.tanh, nn.dense(4)))
    with pytest.raises(StructureError, match=r"made neither by nn.mlp nor by nn.chain"):
        backprop(nn.dense(4))
    with pytest.raises(StructureError, match="params has no kernel for the dense layer 0"):
        calculus.backprop_mlp(nn.mlp([4]), {}, X, NUMBERS)
    with pytest.raises(ShapeError, match=r"x has shape \(7, 2\), but \(batch, 3\) is needed"):
        backprop(nn.mlp([4]), x=X[:, :2])
    wrong = {"kernel": jnp.ones((5, 4)), "bias": jnp.zeros(4)}
    with pytest.raises(ShapeError, match=r"the kernel of layer 2 has shape \(5, 4\), but 6 features come in"):
        calculus.backprop_mlp(nn.mlp([6, 4]), (parameters(nn.mlp([6, 4]))[0][0], (), wrong), X, NUMBERS)
    with pytest.raises(DataError, match=r"backprop_mlp: targets contain class 4 but the model has 4 outputs"):
        backprop(nn.mlp([4]), losses.softmax_cross_entropy, y=IDS.at[2].set(4))
    with pytest.raises(ShapeError, match="predictions have shape"):
        backprop(nn.mlp([4]), y=NUMBERS[:, :3])


PHI = {"beta_0": 0.4, "omega_0": -0.7, "beta_1": 0.3, "omega_1": 0.9}
PHI |= {"beta_2": -1.1, "omega_2": 0.6, "beta_3": 0.2, "omega_3": 1.7}


def toy(phi, x):
    inner = jnp.exp(phi["beta_1"] + phi["omega_1"] * jnp.sin(phi["beta_0"] + phi["omega_0"] * x))
    return phi["beta_3"] + phi["omega_3"] * jnp.cos(phi["beta_2"] + phi["omega_2"] * inner)


def test_the_toy_example_has_the_eight_derivatives_of_jax_and_the_lectures_sentence():
    with jax.enable_x64(True):
        phi, x, y = {name: jnp.array(value) for name, value in PHI.items()}, jnp.array(1.3), jnp.array(0.9)
        found = jax.jit(calculus.backprop_toy)(phi, x, y)
        expected = jax.jit(jax.grad(lambda phi: (toy(phi, x) - y) ** 2))(phi)
        assert set(found.gradients) == set(expected)
        assert len(expected) == 8
        for name, value in expected.items():
            np.testing.assert_allclose(found.gradients[name], value, rtol=1e-12, err_msg=name)
        b0, w0, b1, w1, b2, w2, b3, w3 = PHI.values()
        inside = np.exp(b1 + w1 * np.sin(b0 + w0 * 1.3))
        sentence = -2 * (b3 + w3 * np.cos(b2 + w2 * inside) - 0.9) * w1 * w2 * w3 * 1.3
        sentence *= np.cos(b0 + w0 * 1.3) * inside * np.sin(b2 + w2 * inside)
        np.testing.assert_allclose(found.gradients["omega_0"], sentence, rtol=1e-12)


def test_the_toy_example_has_the_seven_intermediates_and_the_derivatives_by_them():
    x, y = np.array([1.3, -0.4], np.float32), np.array([0.9, 2.0], np.float32)
    found = jax.jit(calculus.backprop_toy)(PHI, x, y)
    f_0 = 0.4 - 0.7 * x
    h_1 = np.sin(f_0)
    f_1 = 0.3 + 0.9 * h_1
    h_2 = np.exp(f_1)
    f_2 = -1.1 + 0.6 * h_2
    h_3 = np.cos(f_2)
    f_3 = 0.2 + 1.7 * h_3
    assert found.forward._fields == ("f_0", "h_1", "f_1", "h_2", "f_2", "h_3", "f_3")
    np.testing.assert_allclose(found.forward, [f_0, h_1, f_1, h_2, f_2, h_3, f_3], rtol=1e-5)
    np.testing.assert_allclose(found.loss, (f_3 - y) ** 2, rtol=1e-5)

    def after(name):
        """The loss as a function of one intermediate, the rest of the chain behind it."""
        rest = [
            lambda f: jnp.sin(f),
            lambda h: 0.3 + 0.9 * h,
            jnp.exp,
            lambda h: -1.1 + 0.6 * h,
            jnp.cos,
            lambda h: 0.2 + 1.7 * h,
        ]

        def loss(value):
            for part in rest[found.forward._fields.index(name) :]:
                value = part(value)
            return jnp.sum((value - y) ** 2)

        return loss

    for name, value, ours in zip(found.forward._fields, found.forward, found.backward, strict=True):
        np.testing.assert_allclose(ours, jax.jit(jax.grad(after(name)))(value), rtol=1e-4, err_msg=name)


def test_parameters_of_other_names_or_shapes_are_refused():
    with pytest.raises(StructureError, match=r"params has beta_0, but a dict of beta_0, omega_0, .* is needed"):
        calculus.backprop_toy({"beta_0": 1.0}, 0.0, 0.0)
    with pytest.raises(ShapeError, match=r"beta_2 has shape \(2,\), but one number is needed"):
        calculus.backprop_toy({**PHI, "beta_2": jnp.ones(2)}, 0.0, 0.0)
    with pytest.raises(ShapeError, match=r"x has shape \(2,\) and y \(\)"):
        calculus.backprop_toy(PHI, jnp.ones(2), 0.0)
