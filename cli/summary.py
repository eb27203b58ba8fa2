"""`multibox summary`: the training summary of a run."""

from pathlib import Path
from typing import Annotated

import typer

from .backend import start_keras


def summary(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of `multibox train`.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the files. Default: the run's.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier summary.")] = False,
):
    """Write summary.md: the settings of a run, its curves, and the AP of each class by epoch."""
    start_keras()
    from ..runner import save_summary

    print(f"Written to {save_summary(run, output, overwrite=force)}")
