"""`multibox export`: writes a detector to a file for another runtime."""

from pathlib import Path
from typing import Annotated

import typer

from ..files import check_absent
from .arguments import Model
from .backend import start_keras
from .boundary import one_line_warnings


def export(
    model: Model,
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The file (.onnx).")],
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier file.")] = False,
):
    """Write a detector to an ONNX file, which runs without Keras.

    ONNX Runtime runs the file beside Keras before it is kept.
    """
    if not force:
        check_absent([output])
    start_keras()
    from ..exporting import export as write
    from ..models.pretrained import find_model

    with one_line_warnings("multibox export"):
        write(find_model(model), output, overwrite=force)
    print(f"Written to {output}, {output.stat().st_size / 1e6:.1f} MB. ONNX Runtime and Keras agree.")
