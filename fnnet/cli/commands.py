"""The commands. What is heavy is imported inside of them, so that ``--help`` and ``--version`` are quick."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fnnet._version import __version__

try:
    import typer
except ImportError:  # it comes with an extra; `main` says so
    typer = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from fnnet.cli.perceptron import Parts

SHOWN = 10

if typer is not None:
    Data = Annotated[
        str,
        typer.Argument(
            metavar="DATA", show_default=False, help="A name from 'fnnet data', or a .csv, .parquet or .npz file."
        ),
    ]
    Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="The column to predict, for a file.")]
    Missing = Annotated[
        str, typer.Option(metavar="WHAT", help="Missing values in a table: error, drop (rows) or impute.")
    ]
    Out = Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the results, new or empty.  [default: runs/COMMAND-DATA]"),
    ]
    Seed = Annotated[int, typer.Option(metavar="N", help="The root of every random draw.")]
    BatchSize = Annotated[int, typer.Option(min=1, metavar="N", help="Examples a step.")]
    Epochs = Annotated[int, typer.Option(min=1, metavar="N", help="How often each example is seen.")]
    Space = Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=…",
            help="What a hyperparameter may be: NAME=log:LOW:HIGH, uniform:LOW:HIGH, choice:A,B, grid:A,B, "
            "static:A,B, int:LOW:HIGH, or one VALUE. NAME is learning_rate, drop_rate, weight_decay, width, "
            "depth or activation. Repeatable; the others keep their default.",
        ),
    ]


def sweep(
    source: Data,
    target: Target = None,
    space: Space = None,
    trials: Annotated[int, typer.Option(min=1, metavar="N", help="Points of the space to try.")] = 64,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Runs of each trial.")] = 2,
    epochs: Epochs = 30,
    batch_size: BatchSize = 32,
    out: Out = None,
    seed: Seed = 0,
    missing: Missing = "error",
) -> None:
    """Search hyperparameters: train many networks as one program, keep a table, figures and the best.

    Unless told, learning_rate=log:1e-3:3e-2, drop_rate=uniform:0:0.5 and width=static:64,128. The data are
    split into 64 % to train, 16 % to choose and 20 % to test; the test part is used once, after the choice.
    """
    started = time.perf_counter()
    with sentences():
        use_every_core()
        from fnnet import hp, report
        from fnnet import sweep as run_sweep
        from fnnet.cli.grammar import parse_spaces
        from fnnet.cli.perceptron import Perceptron
        from fnnet.cli.printing import best_rows, described
        from fnnet.errors import require

        default = {
            "learning_rate": hp.log_uniform(1e-3, 3e-2),
            "drop_rate": hp.uniform(0.0, 0.5),
            "width": hp.static(64, 128),
        }
        dimensions = parse_spaces(space or [], default)
        require("fnnet sweep", "matplotlib", "experiments")  # before the work, not after it
        folder, parts, key = prepare("sweep", source, target, missing, out, seed)
        typer.echo(described(parts))
        swept = run_sweep(
            Perceptron.fitted(parts.train), dimensions, parts.train, validation=parts.validation,
            trials=trials, seeds=seeds, epochs=epochs, batch_size=batch_size, key=key, sampler="latin",
            out=folder,
        )  # fmt: skip
        table, history, names = swept.table, swept.history, swept.hyperparameters
        cut_short = int((table["status"] == "running").sum())
        if cut_short:
            typer.echo(f"\nInterrupted: {cut_short} of {len(table)} runs are not finished. What there is:", err=True)
        if table[swept.monitor].notna().any():
            aim: dict[str, Any] = {"monitor": swept.monitor, "maximize": swept.maximize}
            report.plot_curves(history, table=table, path=folder / "curves.png", **aim)
            report.plot_space(table, names, path=folder / "space.png", **aim)
            report.plot_sweep(table, history, names, path=folder / "sweep.png", **aim)
            typer.echo(f"\n{best_rows(swept, SHOWN)}\n")
            best = swept.best
            tell_scores(swept.run(best["trial"], best["seed"]), parts, f"Trial {best['trial']}, seed {best['seed']}")
            tell_ensemble(swept, parts)
        else:
            typer.echo("No run has a score, so there is no best one and nothing to draw.", err=True)
        tell_files(folder, started)


def train(
    source: Data,
    target: Target = None,
    epochs: Epochs = 50,
    learning_rate: Annotated[float, typer.Option(metavar="X", help="Of AdamW, above 0.")] = 3e-3,
    width: Annotated[int, typer.Option(min=1, metavar="N", help="Units of a hidden layer.")] = 128,
    depth: Annotated[int, typer.Option(min=0, metavar="N", help="Hidden layers; 0 for a linear model.")] = 2,
    drop_rate: Annotated[
        float, typer.Option(metavar="X", help="Dropout after each hidden layer, from 0 to below 1.")
    ] = 0.2,
    weight_decay: Annotated[float, typer.Option(metavar="X", help="Of AdamW.")] = 0.0,
    activation: Annotated[
        str, typer.Option(metavar="NAME", help="A function of fnnet.nn, such as relu, tanh or gelu.")
    ] = "relu",
    batch_size: BatchSize = 32,
    out: Out = None,
    seed: Seed = 0,
    missing: Missing = "error",
) -> None:
    """Train one network, keep it with its history and learning curves.

    The data are split into 64 % to train, 16 % to choose the best epoch and 20 % to test.
    """
    started = time.perf_counter()
    with sentences():
        from fnnet import fit, report
        from fnnet.cli.grammar import check_values
        from fnnet.cli.perceptron import Perceptron
        from fnnet.cli.printing import described
        from fnnet.errors import require

        hyperparameters: dict[str, Any] = {
            "learning_rate": learning_rate, "drop_rate": drop_rate, "weight_decay": weight_decay,
            "width": width, "depth": depth, "activation": activation,
        }  # fmt: skip
        check_values(hyperparameters)
        require("fnnet train", "matplotlib", "experiments")
        folder, parts, key = prepare("train", source, target, missing, out, seed)
        typer.echo(described(parts))
        learner = Perceptron.fitted(parts.train)(**hyperparameters)
        run = fit(learner, parts.train, validation=parts.validation, epochs=epochs, batch_size=batch_size, key=key)
        if not run.history.epochs:
            typer.echo("The run has no score, so there is nothing to keep.", err=True)
            raise typer.Exit(1)
        folder.mkdir(parents=True, exist_ok=True)
        run.save(folder / "best.safetensors")
        run.history.to_frame().to_csv(folder / "history.csv")
        chosen: dict[str, Any] = {"monitor": run.monitor.name, "maximize": run.monitor.maximize}
        report.plot_history(run.history, folder / "curves.png", **chosen)
        if run.status == "running":
            typer.echo(f"\nInterrupted after epoch {run.history.epochs} of {epochs}. What there is:", err=True)
        tell_scores(run, parts, f"Step {int(run.state.best.step)}")
        tell_files(folder, started)


def data() -> None:
    """List the data that come with the installed packages."""
    with sentences():
        from fnnet.data import available

        known = available()
        width = max(map(len, known))
        for name, description in known.items():
            typer.echo(f"{name:{width}}  {description}")
        typer.echo("\nAny .csv or .parquet file (with --target COLUMN) and any .npz file will do as well.")


def version(wanted: bool) -> None:
    """Prints the version and ends."""
    if wanted:
        typer.echo(f"fnnet {__version__}")
        raise typer.Exit


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Errors and warnings of fnnet as sentences on stderr, without a traceback; an error ends with code 2."""
    from fnnet.errors import FnnetError, FnnetWarning

    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, FnnetWarning):
                typer.echo(f"Warning: {message}", err=True)
            else:
                usual(message, category, *place, **more)

        warnings.showwarning = show
        warnings.simplefilter("always", FnnetWarning)
        try:
            yield
        except FnnetError as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(2) from error
        except OSError as error:
            typer.echo(f"Error: {error.filename or 'a file'}: {error.strerror or error}.", err=True)
            raise typer.Exit(2) from error


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


