"""The commands together, and the entry point, which also works where typer is not installed."""

from __future__ import annotations

import atexit
import gc
import sys
from typing import Annotated, Any

from fnnet._version import __version__

try:
    import typer
except ImportError:  # it comes with an extra; `main` says so
    typer = None  # type: ignore[assignment]


def data() -> None:
    """List the data that come with the installed packages."""
    from fnnet.cli.telling import sentences

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


def application() -> Any:
    """The command as a typer application."""
    from fnnet.cli.reporting import report
    from fnnet.cli.sweeping import sweep
    from fnnet.cli.training import train

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
    for command in (sweep, train, data, report):
        app.command(command.__name__)(command)
    return app


def main() -> None:
    """The entry point of ``fnnet``."""
    if typer is None:
        sys.exit("fnnet: the command needs the package typer. Install it with: pip install 'fnnet[experiments]'")
    # Else Python, as it ends, looks for cycles among all of JAX: a third of a second. Files are closed by then.
    atexit.register(gc.freeze)
    application()()
