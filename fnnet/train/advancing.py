"""Many updates in one call, with evaluations between them: the loop that `fit` and `sweep` spend their time in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from fnnet.data import Dataset
from fnnet.data.folding import Selection
from fnnet.data.streams import Window
from fnnet.errors import StructureError
from fnnet.optim import learning_rate
from fnnet.optim.inspection import has_learning_rate
from fnnet.train.learner import Learner, Monitor
from fnnet.train.lockstep import anywhere, least
from fnnet.train.sampling import sampler, steps_per_epoch
from fnnet.train.state import FINISHED, RUNNING, Best, Tally, TrainState, settled
from fnnet.train.stopping import EarlyStopping, watched
from fnnet.trees import global_norm, is_finite, tree_branch, tree_where
from fnnet.types import Array, Integer, PyTree

ROWS_A_CALL = 64
"""Room for evaluations in one call of `Training.advance`."""

Update = Callable[[TrainState, Dataset], tuple[TrainState, Array, Array, PyTree]]
"""``update(state, batch) -> (state, loss, whether it is finite, gradient)``, without a look at the outcome."""


class _Carry(NamedTuple):
    """What `Training.advance` knows between two parts of a call.

    Steps ``done`` in it; until which of them they are done ``one_by_one``; periods ``ended``; and what it returns.
    """

    done: Array
    one_by_one: Array
    ended: Array
    state: TrainState
    rows: dict[str, Array]


def advancing(
    learner: Learner,
    update: Update,
    evaluate: Callable[[TrainState, Dataset], dict[str, Array]],
    scores: Sequence[str],
    chosen: Monitor,
    *,
    batch_size: int | None,
    period: int | None,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """`Training.advance`, made of an update and an evaluation of one learner, whose ``scores`` have these names."""

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
        source = sampler(train, batch_size)
        checked = validation.whole() if isinstance(validation, Selection) else validation
        if period is None and isinstance(train, Window):
            raise StructureError("training.advance", "a window of a stream does not say how long a period is.")
        every = period or steps_per_epoch(len(train), batch_size)  # type: ignore[arg-type]
        reads_rate = has_learning_rate(learner.optimizer, state.optimizer_state)

        def close(state: TrainState) -> tuple[TrainState, dict[str, Array]]:
            row = {"train/loss": state.tally.loss / state.tally.weight, "gradient_norm": state.tally.gradient_norm}
            if checked is not None:
                row |= {f"validation/{name}": value for name, value in evaluate(state, checked).items()}
            if reads_rate:
                row["learning_rate"] = learning_rate(learner.optimizer, state.optimizer_state)
            running = state.status == RUNNING
            # Without validation the latest parameters count as the best.
            now = row[chosen.name if validation is not None else "train/loss"].astype(state.best.score.dtype)
            better = (chosen.better(now, state.best.score) if validation is not None else True) & running
            best = tree_branch(better, Best(state.params, state.model_state, now, state.step), state.best)
            tally = tree_where(running, Tally(*(jnp.zeros_like(total) for total in state.tally)), state.tally)
            row = {name: jnp.where(running, value, jnp.nan).astype(now.dtype) for name, value in row.items()}
            state = state._replace(best=best, tally=tally)
            if stopping is not None:
                state = watched(state, now, chosen, stopping)
            if until is not None:
                done = (state.status == RUNNING) & (state.step >= until)
                state = state._replace(status=jnp.where(done, FINISHED, state.status))
            return state, row

        names = ["train/loss"] + ([f"validation/{name}" for name in scores] if validation is not None else [])
        names += ["gradient_norm"] + (["learning_rate"] if reads_rate else [])
        rows = {name: jnp.full(ROWS_A_CALL, jnp.nan) for name in names}

        def part(carry: _Carry) -> _Carry:
            """Steps up to where the period, the epoch, a lane or the call ends, whichever comes first, and a look.

            If something is not finite in any lane, all of these steps are taken back and done again one by one, with
            a look at each: to look always would cost a large part of a small step.
            """
            state = carry.state
            running = state.status == RUNNING
            active = running if until is None else running & (state.step < until)
            left = every - (start + carry.done) % every
            now = jnp.minimum(steps - carry.done, left)
            of_lanes = [] if until is None else [until - state.step]
            of_lanes += [] if source.left is None else [source.left(state)]
            for steps_left in of_lanes:
                now = jnp.minimum(now, least(jnp.where(active, steps_left, jnp.iinfo(jnp.int32).max)))
            now = jnp.where(carry.done < carry.one_by_one, 1, now)
            order = source.order(state)

            def one(index: Array, carry: tuple[TrainState, Any, Array]) -> Any:
                state, rows, sound = carry
                state, _, finite, grads = update(state, source.batch(rows))
                # At the last step alone: a sum over all parameters at every step would cost a tenth of a small one.
                norm = state.tally.gradient_norm
                norm = lax.cond(index == now - 1, lambda g: global_norm(g).astype(norm.dtype), lambda _: norm, grads)
                state = state._replace(tally=state.tally._replace(gradient_norm=norm))
                # The next step's rows, for what is carried is worked out once, and not by each of their readers.
                return state, source.rows(state, order), sound & finite

            begun = (state, source.rows(state, order), jnp.ones((), bool))
            after, _, sound = lax.fori_loop(0, now, one, begun)
            sound &= is_finite(after.params)
            again = anywhere(active & ~sound) & (now > 1)
            state = settled(state, after, active & ~again, sound)

            def end_of_period(state: TrainState, rows: dict[str, Array]) -> Any:
                state, row = close(state)
                return state, {
                    name: values.at[carry.ended].set(row[name].astype(values.dtype)) for name, values in rows.items()
                }

            ends = ((now == left) | (last & (carry.done + now == steps))) & ~again
            state, rows = lax.cond(ends, end_of_period, lambda state, rows: (state, rows), state, carry.rows)
            return _Carry(
                carry.done + jnp.where(again, 0, now),
                jnp.where(again, carry.done + now, carry.one_by_one),
                carry.ended + ends.astype(carry.ended.dtype),
                state,
                rows,
            )

        def goes_on(carry: _Carry) -> Array:
            return (carry.done < steps) & anywhere(carry.state.status == RUNNING)

        zero = jnp.zeros((), jnp.int32)
        end = lax.while_loop(goes_on, part, _Carry(zero, zero, zero, state, rows))
        return end.state, end.rows

    return advance
