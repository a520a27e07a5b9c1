"""The little language of ``--space``: ``learning_rate=log:1e-4:1e-1``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fnnet.sweeps.space import Dimension

ACTIVATIONS = ("relu", "tanh", "gelu", "silu", "elu", "leaky_relu", "logistic", "softplus", "identity")

KINDS = {
    "log": "log:LOW:HIGH",
    "uniform": "uniform:LOW:HIGH",
    "int": "int:LOW:HIGH",
    "choice": "choice:A,B,…",
    "grid": "grid:A,B,…",
    "static": "static:A,B,…",
}

MOST_PROGRAMS = 8
"""How many values ``int:LOW:HIGH`` may stand for, since each is compiled for itself."""

USUAL: dict[str, dict[str, Any]] = {
    "mlp": {"epochs": 50, "learning_rate": 3e-3, "width": 128, "depth": 2, "drop_rate": 0.2},
    "conv": {"epochs": 20, "learning_rate": 3e-3, "width": 16, "depth": 2, "drop_rate": 0.25},
}
"""How ``fnnet train`` trains each ``--model`` unless told."""

MANY_ROWS = 10_000
"""From so many training rows on, ``fnnet train`` takes 128 of them a step unless told, else 32.

With 50 epochs, 32 rows and a learning rate of 3e-3 are right for hundreds of rows and too noisy for 48,000; a smaller
learning rate for all would leave the small data far from trained.
"""

SCHEDULES = ("cosine", "constant")
PRECISIONS = ("bfloat16", "float16")

_WHERE = "--space"
_OTHER_NAMES = {"lr": "learning_rate", "dropout": "drop_rate", "hidden": "width", "layers": "depth"}
_OPTIONS = ("batch_size", "epochs", "trials", "seeds", "seed")


class Rule(NamedTuple):
    """What a hyperparameter may be; with ``structure`` it fixes the program, so its values are enumerated."""

    read: Callable[[str], Any]
    fits: Callable[[Any], bool]
    words: str
    structure: bool = False
    example: str = ""


HYPERPARAMETERS = {
    "learning_rate": Rule(float, lambda x: 0 < x < math.inf, "a number above 0"),
    "drop_rate": Rule(float, lambda x: 0 <= x < 1, "a number from 0 to below 1"),
    "weight_decay": Rule(float, lambda x: 0 <= x < math.inf, "a number from 0 on"),
    "width": Rule(int, lambda x: x >= 1, "a whole number from 1 on", True, "width=static:32,64,128"),
    "depth": Rule(int, lambda x: x >= 0, "a whole number from 0 on", True, "depth=static:1,2,3"),
    "activation": Rule(
        str,
        lambda x: x in ACTIVATIONS,
        f"one of {', '.join(ACTIVATIONS)}",
        True,
        "activation=static:relu,tanh",
    ),
}


def parse_space(text: str) -> tuple[str, Dimension]:
    """Reads one ``--space`` argument.

    ``name=log:LOW:HIGH`` is uniform in the logarithm, ``uniform:LOW:HIGH`` plainly so, ``choice:A,B`` draws
    one of the values, ``grid:A,B`` and ``static:A,B`` try every one, ``int:LOW:HIGH`` every whole number from
    LOW to HIGH, and ``name=VALUE`` is a constant. What fixes the structure of the network (width, depth,
    activation) has to be enumerated, so there ``choice`` and ``grid`` mean ``static``.

    Args:
        text: the argument.

    Returns:
        The hyperparameter's name and its dimension, as `fnnet.hp` makes it.

    Raises:
        HyperparameterError: the text does not follow the grammar, or a value is out of range.

    >>> parse_space("learning_rate=log:1e-4:1e-1")
    ('learning_rate', log_uniform(0.0001, 0.1))
    >>> parse_space("width=static:32,64")
    ('width', static(32, 64))
    """
    from fnnet.errors import within
    from fnnet.sweeps import space as hp

    name, equals, rest = (part.strip() for part in text.partition("="))
    if not equals or not name or not rest:
        raise _error(f"{text!r} does not read NAME=VALUE or NAME=KIND:…, such as learning_rate=log:1e-4:1e-1.")
    rule = _rule(text, name)
    if ":" not in rest:
        return name, hp.static(_value(text, name, rule, rest))
    kind, _, listed = rest.partition(":")
    if kind not in KINDS:
        raise _error(f"{text!r} has the kind {kind!r}, but the kinds are {', '.join(KINDS)}.{_closest(kind, KINDS)}")
    with within(_WHERE):
        if kind in ("choice", "grid", "static"):
            values = [_value(text, name, rule, part) for part in listed.split(",")]
            made = hp.static if rule.structure else {"choice": hp.choice, "grid": hp.grid, "static": hp.static}[kind]
            return name, made(*values)
        low, high = _bounds(text, name, rule, kind, listed.split(":"))
        if kind == "int":
            return name, hp.static(*_whole_numbers(text, name, rule, low, high))
        if rule.structure:
            raise _error(
                f"{text!r} draws {name} from an interval, but each of its values needs a program of its own. "
                f"Use {rule.example}."
            )
        return name, hp.log_uniform(low, high) if kind == "log" else hp.uniform(low, high)


def parse_spaces(texts: Sequence[str], default: dict[str, Dimension]) -> dict[str, Dimension]:
    """The default space with the dimensions that were given on the command line.

    Raises:
        HyperparameterError: a text is wrong, or a name is given twice.
    """
    given: dict[str, Dimension] = {}
    for text in texts:
        name, dimension = parse_space(text)
        if name in given:
            raise _error(f"{name} is given twice, but it can have one dimension. Leave one of them out.")
        given[name] = dimension
    return default | given


def usual(name: str) -> str:
    """What an option is unless told, for the help.

    >>> usual("width"), usual("depth")
    ('[default: 128; conv 16]', '[default: 2]')
    """
    first, *others = ((model, f"{numbers[name]:g}") for model, numbers in USUAL.items())
    differ = [f"{model} {number}" for model, number in others if number != first[1]]
    return f"[default: {'; '.join([first[1], *differ])}]"


def check_word(option: str, word: str, known: Iterable[str]) -> None:
    """Raises unless an option has one of the values that it may have.

    Raises:
        HyperparameterError: it has another.
    """
    if word not in known:
        raise _error(f"it is {word!r}, but has to be one of {', '.join(known)}.{_closest(word, known)}", option)


def parse_scheduler(name: str, epochs: int) -> Any:
    """The scheduler that ``--scheduler`` names, for so many epochs.

    Raises:
        HyperparameterError: there is none of this name.
    """
    from fnnet import schedulers

    known = {
        "halving": lambda: schedulers.successive_halving(),
        "hyperband": lambda: schedulers.hyperband(epochs),
        "median": lambda: schedulers.median_stopping(),
    }
    check_word("--scheduler", name, known)
    return known[name]()


def check_values(values: Mapping[str, Any]) -> None:
    """Raises unless every hyperparameter, given by an option of its own, is what it may be.

    Raises:
        HyperparameterError: a value is out of range.
    """
    for name, value in values.items():
        rule = HYPERPARAMETERS[name]
        if not rule.fits(value):
            hint = _closest(value, ACTIVATIONS) if rule.read is str else ""
            raise _error(f"it is {value!r}, but {name} has to be {rule.words}.{hint}", f"--{name.replace('_', '-')}")


def _rule(text: str, name: str) -> Rule:
    if name in HYPERPARAMETERS:
        return HYPERPARAMETERS[name]
    known = name.replace("-", "_")
    if known in _OPTIONS:
        raise _error(f"{name} is an option of its own and not part of the space: --{known.replace('_', '-')} 64.")
    meant = _OTHER_NAMES.get(known)
    hint = f" Did you mean {meant!r}?" if meant else _closest(known, HYPERPARAMETERS)
    raise _error(f"{text!r} names {name!r}, but the hyperparameters are {', '.join(HYPERPARAMETERS)}.{hint}")


def _value(text: str, name: str, rule: Rule, part: str) -> Any:
    part = part.strip()
    try:
        value = rule.read(part)
    except ValueError:
        value = None
    if value is None or not rule.fits(value):
        hint = _closest(part, ACTIVATIONS) if rule.read is str else ""
        raise _error(f"{text!r} has the value {part!r}, but {name} has to be {rule.words}.{hint}")
    return value


def _bounds(text: str, name: str, rule: Rule, kind: str, bounds: Sequence[str]) -> tuple[Any, Any]:
    if len(bounds) != 2:
        raise _error(f"{text!r} has {len(bounds)} of the two bounds of an interval. Write {name}={KINDS[kind]}.")
    low, high = (_value(text, name, rule, bound) for bound in bounds)
    return low, high


def _whole_numbers(text: str, name: str, rule: Rule, low: Any, high: Any) -> range:
    if rule.read is not int:
        raise _error(f"{text!r} asks for whole numbers, but {name} is {rule.words}. Use {name}={KINDS['uniform']}.")
    if not low <= high:
        raise _error(f"{text!r} goes from {low} to {high}, but LOW may not be above HIGH. Exchange them.")
    if high - low >= MOST_PROGRAMS:
        raise _error(
            f"{text!r} holds {high - low + 1} values, but each needs a program of its own, which takes seconds "
            f"to compile, so {MOST_PROGRAMS} are allowed. Pick some: {rule.example}."
        )
    return range(low, high + 1)


def _closest(word: str, words: Iterable[str]) -> str:
    matches = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def _error(sentence: str, where: str = _WHERE) -> Exception:
    from fnnet.errors import HyperparameterError

    return HyperparameterError(where, sentence)
