"""Folders of earlier exports, which an export may replace."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path


def check_ours(path: Path, mark: str, names: Collection[str]) -> None:
    """Refuses to replace a folder with anything else than what an export wrote: it would be deleted.

    Args:
        path: the folder, which need not exist.
        mark: name of a file that each export has.
        names: names of all that an export can have.

    Raises:
        FileExistsError: for another folder.
    """
    if not path.is_dir() or path.is_symlink():
        return  # `new_folder` refuses a file
    there = {entry.name for entry in path.iterdir()}
    if there and mark not in there:
        raise FileExistsError(f"{path} exists already and is no export of this format; it is not overwritten")
    if others := sorted(there - set(names)):
        raise FileExistsError(f"{path} has {others[0]}, which no export wrote; it is not overwritten")
