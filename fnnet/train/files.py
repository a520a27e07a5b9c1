"""Parameters on disk: safetensors, readable without fnnet, with what is needed to use them in the header."""

from __future__ import annotations

import json
import os
import re
import uuid
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from fnnet._version import __version__
from fnnet.errors import FileError, FnnetWarning
from fnnet.nn import as_layer
from fnnet.recipes import describe, split
from fnnet.train.history import History
from fnnet.train.learner import Learner, Monitor, check_learner
from fnnet.train.state import Best, Stall, Tally, TrainState
from fnnet.trees import flatten_with_names, unflatten_from_names

if TYPE_CHECKING:
    from fnnet.train.run import Run


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Replaces a file at once: a crash leaves the old one or the new one, never half of one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if hasattr(os, "O_DIRECTORY"):  # the new name too has to outlive a power cut, before older files are deleted
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def first_difference(before: Any, now: Any, ignored: tuple[str, ...] = (), name: str = "") -> str:
    """The first place where two trees of JSON differ, in words; empty if they are equal."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in before if key not in now)]:
            if key not in ignored:
                found = first_difference(before.get(key), now.get(key), name=f"{name}/{key}" if name else key)
                if found:
                    return found
        return ""
    return "" if before == now else f"its {name} was {before!r} and now is {now!r}"


def save(run: Run, path: str | os.PathLike[str]) -> None:
    """Writes the best parameters and layer states of a run; see `Run.save`."""
    from safetensors.numpy import save as to_bytes

    tree = {"params": run.params, "model_state": run.model_state}
    tensors = {name: np.asarray(leaf, order="C") for name, leaf in flatten_with_names(tree).items()}
    header = {
        "fnnet": __version__,
        "learner": run.description,
        "input": {"shape": list(run.input_spec.shape), "dtype": str(run.input_spec.dtype)},
        "batch_size": run.batch_size,
        "monitor": {"name": run.monitor.name, "maximize": run.monitor.maximize},
        "best": {"score": run.score, "step": int(run.state.best.step)},
        "status": int(run.state.status),
        "step": int(run.state.step),
        "history": {name: values.tolist() for name, values in run.history.items()},
    }
    # Header values are strings; JSON has no NaN, but Python's reader and writer agree on one.
    write_atomically(path, to_bytes(tensors, {name: json.dumps(value) for name, value in header.items()}))


def load(path: str | os.PathLike[str], learner: Learner) -> Run:
    """Reads a run that was saved with `Run.save`, to predict with it or to evaluate it.

    Args:
        path: of the file.
        learner: the learner that was trained; its model has to have the parameters that are in the file.

    Returns:
        `Run` with the best parameters, the history and the scores that were saved. Its optimizer state is new.

    Raises:
        FileError: the file is missing, damaged or not fnnet's, or its parameters are not the model's; the first
            difference is named.

    >>> import jax, tempfile, fnnet
    >>> from fnnet import data, losses, nn, optim
    >>> iris = data.load("iris")
    >>> learner = fnnet.Learner(nn.dense(3), losses.softmax_cross_entropy, optim.sgd(0.01))
    >>> run = fnnet.fit(learner, iris, epochs=1, key=jax.random.key(0), progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run.save(f"{folder}/iris.safetensors")
    ...     again = fnnet.load(f"{folder}/iris.safetensors", learner)
    >>> bool((again.predict(iris.inputs) == run.predict(iris.inputs)).all())
    True
    """
    from fnnet.train.run import Run

    check_learner("load", learner)
    tensors, facts = read_tensors("load", Path(path))
    try:
        spec = jax.ShapeDtypeStruct(tuple(facts["input"]["shape"]), jnp.dtype(facts["input"]["dtype"]))
        monitor = Monitor(**facts["monitor"])
        score, best_step = jnp.asarray(float(facts["best"]["score"])), jnp.asarray(int(facts["best"]["step"]))
        saved, history = facts["learner"], History(facts["history"])
        status, step, batch_size = facts["status"], facts["step"], facts["batch_size"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FileError("load", f"{path} is safetensors, but not a run that fnnet saved: {error!r}.") from error

    def fresh(key: Any, x: Any) -> Any:
        params, model_state = as_layer(learner.model).init(key, x)
        return params, model_state, learner.optimizer.init(params)

    batch = jax.ShapeDtypeStruct((1, *spec.shape), spec.dtype)
    params, model_state, optimizer_state = jax.eval_shape(fresh, jax.random.key(0), batch)
    like = {"params": params, "model_state": model_state}
    _check_same(path, flatten_with_names(like), tensors, saved, describe(learner))
    if _structure(saved) != _structure(describe(learner)):
        warnings.warn(
            f"load: {path} was saved from {saved}; the learner given is {describe(learner)}. The parameters fit, but "
            f"the two compute something else.",
            FnnetWarning,
            stacklevel=2,
        )
    tree = unflatten_from_names(like, {name: jnp.asarray(value) for name, value in tensors.items()})
    zero = jnp.zeros(())
    state = TrainState(
        params=tree["params"],
        model_state=tree["model_state"],
        optimizer_state=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), optimizer_state),
        best=Best(tree["params"], tree["model_state"], score, best_step),
        status=jnp.asarray(status),
        step=jnp.asarray(step),
        key=jax.random.key(0),
        tally=Tally(zero, zero, zero),
        stall=Stall(score, jnp.zeros((), jnp.int32)),
    )
    numbers, skeleton = split(learner)
    return Run(skeleton, numbers, state, history, monitor, spec, batch_size)


def read_tensors(where: str, path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a safetensors file of fnnet's, and the facts in its header.

    Raises:
        FileError: there is no such file, it is cut off, or its header is not fnnet's.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileError(where, f"there is no file {path}.")
    try:
        with safe_open(path, framework="numpy") as file:
            tensors, header = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise FileError(
            where, f"{path} is not a whole safetensors file ({error}). Was it cut off in a copy?"
        ) from error
    try:
        return tensors, {name: json.loads(value) for name, value in header.items()}
    except ValueError as error:
        raise FileError(where, f"{path} is safetensors, but not a run that fnnet saved: {error!r}.") from error


def _structure(description: str) -> str:
    """A description without its floats, which do not decide what is computed at inference."""
    return re.sub(r"-?\d+\.\d*(e[-+]?\d+)?|-?\d+e[-+]?\d+|nan|inf", "#", description)


def first_other(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The first array that is not as wanted: its name, what was found and what was wanted, in words."""
    for name in [*wanted, *found]:
        file, model = found.get(name), wanted.get(name)
        if file is None or model is None or file.shape != model.shape or file.dtype != model.dtype:
            there, right = ("nothing" if leaf is None else f"{leaf.dtype}{list(leaf.shape)}" for leaf in (file, model))
            return name, there, right
    return None


def _check_same(path: Any, wanted: dict[str, Any], found: dict[str, Any], saved: str, given: str) -> None:
    """Raises, naming the first difference, unless file and model have the same parameters."""
    if other := first_other(found, wanted):
        name, there, right = other
        raise FileError(
            "load",
            f"{path} holds another model: at {name} the file has {there} and the model {right}. "
            f"The file was saved from {saved}; the learner given is {given}.",
        )
