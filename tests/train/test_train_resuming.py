"""Going on with a run, whatever it is made of and however it ended; and whose run it is."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import data, losses, nn, optim
from fnnet.errors import DivergenceWarning, FileError, HyperparameterError
from fnnet.train import driving, feeding
from fnnet.train.identity import code


def whole(run):
    return run.state._replace(key=jax.random.key_data(run.state.key)), dict(run.history), run.history.steps


def poisoned(key, batch):
    """One batch in four is NaN, and all others are noisy."""
    bad, noise = jax.random.bernoulli(key, 0.25), jax.random.normal(key, batch.inputs.shape)
    return dataclasses.replace(batch, inputs=jnp.where(bad, jnp.nan, batch.inputs + 0.1 * noise))


EVERYTHING = fnnet.Learner(
    nn.chain(nn.dense(4), nn.batch_norm(), nn.tanh, nn.dropout(0.2), nn.dense(3)),
    losses.softmax_cross_entropy,
    optim.skip_nonfinite(optim.adam(0.05)),
    transform=poisoned,
)


@pytest.mark.exhaustive
@pytest.mark.parametrize("patience", [None, 2])
def test_everything_at_once_goes_on_from_anywhere_to_the_last_bit(patience, tmp_path, flowers, same, monkeypatch):
    """Stopped by a callback at one evaluation after the other, and cut as the clock would not."""
    monkeypatch.setattr(feeding, "WINDOW_BYTES", 2 * 5 * 16)
    rule, train = None, data.from_memmap(flowers[0].inputs, flowers[0].targets)
    if patience:
        rule, train = fnnet.EarlyStopping(patience, 0.05), flowers[0]
    call = {"validation": flowers[1], "batch_size": 5, "epochs": 5, "key": jax.random.key(3), "progress": False}
    call |= {"evaluate_every": "3 steps", "early_stopping": rule}
    expected = fnnet.fit(EVERYTHING, train, **call)
    assert expected.status == ("stopped_early" if patience else "finished")
    assert int(expected.state.optimizer_state.total_notfinite) > 0

    monkeypatch.setattr(driving, "FIRST_STEPS", 2)
    call |= {"checkpoint": tmp_path, "resume": True}
    seen = []

    def stop(run):
        seen.append(int(run.state.step))
        return "stop"

    for every, keep in [(1, 1), ("2 steps", 2)]:
        fnnet.fit(EVERYTHING, train, every=every, keep=keep, callbacks=[stop], **call)
    assert seen == [3, 6]
    again = fnnet.fit(EVERYTHING, train, every="5 steps", **call)
    same((whole(again), again.params), (whole(expected), expected.params))
    assert again.status == expected.status
    same(whole(fnnet.fit(EVERYTHING, train, **call)), whole(expected))


def test_a_run_that_diverged_stays_so(tmp_path, flowers, same):
    def rate(t):
        return jnp.where(t == 9, jnp.nan, 0.05)

    learner = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.adam(rate))
    call = {"batch_size": 5, "epochs": 4, "key": jax.random.key(0), "progress": False}
    runs = []
    for folder in ({}, {"checkpoint": tmp_path}, {"checkpoint": tmp_path, "resume": True}):
        with pytest.warns(DivergenceWarning):
            runs.append(fnnet.fit(learner, flowers[0], **call, **folder))
    same(whole(runs[1]), whole(runs[0]))
    same(whole(runs[2]), whole(runs[0]))


def test_a_run_cannot_end_where_it_passed_without_an_evaluation(tmp_path, flowers):
    learner = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.adam(0.05))
    call = {"batch_size": 5, "key": jax.random.key(0), "evaluate_every": "7 steps", "progress": False}
    fnnet.fit(learner, flowers[0], epochs=5, checkpoint=tmp_path, every="12 steps", keep=9, **call)
    for path in tmp_path.glob("step-*"):
        if int(path.stem.removeprefix("step-")) > 12:
            path.unlink()
    with pytest.raises(HyperparameterError, match=r"epochs is 3, but .* has done 3 already without an evaluation"):
        fnnet.fit(learner, flowers[0], epochs=3, checkpoint=tmp_path, resume=True, **call)


@pytest.mark.exhaustive
@pytest.mark.parametrize("wide", [False, True])
def test_keys_of_other_generators_and_floats_of_other_widths_go_on(wide, tmp_path, flowers, same):
    with jax.enable_x64(wide):
        dtype = np.float64 if wide else jnp.bfloat16
        train = data.Dataset((flowers[0].inputs / 3).astype(dtype), flowers[0].targets)
        learner = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.adam(0.05))
        call = {"batch_size": 5, "key": jax.random.key(0, impl="rbg"), "progress": False}
        expected = fnnet.fit(learner, train, epochs=2, **call)
        assert expected.params["kernel"].dtype == dtype
        fnnet.fit(learner, train, epochs=1, checkpoint=tmp_path, **call)
        same(whole(fnnet.fit(learner, train, epochs=2, checkpoint=tmp_path, resume=True, **call)), whole(expected))


class Pair(NamedTuple):
    """An optimizer that is not fnnet's, whose repr has addresses in it."""

    init: object
    update: object


def descent(rate):
    return Pair(lambda params: (), lambda grads, state, params=None: (jax.tree.map(lambda g: -rate * g, grads), state))


def test_a_run_of_functions_goes_on_and_other_functions_or_arrays_are_refused(tmp_path, flowers):
    def learner(rate=0.1, scale=1.0, weights=(1, 2, 3)):
        loss = functools.partial(weighted, weights=np.array(weights, np.float32))
        return fnnet.Learner(nn.chain(nn.dense(3), lambda x: scale * x), loss, descent(rate))

    call = {"batch_size": None, "key": jax.random.key(0), "progress": False, "checkpoint": tmp_path}
    fnnet.fit(learner(), flowers[0], epochs=1, **call)
    for other in ({"rate": 0.2}, {"scale": 2.0}, {"weights": (3, 2, 1)}):
        with pytest.raises(FileError, match="belongs to another run: its learner's code was"):
            fnnet.fit(learner(**other), flowers[0], epochs=2, resume=True, **call)
    assert fnnet.fit(learner(), flowers[0], epochs=2, resume=True, **call).history.epochs == 2


def weighted(predictions, targets, *, weights):
    return losses.softmax_cross_entropy(predictions, targets) * jnp.asarray(weights)[targets]


def test_code_is_what_a_function_does_and_not_where_it_stands():
    def shifted(by):
        return lambda x: x + by

    def itself(x):
        return itself(x)

    assert code(shifted(1)) == code(shifted(1)) != code(shifted(2))
    assert code(jax.jit(shifted(1))) != code(jax.jit(shifted(2)))
    assert code(lambda x: x + 1) != code(lambda x: x - 1)
    assert code(lambda x, y=1: x) != code(lambda x, y=2: x)
    assert code(itself) == code(itself)
    assert code(nn.dense(3)) == code(nn.dense(3))
