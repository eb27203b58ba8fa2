"""Finds the picture that an annotation names, although tools write its name in many ways."""

from __future__ import annotations

import os
from collections import Counter
from functools import cached_property
from pathlib import Path, PurePosixPath

from .fields import IMAGE_SUFFIXES, normal_path


class PictureFiles:
    """The pictures in one folder and its subfolders, found by the names that annotations give them.

    Names may have backslashes, a Windows drive, an absolute path of another computer, no suffix, another
    suffix, or a suffix in another case. `find` takes the first of these that exists:

    1. the path, relative to the folder
    2. the same path with any image suffix in any case, in place of its suffix or after it
    3. the only picture anywhere in the folder with that file name, by the rules of 1 and 2

    Nothing outside the folder is ever found: of an absolute path, or one with `..`, only the file name
    counts.

    Attributes:
        folder: path of the folder.
        counts: number of pictures that `find` found "by file name", by rule 3.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = normal_path(folder)
        self.counts: Counter[str] = Counter()
        if not self.folder.is_dir():
            raise FileNotFoundError(f"no image folder {folder}")

    @cached_property
    def paths(self) -> tuple[PurePosixPath, ...]:
        """Paths of all pictures, relative to the folder, sorted; hidden files and folders are left out."""
        found = []
        for parent, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            at = PurePosixPath(Path(parent).relative_to(self.folder).as_posix())
            found += [at / name for name in files if is_picture(name)]
        return tuple(sorted(found))

    def find(self, name: str, where: str) -> Path:
        """The path of a picture.

        Args:
            name: name of the picture as the annotation has it.
            where: file (and line) of the annotation, for messages.

        Raises:
            FileNotFoundError: if there is no such picture; names it, and where.
            ValueError: if the name is empty or has a zero byte, or if only the file name fits and several
                pictures have it; lists these.
        """
        parts = _parts(name, where)
        if not _leaves(name, parts) and (path := self._at(PurePosixPath(*parts))):
            return self.folder / path
        found = self._named(parts[-1])
        if len(found) > 1:
            several = ", ".join(map(str, found[:3]))
            raise ValueError(
                f"{where}: {name!r} is not a path in {self.folder}, and {len(found)} pictures there have "
                f"this file name: {several}"
            )
        if not found:
            raise FileNotFoundError(f"{where}: no image {name!r} in {self.folder}")
        self.counts["by file name"] += 1
        return self.folder / found[0]

    def _at(self, path):
        """The relative path of a picture by rules 1 and 2, or None."""
        if is_picture(path.name) and (self.folder / path).is_file():
            return path
        return next(iter(self._by_stem.get(str(path), []) or self._by_stem.get(_stem(path), [])), None)

    def _named(self, name):
        """All pictures with a file name, by rule 3."""
        exact = self._by_name.get(name, [])
        return (
            exact
            or self._by_file_stem.get(name, [])
            or self._by_file_stem.get(_stem(PurePosixPath(name)), [])
        )

    @cached_property
    def _by_stem(self):
        return _grouped((_stem(path), path) for path in self.paths)

    @cached_property
    def _by_name(self):
        return _grouped((path.name, path) for path in self.paths)

    @cached_property
    def _by_file_stem(self):
        return _grouped((_stem(PurePosixPath(path.name)), path) for path in self.paths)


def is_picture(name: str) -> bool:
    """Whether a file name has an image suffix, in any case, and is not hidden."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _parts(name, where):
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or "\0" in name:
        raise ValueError(f"{where}: expected the name of an image, got {name!r}")
    return parts


def _leaves(name, parts):
    """Whether a name is absolute (also with a Windows drive) or has `..`."""
    return name[:1] in ("/", "\\") or name[1:2] == ":" or ".." in parts


def _stem(path):
    """The path without an image suffix; other suffixes are part of the name."""
    return str(path.with_suffix("")) if is_picture(path.name) else str(path)


def _grouped(pairs):
    groups = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
