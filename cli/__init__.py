"""The `multibox` command."""

import sys

import typer

from ..weights.download import DownloadError
from . import check
from .convert import convert
from .demo import demo

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="SSD object detection for Keras 3.",
)


app.add_typer(check.app, name="check")
app.command()(convert)
app.command()(demo)


def main():
    """Runs the command. An error in files or data prints one line and exits with status 1."""
    try:
        app()
    except (OSError, ValueError, DownloadError) as error:
        print(f"multibox: {error}", file=sys.stderr)
        sys.exit(1)
