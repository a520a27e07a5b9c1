"""The pure core does what the equations say, whatever the batch size and however the steps are cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnnet
from fnnet import data, draws, losses, metrics, nn, optim
from fnnet.train import evaluation
from fnnet.train.core import functions
from fnnet.train.sampling import steps_per_epoch
from fnnet.train.state import DIVERGED, RUNNING

KEY = jax.random.key(7)
RATE = 0.1


@pytest.fixture(scope="module")
def line():
    """Seven examples of a linear map from two numbers to one."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(7, 2)).astype(np.float32)
    return data.from_arrays(inputs, inputs @ np.array([[1.0], [-2.0]], np.float32) + np.float32(0.5))


def linear(**changes):
    return fnnet.Learner(nn.dense(1), losses.squared_error, optim.sgd(RATE))._replace(**changes)


def gradient(params, inputs, targets, weights=None):
    """d/dθ Σ w (xᵀW + b − y)² / Σ w in NumPy."""
    weights = np.ones(len(inputs), np.float32) if weights is None else weights
    residual = 2 * weights[:, None] * (inputs @ params["kernel"] + params["bias"] - targets) / weights.sum()
    return {"kernel": inputs.T @ residual, "bias": residual.sum(axis=0)}


def as_numpy(tree):
    return jax.tree.map(np.asarray, tree)


def close(actual, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), actual, expected)


def test_a_step_is_the_gradient_of_the_mean_loss_times_the_learning_rate(line):
    training = fnnet.training(linear())
    state = training.init(KEY, line.inputs[:1])
    after, logs = jax.jit(training.step)(state, line)
    before = as_numpy(state.params)
    expected = gradient(before, line.inputs, line.targets)
    close(after.params, jax.tree.map(lambda p, g: p - RATE * g, before, expected))
    residual = line.inputs @ before["kernel"] + before["bias"] - line.targets
    np.testing.assert_allclose(logs["loss"], np.mean(residual**2), rtol=1e-5)
    assert (int(after.step), int(after.status)) == (1, RUNNING)


def test_a_step_is_value_and_grad_and_the_optimizer(line):
    model, optimizer = nn.chain(nn.dense(3), nn.tanh, nn.dense(1)), optim.adam(RATE)
    training = fnnet.training(linear(model=model, optimizer=optimizer))
    state = training.init(KEY, line.inputs[:1])
    after = jax.jit(lambda s: training.step(training.step(s, line)[0], line)[0])(state)

    @jax.jit
    def by_hand(params):
        accumulators = optimizer.init(params)
        for _ in range(2):
            grads = jax.grad(
                lambda p: losses.squared_error(model.apply(p, ((), (), ()), line.inputs)[0], line.targets).mean()
            )(params)
            updates, accumulators = optimizer.update(grads, accumulators, params)
            params = optim.apply_updates(params, updates)
        return params, accumulators

    close((after.params, after.optimizer_state), by_hand(state.params))


def test_weights_weigh_the_mean_and_an_example_of_weight_0_counts_nothing(line):
    weights = np.array([1, 2, 0, 3, 0.5, 0, 1], np.float32)
    weighted = data.from_arrays(line.inputs, line.targets, weights=weights)
    training = fnnet.training(linear())
    state = training.init(KEY, line.inputs[:1])
    after, _ = jax.jit(training.step)(state, weighted)
    before = as_numpy(state.params)
    expected = gradient(before, line.inputs, line.targets, weights)
    close(after.params, jax.tree.map(lambda p, g: p - RATE * g, before, expected))
    # The same with the rows left out.
    less, _ = training.step(state, weighted[weights > 0])
    close(after.params, as_numpy(less.params))


def test_a_batch_of_weight_0_changes_nothing_and_does_not_diverge(line, same):
    training = fnnet.training(linear())
    state = training.init(KEY, line.inputs[:1])
    nothing = data.Dataset(line.inputs, line.targets, np.zeros(len(line), np.float32))
    after, _ = training.step(state, nothing)
    same(after.params, state.params)
    assert int(after.status) == RUNNING


def test_a_gaussian_log_prior_is_an_l2_penalty(line):
    strength = 0.3

    def log_prior(params):
        return -strength / 2 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))

    training = fnnet.training(linear(prior=log_prior))
    state = training.init(KEY, line.inputs[:1])
    after, logs = training.step(state, line)
    before = as_numpy(state.params)
    grads = gradient(before, line.inputs, line.targets)
    close(after.params, jax.tree.map(lambda p, g: p - RATE * (g + strength * p), before, grads))
    # The tally, of which the history is made, is the loss without the prior.
    assert float(logs["loss"]) > float(after.tally.loss / after.tally.weight)


