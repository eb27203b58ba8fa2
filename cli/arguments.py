"""Arguments that several commands have."""

import re
from typing import Annotated

import typer

from ..networks import NETWORKS

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A saved model (.keras), or the name of a published one.")
]
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
