"""Before the work: every core a device, a folder to write to, the data in three parts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fnnet.data import Dataset

_OPTIONS = {
    "target=...": "--target COLUMN",
    "missing=": "--missing ",
    "early_stopping is": "--early-stopping is",
    "checkpoint=.": "--checkpoint.",
    "checkpoint=": "--checkpoint ",
    "by resume=True": "by --resume",
    "resume=True": "--resume",
}


class Parts(NamedTuple):
    """Data for fitting, for choosing, and for saying how good the choice is.

    ``published`` says that the last is the test part that the data came with.
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    published: bool = False


def three_parts(dataset: Dataset, key: Any, test_rows: int = 0) -> Parts:
    """Splits the data into 64 % for training, 16 % for validation and 20 % for the test.

    Where the last ``test_rows`` were published as a test part, they are it, and of the others 20 % are for validation.
    """
    import jax

    from fnnet.data import split

    if test_rows:
        rest, test = dataset[:-test_rows], dataset[-test_rows:]
    else:
        rest, test = split(dataset, fraction=0.2, key=jax.random.fold_in(key, 0))
    train, validation = split(rest, fraction=0.2, key=jax.random.fold_in(key, 1))
    return Parts(train, validation, test, test_rows > 0)


def prepare(
    command: str,
    source: str,
    target: str | None,
    missing: str,
    out: Path | None,
    seed: int,
    resumable: str | None = None,
) -> tuple[Path, Parts, Any]:
    """The folder to write to, the data in three parts, and the key for what follows."""
    import jax

    from fnnet.cli.printing import output_folder
    from fnnet.data import available, read
    from fnnet.data.bundled import TEST_ROWS

    options: dict[str, str] = {}
    bundled, suffix = source in available(), Path(source).suffix.lower()
    if target is not None:
        options["targets" if suffix == ".npz" else "target"] = target
    if not bundled and suffix in (".csv", ".parquet"):
        options["missing"] = missing
    with as_options():
        dataset = read(source, **options)
    folder = output_folder(out, f"{command}-{source if bundled else Path(source).stem}", resumable)
    key = jax.random.key(seed)
    published = TEST_ROWS.get(source, 0) if bundled else 0
    return folder, three_parts(dataset, jax.random.fold_in(key, 0), published), jax.random.fold_in(key, 1)


@contextlib.contextmanager
def as_options() -> Iterator[None]:
    """Errors that speak of the arguments of a function, in terms of the command's options."""
    from fnnet.errors import FnnetError

    try:
        yield
    except FnnetError as error:
        sentence = error.sentence
        for argument, option in _OPTIONS.items():
            sentence = sentence.replace(argument, option)
        raise type(error)(error.where, sentence, error.layer) from error


def use_every_core() -> None:
    """Makes each core a device of JAX on a CPU, where runs of a sweep are divided over devices."""
    import jax

    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    told = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    config: Any = jax.config
    if told or config.jax_num_cpu_devices != -1:
        return  # the user has decided
    with contextlib.suppress(RuntimeError):  # JAX has started already, as in tests
        config.update("jax_num_cpu_devices", cores)
