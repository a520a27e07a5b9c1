"""What the command trains: multilayer perceptrons from raw inputs to answers in the data's units."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from fnnet import losses, metrics, nn, optim
from fnnet.data import Dataset, standardizer
from fnnet.errors import DataError
from fnnet.recipes import recipe
from fnnet.train import Learner

if TYPE_CHECKING:
    from fnnet.types import Scalar, Schedule

Numbers = tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Perceptron:
    """Multilayer perceptrons for one task: a function from hyperparameters to a `fnnet.Learner`.

    The network standardises its inputs itself, unless they lie in [0, 1] as pixels do, and, where it predicts
    numbers, undoes the standardisation of its outputs, so that a saved model takes inputs as they stand in the file.
    Two of these are equal if their fields are, so they share compiled programs. `Perceptron.fitted` takes the fields
    from training data.

    Args:
        outputs: number of classes, or of numbers to predict.
        classes: whether the targets are classes.
        input_shift, input_scale: the mean and standard deviation of each input feature.
        target_shift, target_scale: the same of each number to predict; empty for classes.

    >>> from fnnet import data
    >>> Perceptron.fitted(data.load("iris"))
    Perceptron(outputs=3, classes=True)
    """

    outputs: int
    classes: bool
    input_shift: Numbers = dataclasses.field(repr=False)
    input_scale: Numbers = dataclasses.field(repr=False)
    target_shift: Numbers = dataclasses.field(default=(), repr=False)
    target_scale: Numbers = dataclasses.field(default=(), repr=False)

    @classmethod
    def fitted(cls, train: Dataset) -> Perceptron:
        """The perceptrons for a task, scaled to its training data.

        Args:
            train: the training part alone; nothing may be known of the others.

        Raises:
            DataError: the targets are classes, but all of one class.
        """
        inputs = _scaling(_flat(train.inputs))
        targets = np.asarray(train.targets)
        if np.issubdtype(targets.dtype, np.integer):
            names = train.about.classes
            outputs = len(names) if names else int(targets.max()) + 1
            if outputs < 2:
                raise DataError("fnnet", "all targets are of one class, so there is nothing to learn.")
            return cls(outputs, True, *inputs)
        scaler = standardizer(_flat(targets))
        return cls(len(scaler.shift), False, *inputs, _numbers(scaler.shift), _numbers(scaler.scale))

    def __call__(
        self,
        learning_rate: Scalar | Schedule = 3e-3,
        drop_rate: Scalar = 0.0,
        weight_decay: Scalar = 0.0,
        width: int = 64,
        depth: int = 2,
        activation: str = "relu",
        precision: str | None = None,
    ) -> Learner:
        """The learner with these hyperparameters.

        Args:
            learning_rate: of AdamW, above 0, or a schedule.
            drop_rate: dropout after each hidden layer, in [0, 1).
            weight_decay: of AdamW, 0 or more.
            width: units of a hidden layer.
            depth: number of hidden layers; 0 gives a linear model.
            activation: the name of a function of `fnnet.nn`.
            precision: what the layers compute in, as in `nn.mixed_precision`. Inputs and outputs are scaled in
                float32 all the same: a bfloat16 number of 1000 has steps of 4.
        """
        body = nn.chain(*self.hidden(drop_rate, width, depth, activation), nn.dense(self.outputs))
        parts: list[Any] = [nn.flatten, affine(_array(self.input_shift), _array(self.input_scale)), clip]
        parts.append(body if precision is None else nn.mixed_precision(body, precision))
        optimizer = optim.adamw(learning_rate, weight_decay=weight_decay)
        if self.classes:
            accuracy = {"accuracy": metrics.accuracy}
            return Learner(nn.chain(*parts), losses.softmax_cross_entropy, optimizer, accuracy)
        shift, scale = _array(self.target_shift), _array(self.target_scale)
        # The inverse of y ↦ (y − shift) / scale, written as a map of the same form.
        parts.append(affine(-shift / scale, 1 / scale))
        scores = {"r2": metrics.r2, "mean_absolute_error": metrics.mean_absolute_error}
        return Learner(nn.chain(*parts), relative_squared_error(scale), optimizer, scores)

    def hidden(self, drop_rate: Scalar, width: int, depth: int, activation: str) -> list[Any]:
        """The layers between the standardised inputs and the last layer."""
        return [
            part for _ in range(depth) for part in (nn.dense(width), getattr(nn, activation), nn.dropout(drop_rate))
        ]


@recipe
def affine(shift: Any, scale: Any) -> nn.Layer:
    """The fixed map x ↦ (x − shift) / scale as a layer.

    Shift and scale are state of the layer, not parameters: training leaves them alone, a saved model has them.

    Args:
        shift: array (features,).
        scale: array (features,), without zeros.

    Returns:
        Layer that keeps the shape.
    """
    import jax.numpy as jnp

    def init(key: Any, x: Any) -> tuple[Any, Any]:
        return (), {"shift": jnp.asarray(shift), "scale": jnp.asarray(scale)}

    def apply(params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        return (x - state["shift"][None]) / state["scale"][None], state

    return nn.Layer(init, apply)


def clip(x: Any) -> Any:
    """Standardised inputs within ±5: a feature that hardly ever varies may otherwise be 30 when it does.

    >>> clip(np.array([-7.0, 0.5])).tolist()
    [-5.0, 0.5]
    """
    return x.clip(-5.0, 5.0)


@recipe
def relative_squared_error(scale: Any) -> Any:
    """The squared error in units of the targets' standard deviation: 1 is no better than the mean.

    ℓ(f, y) = ((f − y) / scale)²

    Args:
        scale: array (outputs,).

    Returns:
        A loss.
    """

    def loss(predictions: Any, targets: Any, *, weights: Any = None) -> Any:
        return losses.squared_error(predictions / scale[None], targets / scale[None], weights=weights)

    return loss


def _scaling(inputs: np.ndarray) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of each feature; 0 and 1 where all inputs lie between these.

    Such inputs, pixels mostly, share a scale that means something: dividing each by its own spread would make the
    most of those at the edge that hardly ever vary.
    """
    if inputs.min() >= 0 and inputs.max() <= 1:
        features = inputs.shape[1]
        return (0.0,) * features, (1.0,) * features
    scaler = standardizer(inputs)
    return _numbers(scaler.shift), _numbers(scaler.scale)


def _flat(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return array.reshape(len(array), -1).astype(np.float32)


def _numbers(values: Any) -> Numbers:
    return tuple(float(value) for value in np.ravel(values))


def _array(values: Numbers) -> np.ndarray:
    return np.asarray(values, np.float32)
