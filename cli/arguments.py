"""Arguments that several commands have."""

from typing import Annotated

import typer

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A saved model (.keras), or the name of a published one.")
]
Data = Annotated[
    str, typer.Argument(metavar="DATA", help="Data set in any layout of load_dataset: PATH, or PATH:SET.")
]

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
