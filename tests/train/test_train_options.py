"""What may be asked of a run besides: precision, augmentation, updates left out, callbacks and loggers."""

import csv
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import data, losses, nn, optim
from fnnet.errors import FnnetError, HyperparameterError, StructureError


def test_bfloat16_computes_and_float32_keeps(fit_flowers, learner, run):
    low = fit_flowers(learner(), precision="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves((low.params, low.state.optimizer_state.mu))} == {
        jnp.dtype("float32")
    }
    np.testing.assert_allclose(low.history["train/loss"], run.history["train/loss"], rtol=0.02)
    assert not np.array_equal(low.history["train/loss"], run.history["train/loss"])
    by_hand = learner()._replace(model=nn.mixed_precision(learner().model))
    np.testing.assert_array_equal(fit_flowers(by_hand).history["train/loss"], low.history["train/loss"])
    with pytest.raises(HyperparameterError, match=r"^fit: compute is 'int8'"):
        fit_flowers(learner(), precision="int8")


def test_mixed_precision_rounds_the_product_and_nothing_else():
    x = jax.random.normal(jax.random.key(0), (4, 3))
    layer = nn.mixed_precision(nn.dense(2))
    params, state = layer.init(jax.random.key(1), x)
    y, grads = jax.value_and_grad(lambda p: layer.apply(p, state, x)[0].sum())(params)
    kernel = params["kernel"].astype(jnp.bfloat16)
    expected = (x.astype(jnp.bfloat16) @ kernel).astype(jnp.float32).sum()
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    assert grads["kernel"].dtype == jnp.float32


def test_a_transform_sees_each_batch_with_a_key_of_its_own(flowers):
    def negated(key, batch):
        return data.Dataset(-batch.inputs, batch.targets, batch.weights)

    def noisy(key, batch):
        return data.Dataset(batch.inputs + jax.random.normal(key, batch.inputs.shape), batch.targets, batch.weights)

    plain = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.sgd(0.1))
    call = {"epochs": 2, "batch_size": 5, "key": jax.random.key(0), "progress": False}
    flipped = data.Dataset(-flowers[0].inputs, flowers[0].targets)
    expected = fnnet.fit(plain, flipped, **call).params
    got = fnnet.fit(plain._replace(transform=negated), flowers[0], **call).params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, expected)
    runs = [fnnet.fit(plain._replace(transform=noisy), flowers[0], **call) for _ in range(2)]
    np.testing.assert_array_equal(*(run.params["kernel"] for run in runs))
    assert not np.allclose(runs[0].params["kernel"], fnnet.fit(plain, flowers[0], **call).params["kernel"])
    with pytest.raises(StructureError, match="transform is 3"):
        fnnet.fit(plain._replace(transform=3), flowers[0], **call)


def test_updates_left_out_on_purpose_are_no_divergence_and_count_nothing(flowers):
    """Every other batch is poisoned; what is left is the mean over the others."""

    def poisoned(key, batch):
        bad = jax.random.bernoulli(key)
        return data.Dataset(jnp.where(bad, jnp.nan, batch.inputs), batch.targets, batch.weights)

    model = nn.chain(nn.dense(4), nn.batch_norm(), nn.dense(3))
    learner = fnnet.Learner(
        model, losses.softmax_cross_entropy, optim.skip_nonfinite(optim.sgd(0.1)), transform=poisoned
    )
    run = fnnet.fit(learner, flowers[0], epochs=6, batch_size=5, key=jax.random.key(0), progress=False)
    skipped = int(run.state.optimizer_state.total_notfinite)
    assert 0 < skipped < 24
    assert (run.status, int(run.state.step)) == ("finished", 24)
    assert int(run.state.optimizer_state.inner_state.count) == 24 - skipped
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((run.params, run.state.model_state)))
    assert np.isfinite(run.history["train/loss"]).all()


@pytest.mark.exhaustive  # compiles programs of its own
def test_accumulated_gradients_and_recomputed_activations_train(flowers):
    model = nn.chain(nn.dense(4), nn.tanh, nn.dense(3))
    call = {"epochs": 2, "key": jax.random.key(0), "progress": False}
    parts = flowers[0][:15]
    accumulated = fnnet.Learner(model, losses.softmax_cross_entropy, optim.accumulate(optim.sgd(0.1), 3))
    plain = fnnet.Learner(model, losses.softmax_cross_entropy, optim.sgd(0.1))
    whole = fnnet.fit(plain, parts, batch_size=None, **call)
    for learner in (accumulated, accumulated._replace(model=nn.remat(model))):
        run = fnnet.fit(learner, parts, batch_size=5, **call)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), run.params, whole.params)