def test_the_short_last_batch_is_the_exact_mean_over_the_examples_that_are_left(line):
    training = fnnet.training(linear(), batch_size=3)
    step = jax.jit(lambda state: training.chunk(state, line, steps=1)[0])
    state = training.init(KEY, line.inputs[:1])
    for expected_rows in ([0, 1, 2], [3, 4, 5], [6]):
        rows = np.asarray(draws.permuted(jnp.array(expected_rows), 7, KEY, 0))
        before, state = as_numpy(state.params), step(state)
        grads = gradient(before, line.inputs[rows], line.targets[rows])
        close(state.params, jax.tree.map(lambda p, g: p - RATE * g, before, grads))
    assert float(state.tally.weight) == 7


def test_the_short_last_batch_keeps_the_weights_of_its_examples(line):
    weights = np.array([1, 2, 0.25, 3, 0.5, 4, 1], np.float32)
    weighted = data.from_arrays(line.inputs, line.targets, weights=weights)
    training = fnnet.training(linear(), batch_size=4)
    step = jax.jit(lambda state: training.chunk(state, weighted, steps=1)[0])
    first = step(training.init(KEY, line.inputs[:1]))
    rows = np.asarray(draws.permuted(jnp.array([4, 5, 6]), 7, KEY, 0))
    before = as_numpy(first.params)
    grads = gradient(before, line.inputs[rows], line.targets[rows], weights[rows])
    close(step(first).params, jax.tree.map(lambda p, g: p - RATE * g, before, grads))


@pytest.mark.parametrize("batch_size", [1, 3, 7, None])
def test_every_example_is_seen_exactly_once_an_epoch(batch_size):
    """With one-hot inputs and the output itself as the loss, an update shows which rows the batch had."""
    count, epochs = 7, 3
    rows = data.from_arrays(np.eye(count, dtype=np.float32), np.zeros((count, 1), np.float32))
    learner = fnnet.Learner(nn.dense(1, bias=False), lambda f, y, *, weights=1.0: f[:, 0] * weights, optim.sgd(1.0))
    training = fnnet.training(learner, batch_size=batch_size)
    per_epoch = steps_per_epoch(count, batch_size)

    @jax.jit
    def seen(state):
        def one(state, _):
            after, _ = training.chunk(state, rows, steps=1)
            return after, (state.params["kernel"] - after.params["kernel"])[:, 0]

        return jax.lax.scan(one, state, length=epochs * per_epoch)[1]

    shares = np.asarray(seen(training.init(KEY, rows.inputs[:1])))
    times = (shares > 1e-3).reshape(epochs, per_epoch, count)
    np.testing.assert_array_equal(times.sum(axis=1), 1)
    # Within a batch all examples have the same share, and the shares of a batch sum to one.
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(shares[shares > 1e-3] * (times.sum(axis=2, keepdims=True) * times)[times], 1, rtol=1e-5)
    if batch_size == 1:
        orders = times.argmax(axis=2)
        assert not np.array_equal(orders[0], orders[1])


def test_dropout_masks_differ_from_step_to_step_and_are_drawn_again_alike(line):
    model = nn.chain(nn.dense(8), nn.dropout(0.5), nn.dense(1))
    training = fnnet.training(linear(model=model, optimizer=optim.sgd(0.0)))

    @jax.jit
    def values(state):
        return jax.lax.scan(
            lambda s, _: (training.step(s, line)[0], training.step(s, line)[1]["loss"]), state, length=6
        )[1]

    state = training.init(KEY, line.inputs[:1])
    found = np.asarray(values(state))
    assert len(set(found.tolist())) == 6
    np.testing.assert_array_equal(found, values(state))


@pytest.fixture(scope="module")
def flowers_training(flowers, learner):
    """The core of the shared learner with its jitted functions: (training, chunk, advance)."""
    train, validation = (jax.tree.map(jnp.asarray, d) for d in flowers)
    training = fnnet.training(learner(), batch_size=5)
    chunk = jax.jit(lambda state, steps: training.chunk(state, train, steps)[0])
    advance = jax.jit(lambda state, start, steps: training.advance(state, train, validation, start, steps))
    return training, chunk, advance


def test_chunks_add_up_bitwise(flowers, flowers_training, same):
    training, chunk, _ = flowers_training
    state = training.init(KEY, flowers[0].inputs[:1])
    for a, b in [(1, 9), (4, 6), (7, 3)]:
        same(chunk(chunk(state, a), b), chunk(state, 10))


