"""Errors of a command: one line on the terminal, and the traceback only for those who ask for it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ..messages import printable

_state = {"debug": False}


def debug_mode(on: bool) -> None:
    """Whether errors show their traceback instead of one line, and the backend all its messages."""
    _state["debug"] = on


def is_debug_mode() -> bool:
    """What `debug_mode` was set to."""
    return _state["debug"]


@contextmanager
def one_line_errors(command: str, status: int) -> Iterator[None]:
    """Turns any error of the block into one line on the standard error stream and an exit status.

    Args:
        command: begins the line.
        status: exit status of the process.
    """
    try:
        yield
    except Exception as error:
        if _state["debug"]:
            raise
        print(f"{command}: {_text(error)}", file=sys.stderr)
        raise SystemExit(status) from None


@contextmanager
def one_line_warnings(command: str) -> Iterator[None]:
    """Prints each warning of the block as one line, without the place in the code.

    Args:
        command: begins the line.
    """

    def show(message, *_, **__):
        print(f"{command}: warning: {printable(message, limit=2000)}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _text(error):
    from ..eval_utils.packages import MissingPackageError
    from ..weights.download import DownloadError

    text = printable(error, limit=2000)
    if isinstance(error, OSError | ValueError | DownloadError | MissingPackageError):
        return text
    # No command is meant to end like this.
    return f"{type(error).__name__}: {text}; multibox --debug shows where"
