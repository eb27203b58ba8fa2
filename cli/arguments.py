"""Arguments that several commands have."""

import re
from typing import Annotated

import typer

from ..networks import NETWORKS

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A saved model (.keras), or the name of a published one.")
]
# What `load_detector` reads, for help texts.
EXPORTED = "an exported one (.onnx, .xml, .tflite, the folder of a SavedModel)"
Data = Annotated[
    str, typer.Argument(metavar="DATA", help="Data set in any layout of load_dataset: PATH, or PATH:SET.")
]
AnyModel = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help=f"A saved model (.keras), the name of a published one, or a network: {', '.join(NETWORKS)}.",
    ),
]
Classes = Annotated[
    int | None, typer.Option(min=1, help="Classes of a network, background not counted. Default: 20.")
]
Size = Annotated[str | None, typer.Option(help="Input of a network, HEIGHTxWIDTH in pixels.")]


def parse_size(text: str | None) -> tuple[int, int] | None:
    """(height, width) of HEIGHTxWIDTH.

    Raises:
        ValueError: for another text.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        raise ValueError(f"--size: expected HEIGHTxWIDTH, such as 240x320, got {text!r}")
    return int(match[1]), int(match[2])


Tiles = Annotated[
    str | None,
    typer.Option(
        help="Look at pictures in tiles, too: 640 is their side in pixels, 2x3 their rows and columns."
    ),
]
Overlap = Annotated[float, typer.Option(min=0, max=0.9, help="Overlap of tiles, a share of their side.")]
Flip = Annotated[bool, typer.Option("--flip", help="Look at all of it mirrored, too.")]


def tiles_of(text: str | None) -> int | tuple[int, int] | None:
    """The tiles that the option --tiles means."""
    if text is None:
        return None
    numbers = text.lower().split("x")
    if len(numbers) > 2 or not all(n.isascii() and n.isdecimal() and len(n) < 6 for n in numbers):
        raise ValueError(f"--tiles must be a side such as 640, or rows and columns such as 2x3, got {text!r}")
    return int(numbers[0]) if len(numbers) == 1 else (int(numbers[0]), int(numbers[1]))
