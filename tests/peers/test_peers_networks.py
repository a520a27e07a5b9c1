"""Recurrent layers, attention and blocks made of layers against torch, forward and backward."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comparing import compare, precisions

from fnnet import nn

RANDOM = np.random.default_rng(0)
FEATURES, WIDTH = 3, 4
X = RANDOM.normal(size=(2, 5, FEATURES))
THERE = np.arange(5)[None, :] < np.array([5, 3])[:, None]
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def call(torch, module, weights, *inputs, **options):
    """A torch module with other weights in the place of its own, so that gradients reach them."""
    return torch.func.functional_call(module.to(inputs[0].dtype), weights, inputs, options)


@precisions
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", GATES)
def test_a_recurrent_layer_agrees_with_torch(kind, reverse, dtype, tolerance, torch, record_property):
    gates = GATES[kind]
    layer = getattr(nn, kind)(WIDTH, reverse=reverse)
    module = getattr(torch.nn, kind.upper())(FEATURES, WIDTH, batch_first=True)
    shapes = [(FEATURES, gates * WIDTH), (WIDTH, gates * WIDTH), (gates * WIDTH,)]
    extra = [(WIDTH,)] if kind == "gru" else []

    def ours(x, kernel, recurrent_kernel, bias, *recurrent_bias):
        params = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias}
        params |= dict(zip(["recurrent_bias"], recurrent_bias, strict=False))
        return layer.apply(params, (), x)[0]

    def theirs(x, kernel, recurrent_kernel, bias, *recurrent_bias):
        other = torch.zeros_like(bias)
        if recurrent_bias:
            other = torch.cat([other[: 2 * WIDTH], recurrent_bias[0]])
        weights = {
            "weight_ih_l0": kernel.T,
            "weight_hh_l0": recurrent_kernel.T,
            "bias_ih_l0": bias,
            "bias_hh_l0": other,
        }
        y = call(torch, module, weights, x.flip(1) if reverse else x)[0]
        return y.flip(1) if reverse else y

    with jax.enable_x64(dtype == "float64"):
        inputs = [X, *(RANDOM.normal(size=shape) for shape in shapes + extra)]
        compare(torch, ours, theirs, inputs, tolerance, dtype, record_property)


def attention_params(kernels, biases):
    names = ("query", "key", "value", "out")
    return {name: {"kernel": k, "bias": b} for name, k, b in zip(names, kernels, biases, strict=True)}


def packed(torch, kernels, biases, prefix="", together=True):
    if together:
        inner = {f"{prefix}in_proj_weight": torch.cat([kernel.T for kernel in kernels[:3]])}
    else:
        inner = {f"{name}_proj_weight": kernel.T for name, kernel in zip("qkv", kernels[:3], strict=True)}
    return inner | {
        f"{prefix}in_proj_bias": torch.cat(biases[:3]),
        f"{prefix}out_proj.weight": kernels[3].T,
        f"{prefix}out_proj.bias": biases[3],
    }


ATTENTION = {"to itself": {}, "to the past": {"causal": True}, "with padding": {"padded": True}}


@precisions
@pytest.mark.parametrize("options", ATTENTION.values(), ids=ATTENTION)
def test_attention_agrees_with_torch(options, dtype, tolerance, torch, record_property):
    causal, padded = options.get("causal", False), options.get("padded", False)
    layer = nn.multi_head_attention(2, causal=causal)
    module = torch.nn.MultiheadAttention(WIDTH, 2, batch_first=True)

    def ours(x, *weights):
        params = attention_params(weights[:4], weights[4:])
        return layer.apply(params, (), x, mask=jnp.asarray(THERE) if padded else None)[0]

    def theirs(x, *weights):
        masks = {
            "attn_mask": torch.ones(5, 5, dtype=torch.bool).triu(1) if causal else None,
            "key_padding_mask": torch.tensor(~THERE) if padded else None,
        }
        return call(torch, module, packed(torch, weights[:4], weights[4:]), x, x, x, **masks)[0]

    with jax.enable_x64(dtype == "float64"):
        shapes = [(WIDTH, WIDTH)] * 4 + [(WIDTH,)] * 4
        inputs = [RANDOM.normal(size=(2, 5, WIDTH)), *(RANDOM.normal(size=shape) for shape in shapes)]
        compare(torch, ours, theirs, inputs, tolerance, dtype, record_property)


@precisions
def test_attention_to_another_sequence_agrees_with_torch(dtype, tolerance, torch, record_property):
    layer = nn.multi_head_attention(2)
    module = torch.nn.MultiheadAttention(WIDTH, 2, batch_first=True, kdim=FEATURES, vdim=FEATURES)

    def ours(x, memory, *weights):
        return layer.apply(attention_params(weights[:4], weights[4:]), (), (x, memory))[0]

    def theirs(x, memory, *weights):
        given = packed(torch, weights[:4], weights[4:], together=False)
        return call(torch, module, given, x, memory, memory)[0]

    with jax.enable_x64(dtype == "float64"):
        shapes = [(WIDTH, WIDTH), (FEATURES, WIDTH), (FEATURES, WIDTH), (WIDTH, WIDTH)] + [(WIDTH,)] * 4
        inputs = [RANDOM.normal(size=(2, 6, WIDTH)), X, *(RANDOM.normal(size=shape) for shape in shapes)]
        compare(torch, ours, theirs, inputs, tolerance, dtype, record_property)


@precisions
def test_a_transformer_block_agrees_with_torch(dtype, tolerance, torch, record_property):
    hidden = 6
    layer = nn.transformer_block(2, hidden=hidden, activation=nn.relu, normalization=nn.layer_norm(eps=1e-5))
    module = torch.nn.TransformerEncoderLayer(
        WIDTH, 2, hidden, dropout=0.0, activation="relu", batch_first=True, norm_first=True
    )
    shapes = [(WIDTH, WIDTH)] * 4 + [(WIDTH,)] * 4 + [(WIDTH,)] * 4
    shapes += [(WIDTH, hidden), (hidden,), (hidden, WIDTH), (WIDTH,)]

    def ours(x, *w):
        norms = [{"scale": w[8], "bias": w[9]}, {"scale": w[10], "bias": w[11]}]
        attention = {"normalization": norms[0], "attention": attention_params(w[:4], w[4:8]), "dropout": ()}
        feedforward = {"normalization": norms[1], "activation": (), "inner_dropout": (), "dropout": ()}
        feedforward |= {"hidden": {"kernel": w[12], "bias": w[13]}, "out": {"kernel": w[14], "bias": w[15]}}
        parts = {"attention": attention, "feedforward": feedforward}
        params = {name: {"body": body, "shortcut": ()} for name, body in parts.items()}
        state = {name: {"body": dict.fromkeys(body, ()), "shortcut": ()} for name, body in parts.items()}
        return layer.apply(params, state, x)[0]

    def theirs(x, *w):
        given = packed(torch, w[:4], w[4:8], "self_attn.")
        given |= dict(zip(["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"], w[8:12], strict=True))
        given |= {"linear1.weight": w[12].T, "linear1.bias": w[13], "linear2.weight": w[14].T, "linear2.bias": w[15]}
        return call(torch, module, given, x)

    with jax.enable_x64(dtype == "float64"):
        inputs = [RANDOM.normal(size=(2, 5, WIDTH)), *(RANDOM.normal(size=shape) for shape in shapes)]
        compare(torch, ours, theirs, inputs, tolerance, dtype, record_property)


@precisions
def test_a_residual_block_of_convolutions_agrees_with_torch(dtype, tolerance, torch, record_property):
    convolution = lambda: nn.conv(FEATURES, 3, padding="SAME")  # noqa: E731
    layer = nn.residual(nn.chain(nn.relu, convolution(), nn.relu, convolution()), shortcut=nn.conv(FEATURES, 1))
    shapes = [(3, 3, FEATURES, FEATURES), (FEATURES,)] * 2 + [(1, 1, FEATURES, FEATURES), (FEATURES,)]

    def ours(x, *w):
        first, second, shortcut = ({"kernel": w[i], "bias": w[i + 1]} for i in (0, 2, 4))
        params = {"body": ((), first, (), second), "shortcut": shortcut}
        return layer.apply(params, {"body": ((),) * 4, "shortcut": ()}, x)[0]

    def theirs(x, *w):
        relu, x = torch.nn.functional.relu, x.permute(0, 3, 1, 2)

        def convolved(x, kernel, bias, padding):
            return torch.nn.functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=padding)

        y = convolved(relu(convolved(relu(x), w[0], w[1], 1)), w[2], w[3], 1)
        return (y + convolved(x, w[4], w[5], 0)).permute(0, 2, 3, 1)

    with jax.enable_x64(dtype == "float64"):
        inputs = [RANDOM.normal(size=(2, 4, 5, FEATURES)), *(RANDOM.normal(size=shape) for shape in shapes)]
        compare(torch, ours, theirs, inputs, tolerance, dtype, record_property)
