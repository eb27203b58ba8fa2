"""What tables of weight files have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from .case import Case, Refused, Target
from .damage import WRONG_FILES
from .special import special_files


def in_any_format(target: Target, write: Callable[[Path], object]) -> Iterator[Case]:
    """Files that are cut off, and files of another kind, for the file that `write` makes."""
    for share in range(1, 20):
        yield Case(target, f"cut after {share * 5} %", partial(_cut, target.file, write, share), Refused())
    for kind, content in WRONG_FILES.items():
        yield Case(target, f"file {kind}", partial(put, target.file, content), Refused())
    yield from special_files(target, write, target.file)
    yield Case(target, "of numbers in text", partial(put, target.file, b"1 2 3\n" * 99), Refused())


def put(name, content, folder):
    """Writes bytes, or what a function returns."""
    (folder / name).write_bytes(content() if callable(content) else content)


def _cut(name, write, share, folder):
    write(folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) * share // 20])
