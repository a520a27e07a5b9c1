"""Values and gradients of ours and of torch side by side."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
precisions = pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])


def compare(torch, ours, theirs, inputs, tolerance, dtype, record_property):
    """Values and gradients of Σ direction · f(inputs), ours against theirs."""
    arrays = [np.asarray(value, dtype) for value in inputs]
    value, pull = jax.vjp(ours, *(jnp.asarray(a) for a in arrays))
    direction = RANDOM.normal(size=value.shape).astype(dtype)
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    wanted = theirs(*tensors)
    wanted.backward(torch.tensor(direction))
    pairs = [(value, wanted.detach()), *zip(pull(jnp.asarray(direction)), (t.grad for t in tensors), strict=True)]
    gaps = []
    for got, reference in pairs:
        reference = reference.numpy()
        assert got.shape == reference.shape
        gaps.append(float((np.abs(np.asarray(got) - reference) / (1 + np.abs(reference))).max()))
    record_property("largest difference", float(max(gaps)))
    assert max(gaps) <= tolerance