def test_a_chunk_in_a_scan_of_static_length_is_the_same_chunk(flowers, flowers_training, same):
    training, chunk, _ = flowers_training
    state = training.init(KEY, flowers[0].inputs[:1])
    after = jax.jit(lambda s: training.chunk(s, flowers[0], steps=6)[0])(state)
    np.testing.assert_allclose(after.params[0]["kernel"], chunk(state, 6).params[0]["kernel"], rtol=1e-5)


def saved_and_restored(state):
    """A state through plain NumPy arrays, as a checkpoint would keep it."""
    plain = jax.tree.map(np.array, state._replace(key=jax.random.key_data(state.key)))
    restored = jax.tree.map(jnp.asarray, plain)
    return restored._replace(key=jax.random.wrap_key_data(restored.key))


@pytest.mark.parametrize("cuts", [[], [4], [1, 2, 3], [3, 9, 13], [5, 6, 12, 13], range(1, 16)])
def test_law_6_no_cut_of_the_steps_changes_state_or_history(cuts, flowers, flowers_training, same):
    training, _, advance = flowers_training
    per_epoch, steps = 4, 16

    def in_parts(ends):
        state, start, rows = training.init(KEY, flowers[0].inputs[:1]), 0, []
        for end in ends:
            state, part = advance(saved_and_restored(state), start, end - start)
            ended = end // per_epoch - start // per_epoch
            assert all(np.isnan(values[ended:]).all() for values in part.values())
            rows.append({name: np.asarray(values[:ended]) for name, values in part.items()})
            start = end
        return state, {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}

    state, history = in_parts([*cuts, steps])
    whole, whole_history = in_parts([steps])
    same(state, whole)
    same(history, whole_history)
    assert set(history) == {"train/loss", "validation/loss", "validation/accuracy", "gradient_norm", "learning_rate"}
    assert all(np.isfinite(values).all() and len(values) == 4 for values in history.values())


EVERY_METRIC = {
    "accuracy": metrics.accuracy,
    "auroc": metrics.auroc,
    "balanced_accuracy": metrics.balanced_accuracy,
    "binary_accuracy": metrics.binary_accuracy,
    "expected_calibration_error": metrics.expected_calibration_error(5),
    "f1": metrics.f1,
    "log_loss": metrics.log_loss,
    "mean_absolute_error": metrics.mean_absolute_error,
    "precision": metrics.precision,
    "r2": metrics.r2,
    "recall": metrics.recall,
    "root_mean_squared_error": metrics.root_mean_squared_error,
}


