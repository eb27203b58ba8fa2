"""Arguments that several commands have."""

from typing import Annotated

import typer

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A saved model (.keras), or the name of a published one.")
]
Data = Annotated[
    str, typer.Argument(metavar="DATA", help="Data set in any layout of load_dataset: PATH, or PATH:SET.")
]
