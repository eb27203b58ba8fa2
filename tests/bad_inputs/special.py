"""What stands in place of a file: nothing, a folder, a pipe, a device, a loop of links."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from .case import Case, Refused, Target


def _missing(path):
    path.unlink()


def _folder(path):
    path.unlink()
    path.mkdir()


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


def _loop(path):
    path.unlink()
    path.symlink_to(path.name)


def _to_nowhere(path):
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def _to_zeros(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def _to_nothing(path):
    path.unlink()
    path.symlink_to(os.devnull)


def _socket(path):
    import socket

    path.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def _huge(path):
    """Larger than any limit, without taking room on the disk."""
    os.truncate(path, 1 << 40)


KINDS = {
    "missing": _missing,
    "a folder": _folder,
    "a pipe": _pipe,
    "a loop of links": _loop,
    "a link to nowhere": _to_nowhere,
    "a device without end": _to_zeros,
    "an empty device": _to_nothing,
    "a socket": _socket,
    "of a terabyte": _huge,
}


def special_files(
    target: Target, write: Callable[[Path], object], name: str, but: tuple[str, ...] = ()
) -> Iterator[Case]:
    """A case for each of these in place of a file of a sound data set; those named in `but` are left out."""
    for kind, replace in KINDS.items():
        if kind not in but:
            yield Case(target, f"file is {kind}", partial(_write, write, name, replace), Refused())


def _write(write, name, replace, folder):
    write(folder)
    replace(folder / name)
