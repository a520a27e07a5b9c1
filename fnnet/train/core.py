"""The pure core of training: six functions without side effects, which `fit` and `sweep` are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet import draws
from fnnet.calling import innermost
from fnnet.data import Dataset
from fnnet.errors import ShapeError
from fnnet.metrics import as_metric, averaged
from fnnet.nn import as_layer
from fnnet.nn.base import apply_layer
from fnnet.optim.base import apply_updates, call_update
from fnnet.optim.status import skipped
from fnnet.train.advancing import advancing
from fnnet.train.evaluation import evaluated, predicted
from fnnet.train.learner import Learner, Monitor, check_learner, choose_monitor, log_prior
from fnnet.train.placement import Placement
from fnnet.train.sampling import sampler
from fnnet.train.state import RUNNING, Best, Stall, Tally, TrainState, settled
from fnnet.trees import global_norm, is_finite, tree_where
from fnnet.types import Array, Integer, PyTree


class Training(NamedTuple):
    """Pure functions that train one learner; any of them may be put in jit, scan, vmap or grad.

    - ``init(key, x) -> TrainState`` for inputs like ``x``.
    - ``step(state, batch) -> (state, logs)``: one update on a `Dataset`.
    - ``chunk(state, data, steps) -> (state, logs)``: that many updates on batches drawn without replacement.
    - ``evaluate(state, data) -> scores``: loss and metrics over every example.
    - ``predict(params, model_state, inputs) -> predictions``.
    - ``advance(state, train, validation, start, steps, last=False, stopping=None, until=None) -> (state, rows)``: a
      chunk that evaluates at the end of each period (an epoch, unless told) and keeps the best parameters.
    """

    init: Callable[..., TrainState]
    step: Callable[..., tuple[TrainState, dict[str, Array]]]
    chunk: Callable[..., tuple[TrainState, dict[str, Array]]]
    evaluate: Callable[..., dict[str, Array]]
    predict: Callable[..., Any]
    advance: Callable[..., tuple[TrainState, dict[str, Array]]]


def functions(
    learner: Learner,
    *,
    batch_size: int | None = None,
    monitor: Monitor | None = None,
    period: int | None = None,
    placement: Placement | None = None,
) -> Training:
    """The functions of `fnnet.training` before they are jitted; the compiled programs are made of them.

    ``period`` is the number of steps between evaluations, an epoch unless told; ``placement`` says over which
    devices a batch is divided.
    """
    check_learner("training", learner)
    model = as_layer(learner.model)
    score = {"loss": averaged(learner.loss)} | {name: as_metric(f) for name, f in learner.metrics.items()}
    chosen = monitor or choose_monitor("training", learner, None, validated=True)

    def init(key: Array, x: Any) -> TrainState:
        params, model_state = model.init(draws.key_for(key, draws.INITIALISATION), x)
        score = jnp.full((), chosen.worst, jnp.result_type(float))
        # Copies, so that no buffer is there twice and the state can be donated.
        best = jax.tree.map(jnp.copy, (params, model_state))
        return TrainState(
            params=params,
            model_state=model_state,
            optimizer_state=learner.optimizer.init(params),
            best=Best(best[0], best[1], score, jnp.zeros((), jnp.int32)),
            status=jnp.full((), RUNNING, jnp.int32),
            step=jnp.zeros((), jnp.int32),
            key=key,
            tally=Tally(*(jnp.zeros(()) for _ in Tally._fields)),
            stall=Stall(score, jnp.zeros((), jnp.int32)),
        )

    def step(state: TrainState, batch: Dataset) -> tuple[TrainState, dict[str, Array]]:
        state, value, grads = checked_update(state, batch)
        return state, {"loss": value, "gradient_norm": global_norm(grads)}

    def checked_update(state: TrainState, batch: Dataset) -> tuple[TrainState, Array, PyTree]:
        """One update if the run goes on and the outcome is finite: the state after it, the loss and the gradient."""
        after, value, sound, grads = update(state, batch)
        return settled(state, after, state.status == RUNNING, sound & is_finite(after.params)), value, grads

    def update(state: TrainState, batch: Dataset) -> tuple[TrainState, Array, Array, PyTree]:
        """One update: the state after it, the loss, whether that is finite, and the gradient."""
        key = draws.key_for(state.key, draws.NOISE, state.step)
        if placement is not None:
            batch = placement.divide(batch)
        if learner.transform is not None:
            batch = learner.transform(draws.key_for(state.key, draws.AUGMENTATION, state.step), batch)

        def objective(params: PyTree) -> tuple[Array, Any]:
            counted = {} if batch.weights is None else {"weights": jnp.asarray(batch.weights)}
            predictions, model_state = apply_layer(
                model, params, state.model_state, batch.inputs, key=key, train=True, **counted
            )
            loss, weight = _weighted_sum(learner.loss, predictions, batch)
            value = loss / jnp.maximum(weight, jnp.finfo(weight.dtype).tiny)
            if learner.prior is not None:
                value = value - log_prior(learner.prior, params).astype(value.dtype)
            return value, (model_state, loss, weight)

        (value, (model_state, loss, weight)), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
        extra = {
            "value": value,
            "grad": grads,
            "value_fn": lambda params: objective(params)[0],
            "key": draws.key_for(state.key, draws.SEARCH, state.step),
        }
        updates, optimizer_state = call_update(learner.optimizer, grads, state.optimizer_state, state.params, extra)
        # Updates that the optimizer has left out on purpose are none; nothing of such a batch is kept or counted.
        omitted = skipped(optimizer_state)

        def added(total: Array, part: Array) -> Array:
            return total + jnp.where(omitted, 0, part).astype(total.dtype)

        after = state._replace(
            params=apply_updates(state.params, updates),
            model_state=tree_where(omitted, state.model_state, model_state),
            optimizer_state=optimizer_state,
            step=state.step + 1,
            tally=state.tally._replace(loss=added(state.tally.loss, loss), weight=added(state.tally.weight, weight)),
        )
        return after, value, jnp.isfinite(value) | omitted, grads

    def chunk(state: TrainState, data: Dataset, steps: Integer) -> tuple[TrainState, dict[str, Array]]:
        source = sampler(data, batch_size)

        def body(_: Any, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            state, total = carry
            state, value, _ = checked_update(state, source.next(state))
            return state, total + value.astype(total.dtype)

        state, total = lax.fori_loop(0, steps, body, (state, jnp.zeros(())))
        return state, {"loss": total / steps}

    def evaluate(state: TrainState, data: Dataset) -> dict[str, Array]:
        divide = (lambda rows: rows) if placement is None else placement.divide
        return evaluated(score, model.apply, state.params, state.model_state, data, batch_size, divide)

    def predict(params: PyTree, model_state: PyTree, inputs: Array) -> Any:
        return predicted(model.apply, params, model_state, jnp.asarray(inputs), batch_size)

    advance = advancing(learner, update, evaluate, list(score), chosen, batch_size=batch_size, period=period)
    return Training(init, step, chunk, evaluate, predict, advance)


def _weighted_sum(loss: Callable[..., Any], predictions: Any, batch: Dataset) -> tuple[Array, Array]:
    """Σ w·ℓ and Σ w over a batch.

    The weights are applied here and not left to the loss, so that any function of one value an example serves,
    and the rows that fill up a short batch never count.
    """
    examples = batch.inputs.shape[0]
    values = loss(predictions, jnp.asarray(batch.targets))
    if jnp.shape(values) != (examples,):
        name = getattr(innermost(loss), "__name__", "loss")
        raise ShapeError(
            "training",
            f"the loss {name} returned shape {jnp.shape(values)}, but there has to be one value an example, "
            f"({examples},). Leave the mean over the batch to training.",
        )
    if batch.weights is None:
        return values.sum(), jnp.full((), examples, values.dtype)
    weights = jnp.asarray(batch.weights).astype(values.dtype)
    if weights.shape != values.shape:
        raise ShapeError(
            "training", f"weights have shape {weights.shape}, but one an example is needed, {values.shape}."
        )
    return jnp.where(weights == 0, 0, values * weights).sum(), weights.sum()
