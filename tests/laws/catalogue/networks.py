"""Every public layer that is made of others, and the ones over a time axis."""

from __future__ import annotations

from catalogue.cases import Case
from fnnet import nn

NETWORKS: dict[str, list[Case]] = {
    "chain": [
        Case(
            lambda drop_rate: nn.chain(nn.dense(6), nn.relu, nn.chain(nn.dropout(drop_rate), nn.dense(2))),
            {"drop_rate": (0.3, 0.8)},
        ),
        Case(lambda: nn.chain(hidden=nn.dense(6), bend=nn.relu, out=nn.dense(2))),
    ],
    "mlp": [Case(lambda drop_rate: nn.mlp([6, 2], drop_rate=drop_rate), {"drop_rate": (0.3, 0.8)})],
}
