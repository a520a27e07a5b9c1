"""The structures that ``fnnet train --model`` knows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from fnnet import nn
from fnnet.cli.perceptron import Perceptron
from fnnet.errors import ShapeError

if TYPE_CHECKING:
    from fnnet.data import Dataset
    from fnnet.types import Scalar

HIDDEN = 128
"""Units of the one hidden layer after the convolutions."""


@dataclasses.dataclass(frozen=True)
class Convolutional(Perceptron):
    """Small convolutional networks for one task on images; as `Perceptron`, with convolutions before a hidden layer.

    Each of ``depth`` convolutions has twice the channels of the one before it, on images of half the size: the first,
    5 × 5, moves by two, so that little is to be computed even on a CPU, and after each of the others, 3 × 3, come means
    of 2 × 2. Then stand dropout and a hidden layer of 128 units. ``width`` is the channels of the first. Images
    without an axis of channels are given one.

    Args:
        image: height, width and channels.

    >>> from fnnet import data
    >>> Convolutional.fitted(data.Dataset(np.ones((4, 8, 8), np.float32), np.arange(4, dtype=np.int32)))
    Convolutional(outputs=4, classes=True, image=(8, 8, 1))
    """

    image: tuple[int, ...] = ()

    @classmethod
    def fitted(cls, train: Dataset) -> Convolutional:
        """The networks for a task, scaled to its training data.

        Raises:
            ShapeError: the inputs are not images.
            DataError: the targets are classes, but all of one class.
        """
        shape = np.shape(train.inputs)[1:]
        if len(shape) not in (2, 3):
            raise ShapeError(
                "--model conv",
                f"an input has shape {shape}, but images (height, width) or (height, width, channels) are needed. "
                f"Use --model mlp.",
            )
        task = Perceptron.fitted(train)
        known = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
        return cls(**known, image=(*shape, 1)[:3])

    def hidden(self, drop_rate: Scalar, width: int, depth: int, activation: str) -> list[Any]:
        """The layers between the standardised inputs and the last layer."""
        activate = getattr(nn, activation)
        parts: list[Any] = [nn.reshape(self.image)]
        for number in range(depth):
            if number == 0:
                parts += [nn.conv(width, 5, stride=2), activate]
            else:
                parts += [nn.conv(width * 2**number, 3), activate, nn.avg_pool(2, padding="SAME")]
        return [*parts, nn.dropout(drop_rate), nn.flatten, nn.dense(HIDDEN), activate, nn.dropout(drop_rate)]


STRUCTURES: dict[str, type[Perceptron]] = {"mlp": Perceptron, "conv": Convolutional}
"""What ``--model`` may name."""
