"""The `multibox` command."""

from typing import Annotated

import typer

from . import check
from .boundary import one_line_errors, show_tracebacks
from .convert import convert
from .convert_data import convert_data
from .demo import demo
from .evaluate import evaluate
from .pretrained import pretrained

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


app.add_typer(check.app, name="check")
app.command()(convert)
app.command()(convert_data)
app.command()(demo)
app.command()(evaluate)
app.command()(pretrained)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the code an error arose.")] = False,
):
    """SSD object detection for Keras 3."""
    show_tracebacks(debug)


def main():
    """Runs the command.

    Exit status: 0 done; 1 an error, for `check` findings; 2 wrong usage, for `check` also an error.
    """
    with one_line_errors("multibox", 1):
        app()
