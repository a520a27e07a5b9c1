"""Every public learning-rate schedule."""

from __future__ import annotations

import jax.numpy as jnp

from catalogue.cases import Case
from fnnet.optim import schedules

START = {"init_value": (0.1, 0.3)}
SPAN = {"transition_steps": (10.0, 4.0)}

SCHEDULES: dict[str, list[Case]] = {
    "constant": [Case(schedules.constant, {"value": (0.1, 0.3)})],
    "linear_decay": [Case(schedules.linear_decay, {**START, "end_value": (0.01, 0.02), **SPAN})],
    "polynomial": [Case(schedules.polynomial, {**START, "end_value": (0.01, 0.02), "power": (2.0, 0.5), **SPAN})],
    "inverse_time": [Case(schedules.inverse_time, {**START, **SPAN, "power": (1.0, 0.5)})],
    "exponential": [Case(schedules.exponential, {**START, **SPAN, "decay_rate": (0.5, 0.9)})],
    "step": [Case(schedules.step, {**START, **SPAN, "decay_rate": (0.5, 0.9)})],
    "cosine": [Case(schedules.cosine, {**START, "decay_steps": (9.0, 5.0), "alpha": (0.0, 0.1)})],
    "cosine_restarts": [
        Case(
            schedules.cosine_restarts,
            {**START, "decay_steps": (9.0, 4.5), "multiplier": (1.0, 2.0), "alpha": (0.0, 0.1)},
        )
    ],
    "one_cycle": [
        Case(
            schedules.one_cycle,
            {
                "transition_steps": (20.0, 13.0),
                "peak_value": (0.1, 0.3),
                "pct_start": (0.3, 0.5),
                "div_factor": (25.0, 5.0),
                "final_div_factor": (1e4, 10.0),
            },
        )
    ],
    "warm_up": [
        Case(
            lambda warmup_steps, init_value, schedule: schedules.warm_up(warmup_steps, schedule, init_value),
            {"warmup_steps": (5.0, 3.0), "init_value": (0.0, 0.01), "schedule": (0.1, 0.3)},
        ),
        Case(
            lambda peak: schedules.warm_up(5.0, schedules.cosine(peak, 9.0)),
            {"peak": (0.1, 0.3)},
        ),
        Case(  # its rise would otherwise ask the schedule for where it is infinite
            lambda warmup_steps, steps: schedules.warm_up(warmup_steps, schedules.inverse_time(0.1, steps)),
            {"warmup_steps": (5.0, 0.0), "steps": (5.0, 2.0)},
        ),
    ],
    "join": [
        Case(
            lambda first, second: schedules.join(
                [schedules.constant(first), schedules.exponential(second, 3.0, 0.5)], [6]
            ),
            {"first": (0.1, 0.3), "second": (0.2, 0.4)},
        ),
        Case(
            lambda rate, boundary: schedules.join([lambda t: jnp.sqrt(7 - t), rate], [boundary]),
            {"rate": (0.1, 0.3), "boundary": (6.5, 5.0)},
        ),
    ],
    "piecewise": [
        Case(
            lambda first, second, boundary: schedules.piecewise([boundary], [first, second]),
            {"first": (0.1, 0.3), "second": (0.2, 0.4), "boundary": (6.0, 12.0)},
        )
    ],
    "piecewise_scaled": [
        Case(
            lambda init_value, scale, boundary: schedules.piecewise_scaled(init_value, [boundary, 12], [scale, 0.5]),
            {**START, "scale": (0.5, 0.0), "boundary": (6.0, 9.0)},
        )
    ],
}