def prepare(
    command: str, source: str, target: str | None, missing: str, out: Path | None, seed: int
) -> tuple[Path, Parts, Any]:
    """The folder to write to, the data in three parts, and the key for what follows."""
    import jax

    from fnnet.cli.perceptron import three_parts
    from fnnet.cli.printing import output_folder
    from fnnet.data import available, read
    from fnnet.errors import FnnetError

    options: dict[str, str] = {}
    bundled, suffix = source in available(), Path(source).suffix.lower()
    if target is not None:
        options["targets" if suffix == ".npz" else "target"] = target
    if not bundled and suffix in (".csv", ".parquet"):
        options["missing"] = missing
    try:
        dataset = read(source, **options)
    except FnnetError as error:
        raise type(error)(error.where, as_options(error.sentence)) from error
    folder = output_folder(out, f"{command}-{source if bundled else Path(source).stem}")
    key = jax.random.key(seed)
    return folder, three_parts(dataset, jax.random.fold_in(key, 0)), jax.random.fold_in(key, 1)


def as_options(sentence: str) -> str:
    """A sentence that speaks of arguments of `fnnet.data.read`, in terms of the command's options."""
    for argument, option in (("target=...", "--target COLUMN"), ("missing=", "--missing ")):
        sentence = sentence.replace(argument, option)
    return sentence


