"""The `multibox` command.

Commands import what they work with in their functions, so `multibox --help` answers at once.
"""

from typing import Annotated

import typer

from .. import __version__
from . import check
from .benchmark import benchmark
from .boundary import debug_mode, one_line_errors
from .complexity import complexity
from .convert import convert
from .convert_data import convert_data
from .demo import demo
from .evaluate import evaluate
from .examples import examples
from .export import export
from .predict import predict
from .pretrained import pretrained
from .report import report
from .summary import summary
from .train import EXAMPLES, train

GREETING = f"""\
multibox {__version__}: SSD object detection for Keras 3

To begin with:
  multibox check my_data                             finds the mistakes in your data set
  multibox train my_data                             trains a detector on it, in runs/my_data
  multibox predict runs/my_data/best.keras pictures  finds objects in your pictures

Without data, `multibox demo` trains a small detector on drawn shapes. `multibox --help` lists all
commands, and `multibox train --help` shows the options of one, with examples.
"""

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text, which starts faster and keeps the lines of the examples
    epilog="Exit status: 0 done; 1 an error, for `check` findings; 2 wrong usage, for `check` also an error.",
)
app.add_typer(check.app, name="check")
app.command(epilog=examples(*EXAMPLES))(train)
app.command(
    epilog=examples(
        "multibox predict ssd_mobilenet_coco photos clip.mp4",
        "multibox predict best.keras photos --format voc --min-score 0.4",
        "multibox predict best.keras aerial.tif --draw --tiles 640",
    )
)(predict)
app.command(
    epilog=examples(
        "multibox evaluate runs/mine/best.keras my_data:val --output runs/mine/val",
        "multibox evaluate ssd_mobilenet_coco VOCdevkit:2007:test",
    )
)(evaluate)
app.command(
    epilog=examples(
        "multibox report runs/my_data",
        "multibox report best.keras my_data:val --out report",
    )
)(report)
app.command(epilog=examples("multibox summary runs/my_data"))(summary)
app.command(
    epilog=examples(
        "multibox convert-data my_data my_data_yolo --to yolo",
        "multibox convert-data my_data:val val.h5 --to hdf5",
    )
)(convert_data)
app.command(epilog=examples("multibox pretrained", "multibox pretrained ssd_mobilenet_coco"))(pretrained)
app.command(epilog=examples("multibox convert trained.pth ssd300.keras --model ssd300 --classes 20"))(convert)
app.command(
    epilog=examples(
        "multibox export runs/my_data/best.keras model.onnx --check my_data:val",
        "multibox export best.keras model.tflite --int8 --data my_data:train --check my_data:val",
        "multibox export ssd_mobilenet_coco served --format savedmodel --class-agnostic",
    )
)(export)
app.command(
    epilog=examples(
        "multibox complexity ssd300 --classes 90",
        "multibox complexity best.keras --layers",
        "multibox complexity ssdlite --size 512x512 --measure --batch 8 --output ssdlite512",
    )
)(complexity)
app.command(
    epilog=examples(
        "multibox benchmark",
        "multibox benchmark ssd-mobilenet best.keras --batch 1,8 --precision float32,mixed_bfloat16",
        "multibox benchmark ssd300 ssdlite --output speed",
    )
)(benchmark)
app.command(epilog=examples("multibox demo", "multibox demo --output runs/short --epochs 2"))(demo)


def _print_version(wanted: bool):
    if wanted:
        print(f"multibox {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help="Show where in the code an error arose, and all that the backend writes.",
        ),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
):
    """SSD object detection for Keras 3."""
    debug_mode(debug)
    if context.invoked_subcommand is None:
        print(GREETING, end="")


def main():
    """Runs the command.

    Exit status: 0 done; 1 an error, for `check` findings; 2 wrong usage, for `check` also an error.
    """
    with one_line_errors("multibox", 1):
        app(prog_name="multibox")
