"""Every public layer that is made of others, and the ones over a time axis."""

from __future__ import annotations

from catalogue.cases import NUMBERS, SIZES, Case, Wrong
from fnnet import nn

SEQUENCES = (3, 4, 2)
RATES = (*NUMBERS, -0.1, 1.1)


def sized(factory):
    return {"width": Wrong(lambda bad: factory(bad), SIZES)}


def _positive_sum(x):
    return x.sum(axis=-1) > 0


NETWORKS: dict[str, list[Case]] = {
    "chain": [
        Case(
            lambda drop_rate: nn.chain(nn.dense(6), nn.relu, nn.chain(nn.dropout(drop_rate), nn.dense(2))),
            {"drop_rate": (0.3, 0.8)},
        ),
        Case(lambda: nn.chain(hidden=nn.dense(6), bend=nn.relu, out=nn.dense(2))),
    ],
    "parallel": [
        Case(lambda drop_rate: nn.parallel(one=nn.dropout(drop_rate), other=nn.dense(2)), {"drop_rate": (0.3, 0.8)})
    ],
    "residual": [Case(lambda: nn.residual(nn.chain(nn.dense(2), nn.batch_norm()), shortcut=nn.dense(2)))],
    "mlp": [
        Case(
            lambda drop_rate: nn.mlp([6, 2], normalization=nn.batch_norm(), drop_rate=drop_rate),
            {"drop_rate": (0.3, 0.8)},
            wrong={
                "widths": Wrong(lambda bad: nn.mlp([bad, 2]), SIZES),
                "drop_rate": Wrong(lambda bad: nn.mlp([3, 2], drop_rate=bad), RATES),
            },
        )
    ],
    "repeat": [
        Case(
            lambda drop_rate: nn.repeat(nn.chain(nn.dense(3), nn.batch_norm(), nn.dropout(drop_rate)), 2),
            {"drop_rate": (0.3, 0.8)},
            wrong={"times": Wrong(lambda bad: nn.repeat(nn.relu, bad), SIZES)},
        )
    ],
    "freeze": [Case(lambda: nn.freeze(nn.chain(nn.dense(3), nn.batch_norm(), nn.dropout(0.5))))],
    "mixed_precision": [Case(lambda: nn.mixed_precision(nn.chain(nn.dense(3), nn.batch_norm()), "float32"))],
    "remat": [Case(lambda drop_rate: nn.remat(nn.mlp([6, 2], drop_rate=drop_rate)), {"drop_rate": (0.3, 0.8)})],
    "masked": [Case(lambda: nn.masked(nn.mean_over_time(), _positive_sum), shape=SEQUENCES)],
    "rnn": [Case(lambda: nn.rnn(3, activation=nn.relu), shape=SEQUENCES, wrong=sized(nn.rnn))],
    "gru": [Case(lambda: nn.gru(3, reverse=True), shape=SEQUENCES, wrong=sized(nn.gru))],
    "lstm": [
        Case(
            lambda forget_bias: nn.lstm(3, forget_bias=forget_bias),
            {"forget_bias": (1.0, -1.0)},
            shape=SEQUENCES,
            wrong={
                **sized(nn.lstm),
                "forget_bias": Wrong(lambda bad: nn.lstm(3, forget_bias=bad), NUMBERS),
            },
        )
    ],
    "last_step": [Case(lambda: nn.last_step, shape=SEQUENCES)],
    "mean_over_time": [Case(nn.mean_over_time, shape=SEQUENCES)],
    "positional_embedding": [
        Case(
            lambda: nn.positional_embedding(5),
            shape=SEQUENCES,
            wrong={"longest": Wrong(lambda bad: nn.positional_embedding(bad), SIZES)},
        )
    ],
    "multi_head_attention": [
        Case(
            lambda drop_rate: nn.multi_head_attention(2, width=4, causal=True, drop_rate=drop_rate),
            {"drop_rate": (0.3, 0.8)},
            shape=SEQUENCES,
            wrong={
                "heads": Wrong(lambda bad: nn.multi_head_attention(bad), SIZES),
                "width": Wrong(lambda bad: nn.multi_head_attention(1, width=bad), SIZES),
                "drop_rate": Wrong(lambda bad: nn.multi_head_attention(1, drop_rate=bad), RATES),
            },
        )
    ],
    "transformer_block": [
        Case(
            lambda drop_rate: nn.transformer_block(2, hidden=3, drop_rate=drop_rate),
            {"drop_rate": (0.3, 0.8)},
            shape=SEQUENCES,
            wrong={
                "heads": Wrong(lambda bad: nn.transformer_block(bad), SIZES),
                "hidden": Wrong(lambda bad: nn.transformer_block(1, hidden=bad), SIZES),
                "drop_rate": Wrong(lambda bad: nn.transformer_block(1, drop_rate=bad), RATES),
            },
        )
    ],
}