def tell_scores(run: Any, parts: Parts, which: str) -> None:
    """Says how the chosen run does on the data that chose it and on data that nothing was chosen by."""
    from fnnet.cli.printing import scores

    chosen, tested = (scores(run.evaluate(part)) for part in (parts.validation, parts.test))
    typer.echo(f"{which} is the best on the {len(parts.validation)} validation rows: {chosen}.")
    typer.echo(f"On the {len(parts.test)} test rows, which played no part until now: {tested}.")


def tell_ensemble(swept: Any, parts: Parts) -> None:
    """Says how the best runs do together: their mean is steadier than the one that a choice happened to fall on."""
    import jax
    import numpy as np

    from fnnet import metrics

    best = swept.top(SHOWN)
    best = best[best[swept.monitor].notna()]
    outputs = swept.predict(parts.test.inputs)[best.index.to_numpy()]
    if np.issubdtype(np.asarray(parts.test.targets).dtype, np.integer):
        name, score = "accuracy", metrics.accuracy(jax.nn.softmax(outputs).mean(axis=0), parts.test.targets)
    else:
        name, score = "r2", metrics.r2(outputs.mean(axis=0), parts.test.targets)
    typer.echo(f"The mean of the {len(best)} best runs, on the same test rows: {name} {float(score):.3g}.")


def tell_files(folder: Path, started: float) -> None:
    """Says what was written where, and how long it all took."""
    from fnnet.cli.printing import duration

    names = ", ".join(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else "nothing"
    typer.echo(f"Wrote {names} to {folder}{os.sep} in {duration(time.perf_counter() - started)}.")


def application() -> Any:
    """The command as a typer application."""
    app = typer.Typer(
        name="fnnet",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    def root(
        version: Annotated[
            bool,
            typer.Option("--version", callback=version, is_eager=True, help="Print the version and exit."),
        ] = False,
    ) -> None:
        pass

    app.callback(help="Train neural networks in JAX: one net, or a whole sweep as one program.")(root)
    for command in (sweep, train, data):
        app.command(command.__name__)(command)
    return app


def main() -> None:
    """The entry point of ``fnnet``."""
    if typer is None:
        sys.exit("fnnet: the command needs the package typer. Install it with: pip install 'fnnet[experiments]'")
    application()()