def test_every_metric_is_among_those_that_law_9_is_tested_with():
    found = {name for name in metrics.__all__ if hasattr(getattr(metrics, name), "metric")}
    assert found == set(EVERY_METRIC) - {"expected_calibration_error"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("weighted", [False, True])
def test_law_9_evaluation_in_parts_that_do_not_divide_is_full_batch_evaluation(weighted, monkeypatch, compilations):
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(11, 2)).astype(np.float32)
    targets = (rng.random((11, 2)) < 0.5).astype(np.float32)
    weights = rng.integers(0, 4, 11).astype(np.float32) if weighted else None
    table = data.Dataset(inputs, targets, weights)
    learner = fnnet.Learner(nn.dense(2), losses.squared_error, optim.sgd(RATE), EVERY_METRIC)
    training = fnnet.training(learner, batch_size=2)
    states = [training.init(jax.random.key(i), inputs[:1]) for i in range(2)]

    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", 4)
    assert evaluation._evaluation_parts(11, 2) == (4, 3)
    evaluate = jax.jit(training.evaluate)
    compilations.clear()
    scores = [evaluate(state, table) for state in states]
    assert len(compilations) == 1
    for state, score in zip(states, scores, strict=True):
        predictions = inputs @ np.asarray(state.params["kernel"])
        expected = {name: metric(predictions, targets, weights=weights) for name, metric in EVERY_METRIC.items()}
        expected["loss"] = np.average(((predictions - targets) ** 2).mean(axis=1), weights=weights)
        assert set(score) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(score[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_predictions_in_parts_are_the_predictions(monkeypatch):
    inputs = np.random.default_rng(3).normal(size=(11, 2)).astype(np.float32)
    training = fnnet.training(linear(model=nn.dense(3)), batch_size=2)
    state = training.init(KEY, inputs[:1])
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", 4)
    predictions = jax.jit(training.predict)(state.params, state.model_state, inputs)
    assert predictions.shape == (11, 3)
    np.testing.assert_allclose(predictions, inputs @ np.asarray(state.params["kernel"]), rtol=1e-5, atol=1e-6)


def test_there_may_be_no_rows_to_predict():
    training = fnnet.training(linear())
    state = training.init(KEY, jnp.ones((1, 2)))
    assert training.predict(state.params, state.model_state, jnp.ones((0, 2))).shape == (0, 1)


@pytest.mark.exhaustive
def test_the_meta_gradient_of_a_chunk_is_its_finite_difference():
    """In float64; an increment of the drop rate of 1e-6 flips no unit of these masks."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        inputs = rng.normal(size=(9, 2))
        table = data.Dataset(jnp.asarray(inputs), jnp.asarray(inputs[:, :1] * inputs[:, 1:]))
        train, validation = table[:6], table[6:]

        def validation_loss(hyperparameters):
            learning_rate, drop_rate = hyperparameters
            model = nn.chain(nn.dense(5), nn.tanh, nn.dropout(drop_rate), nn.dense(1))
            training = fnnet.training(linear(model=model, optimizer=optim.adam(learning_rate)), batch_size=4)
            state, _ = training.chunk(training.init(KEY, train.inputs[:1]), train, steps=5)
            return training.evaluate(state, validation)["loss"]

        point = jnp.array([0.05, 0.3])
        assert point.dtype == jnp.float64
        both = jax.jit(jax.value_and_grad(validation_loss))
        grads = np.asarray(both(point)[1])
        assert np.isfinite(grads).all()
        assert (abs(grads) > 1e-4).all()
        for axis in np.eye(2):
            ahead, behind = (float(both(point + sign * 1e-6 * axis)[0]) for sign in (1, -1))
            np.testing.assert_allclose(grads @ axis, (ahead - behind) / 2e-6, rtol=1e-5)


def test_a_state_maps_over_keys_like_a_loop(flowers, flowers_training):
    training, _, _ = flowers_training
    keys = jax.random.split(KEY, 3)
    mapped = jax.jit(jax.vmap(lambda k: training.init(k, flowers[0].inputs[:1]).params))(keys)
    for lane in range(3):
        alone = training.init(keys[lane], flowers[0].inputs[:1]).params
        close(jax.tree.map(lambda leaf, lane=lane: leaf[lane], mapped), as_numpy(alone))


@pytest.mark.parametrize("when", [0, 5])
def test_a_step_that_is_not_finite_leaves_the_last_finite_state(when, line):
    def learning_rate(t):
        return jnp.where(t == when, jnp.nan, 0.05)

    training = fnnet.training(linear(optimizer=optim.adam(learning_rate)))
    calm = fnnet.training(linear(optimizer=optim.adam(0.05)))
    state = training.init(KEY, line.inputs[:1])
    after, _ = jax.jit(lambda s: training.chunk(s, line, steps=9))(state)
    assert (int(after.status), int(after.step)) == (DIVERGED, when)
    expected = jax.jit(lambda s: calm.chunk(s, line, steps=when)[0])(state) if when else state
    close((after.params, after.optimizer_state), as_numpy((expected.params, expected.optimizer_state)))


def test_an_exploding_run_keeps_finite_parameters_and_accumulators(line):
    training = fnnet.training(linear(optimizer=optim.sgd(1e12, momentum=0.9)), batch_size=3)
    state = training.init(KEY, line.inputs[:1])
    state, rows = jax.jit(lambda s: training.advance(s, line, line, 0, 12))(state)
    assert int(state.status) == DIVERGED
    kept = state._replace(key=(), stall=(), best=state.best._replace(score=()))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(kept))
    assert np.isnan(rows["train/loss"]).all()


def test_a_plain_pair_that_takes_no_extra_arguments_is_an_optimizer(line):
    import typing

    class Pair(typing.NamedTuple):
        init: typing.Any
        update: typing.Any

    def update(updates, state, params=None):
        return jax.tree.map(lambda g: -RATE * g, updates), state

    state = fnnet.training(linear()).init(KEY, line.inputs[:1])
    theirs = fnnet.training(linear(optimizer=Pair(lambda params: (), update)))
    after, _ = theirs.step(state._replace(optimizer_state=()), line)
    ours, _ = fnnet.training(linear()).step(state, line)
    close(after.params, as_numpy(ours.params))


def test_an_optimizer_is_offered_value_gradient_and_value_function(line):
    seen = {}

    def update(grads, state, params=None, *, value, grad, value_fn):
        seen.update(value=value, again=value_fn(params), same=grad is grads)
        return grads, state

    learner = linear(optimizer=optim.Optimizer(lambda params: (), update))
    training = functions(learner)
    _, logs = training.step(training.init(KEY, line.inputs[:1]), line)
    assert seen["same"]
    np.testing.assert_allclose(seen["value"], logs["loss"], rtol=1e-6)
    np.testing.assert_allclose(seen["again"], logs["loss"], rtol=1e-6)
