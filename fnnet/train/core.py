"""The pure core of training: five functions without side effects, which `fit` and `sweep` are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnnet import draws
from fnnet.calling import innermost
from fnnet.data import Dataset
from fnnet.data.folding import Selection
from fnnet.data.streams import Window
from fnnet.errors import ShapeError, StructureError
from fnnet.metrics import as_metric, averaged
from fnnet.nn import as_layer
from fnnet.nn.base import apply_layer
from fnnet.optim import learning_rate
from fnnet.optim.base import apply_updates, call_update
from fnnet.optim.inspection import has_learning_rate
from fnnet.optim.status import skipped
from fnnet.train.evaluation import evaluated, predicted
from fnnet.train.learner import Learner, Monitor, check_learner, choose_monitor, log_prior
from fnnet.train.placement import Placement
from fnnet.train.sampling import sampler, steps_per_epoch
from fnnet.train.state import DIVERGED, FINISHED, RUNNING, Best, Stall, Tally, TrainState
from fnnet.train.stopping import EarlyStopping, watched
from fnnet.trees import global_norm, squared_norm, tree_where
from fnnet.types import Array, Integer, PyTree

ROWS_A_CALL = 64
"""Room for evaluations in one call of `Training.advance`."""


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
        score = jnp.full((), chosen.worst, jnp.zeros(()).dtype)
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
        state, loss, grads = update(state, batch)
        return state, {"loss": loss, "gradient_norm": global_norm(grads)}

    def update(state: TrainState, batch: Dataset, until: Integer | None = None) -> tuple[TrainState, Array, PyTree]:
        """One update: the state after it, the loss and the gradient; none if ``until`` so many steps are done."""
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
        finite = (jnp.isfinite(value) | omitted) & jnp.isfinite(squared_norm(updates))
        running = state.status == RUNNING
        if until is not None:
            running &= state.step < until
        parts = Tally(loss, weight)
        done = state._replace(
            params=apply_updates(state.params, updates),
            model_state=tree_where(omitted, state.model_state, model_state),
            optimizer_state=optimizer_state,
            step=state.step + 1,
            tally=jax.tree.map(lambda t, part: t + jnp.where(omitted, 0, part).astype(t.dtype), state.tally, parts),
        )
        # A state that is no longer running is left as it is, so the last finite one of a diverged run survives.
        kept = tree_where(running & finite, _moving(done), _moving(state))
        status = jnp.where(running & ~finite, DIVERGED, state.status)
        return state._replace(**kept, status=status), value, grads

    def chunk(state: TrainState, data: Dataset, steps: Integer) -> tuple[TrainState, dict[str, Array]]:
        draw = sampler(data, batch_size)

        def body(_: Any, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            state, total = carry
            state, loss, _ = update(state, draw(state))
            return state, total + loss.astype(total.dtype)

        state, total = lax.fori_loop(0, steps, body, (state, jnp.zeros(())))
        return state, {"loss": total / steps}

    def evaluate(state: TrainState, data: Dataset) -> dict[str, Array]:
        divide = (lambda rows: rows) if placement is None else placement.divide
        return evaluated(score, model.apply, state.params, state.model_state, data, batch_size, divide)

    def predict(params: PyTree, model_state: PyTree, inputs: Array) -> Any:
        return predicted(model.apply, params, model_state, jnp.asarray(inputs), batch_size)

    def advance(
        state: TrainState,
        train: Dataset | Selection | Window,
        validation: Dataset | Selection | None,
        start: Integer,
        steps: Integer,
        last: Any = False,
        stopping: EarlyStopping | None = None,
        until: Integer | None = None,
    ) -> tuple[TrainState, dict[str, Array]]:
        """As many ``steps`` from step ``start``, which is the state's own unless it has diverged before.

        ``start`` is not read from the state so that it stays one number when states are mapped: then the
        evaluation at the end of a period is a branch, and not computed at every step for every lane. Only where it
        stands in its period matters. If these are the ``last`` steps, their end is the end of a period too. A state
        that has done ``until`` steps does no more, and is finished at the end of that period. ``rows`` has
        `ROWS_A_CALL` values a score, NaN where no period of a running state ended.
        """
        draw = sampler(train, batch_size)
        checked = validation.whole() if isinstance(validation, Selection) else validation
        if period is None and isinstance(train, Window):
            raise StructureError("training.advance", "a window of a stream does not say how long a period is.")
        every = period or steps_per_epoch(len(train), batch_size)  # type: ignore[arg-type]
        reads_rate = has_learning_rate(learner.optimizer, state.optimizer_state)

        def close(state: TrainState, norm: Array) -> tuple[TrainState, dict[str, Array]]:
            row = {"train/loss": state.tally.loss / state.tally.weight, "gradient_norm": norm}
            if checked is not None:
                row |= {f"validation/{name}": value for name, value in evaluate(state, checked).items()}
            if reads_rate:
                row["learning_rate"] = learning_rate(learner.optimizer, state.optimizer_state)
            running = state.status == RUNNING
            # Without validation the latest parameters count as the best.
            now = row[chosen.name if validation is not None else "train/loss"].astype(state.best.score.dtype)
            better = (chosen.better(now, state.best.score) if validation is not None else True) & running
            best = tree_where(better, Best(state.params, state.model_state, now, state.step), state.best)
            tally = tree_where(running, Tally(*(jnp.zeros_like(total) for total in state.tally)), state.tally)
            row = {name: jnp.where(running, value, jnp.nan).astype(now.dtype) for name, value in row.items()}
            state = state._replace(best=best, tally=tally)
            if stopping is not None:
                state = watched(state, now, chosen, stopping)
            if until is not None:
                done = (state.status == RUNNING) & (state.step >= until)
                state = state._replace(status=jnp.where(done, FINISHED, state.status))
            return state, row

        names = ["train/loss"] + ([f"validation/{name}" for name in score] if validation is not None else [])
        names += ["gradient_norm"] + (["learning_rate"] if reads_rate else [])
        rows = {name: jnp.full(ROWS_A_CALL, jnp.nan) for name in names}

        def part(carry: tuple[Array, Array, TrainState, dict[str, Array]]) -> Any:
            """The steps up to the end of the period or of the call, whichever comes first."""
            done, ended, state, rows = carry
            left = every - (start + done) % every
            now = jnp.minimum(steps - done, left)
            ends = (now == left) | (last & (done + now == steps))

            def one(index: Array, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
                state, _, grads = update(carry[0], draw(carry[0]), until)
                # Asked for once a period: a sum over all parameters at every step would cost a tenth of a small one.
                wanted = ends & (index == now - 1)
                norm = carry[1]
                norm = lax.cond(wanted, lambda g: global_norm(g).astype(norm.dtype), lambda _: norm, grads)
                return state, norm

            state, norm = lax.fori_loop(0, now, one, (state, jnp.zeros(())))

            def end_of_period(state: TrainState, rows: dict[str, Array]) -> Any:
                state, row = close(state, norm)
                return state, {name: rows[name].at[ended].set(row[name].astype(rows[name].dtype)) for name in rows}

            state, rows = lax.cond(ends, end_of_period, lambda state, rows: (state, rows), state, rows)
            return done + now, ended + ends.astype(ended.dtype), state, rows

        zero = jnp.zeros((), jnp.int32)
        _, _, state, rows = lax.while_loop(lambda carry: carry[0] < steps, part, (zero, zero, state, rows))
        return state, rows

    return Training(init, step, chunk, evaluate, predict, advance)


def _moving(state: TrainState) -> dict[str, Any]:
    """The fields that an update changes."""
    return {name: getattr(state, name) for name in ("params", "model_state", "optimizer_state", "step", "tally")}


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