def test_callbacks_see_the_run_so_far_after_each_evaluation_and_may_stop_it(fit_flowers, learner, run):
    seen = []

    def look(now):
        seen.append((int(now.state.step), now.history.epochs, now.status, now.params[0]["kernel"]))
        return "stop" if now.history.epochs == 3 else None

    stopped = fit_flowers(learner(), callbacks=[look])
    assert [entry[:3] for entry in seen] == [(4, 1, "running"), (8, 2, "running"), (12, 3, "running")]
    assert all(np.isfinite(entry[3]).all() for entry in seen), "what a callback keeps stays"
    assert (stopped.status, stopped.history.epochs) == ("stopped_early", 3)
    assert "or a callback asked for it" in stopped.sentence
    np.testing.assert_array_equal(stopped.history["train/loss"], run.history["train/loss"][:3])


def test_what_a_callback_and_a_transform_may_be_is_said(fit_flowers, learner):
    with pytest.raises(StructureError, match=r"callbacks is .*, but a list of functions of the run is needed"):
        fit_flowers(learner(), callbacks=print)
    with pytest.raises(StructureError, match=r"a callback returned True, but None or 'stop' is understood"):
        fit_flowers(learner(), callbacks=[lambda run: True])
    for transform, sentence in (
        (lambda key, batch: (batch.inputs, batch.targets), "the transform returned a tuple"),
        (lambda key, batch: data.Dataset(batch.inputs, batch.targets), "dropped the weights of a batch"),
        (lambda key, batch: batch.__class__(batch.inputs[:, :2], batch.targets, batch.weights), r"of shape \(2,\) of"),
    ):
        with pytest.raises(FnnetError, match=sentence):
            fit_flowers(learner()._replace(transform=transform))


def test_a_number_that_json_does_not_know_is_null(tmp_path, run):
    log = fnnet.loggers.json_lines(tmp_path / "a.jsonl")
    log(dataclasses.replace(run, history=fnnet.train.history.History({"x": [1.0, np.inf, -np.inf, np.nan]})))
    lines = [json.loads(line, parse_constant=pytest.fail) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["x"] for line in lines] == [1.0, None, None, None]


def test_loggers_write_every_row_once(tmp_path, fit_flowers, learner, run):
    loggers = [fnnet.loggers.csv(tmp_path / "deep" / "a.csv"), fnnet.loggers.json_lines(tmp_path / "a.jsonl")]
    fit_flowers(learner(), callbacks=loggers)
    table = list(csv.DictReader((tmp_path / "deep" / "a.csv").read_text().splitlines()))
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [row["step"] for row in table] == ["4", "8", "12", "16"]
    assert [line["step"] for line in lines] == [4, 8, 12, 16]
    for name, values in run.history.items():
        np.testing.assert_array_equal([line[name] for line in lines], values.astype(float))
        np.testing.assert_array_equal([float(row[name]) for row in table], values.astype(float))


def test_after_a_resume_a_log_has_every_row_once(tmp_path, fit_flowers, learner):
    for epochs in (2, 4):
        logger = fnnet.loggers.json_lines(tmp_path / "a.jsonl")
        fit_flowers(learner(), epochs=epochs, checkpoint=tmp_path / "run", resume=True, callbacks=[logger])
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12, 16]


def test_tensorboard_gets_a_scalar_a_score(tmp_path, fit_flowers, learner):
    pytest.importorskip("tensorboardX", reason="in the extra loggers")
    fit_flowers(learner(), callbacks=[fnnet.loggers.tensorboard(tmp_path)])
    (events,) = tmp_path.glob("events.*")
    assert b"validation/accuracy" in events.read_bytes()


def test_search_without_gradients_trains(fit_flowers, learner):
    run = fit_flowers(learner()._replace(optimizer=optim.random_search(0.1, population=8)), epochs=20)
    assert run.history["train/loss"][-1] < run.history["train/loss"][0]
