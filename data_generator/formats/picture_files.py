"""Finds the picture that an annotation names, although tools write its name in many ways."""

from __future__ import annotations

import os
import posixpath
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path, PurePath, PurePosixPath

from ...files import is_file
from ...messages import quoted
from .fields import IMAGE_SUFFIXES, normal_path

SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")


class PictureFiles:
    """The pictures in one folder and its subfolders, found by the names that annotations give them.

    Names may have backslashes, a Windows drive, an absolute path of another computer, no suffix, another
    suffix, or a suffix in another case. `find` takes the first of these that exists:

    1. the path, relative to the folder
    2. the same path with any image suffix in any case, in place of its suffix or after it
    3. the only picture anywhere in the folder with that file name, by the rules of 1 and 2

    Nothing outside the folder is ever found: of an absolute path, or one that leaves the folder with `..`,
    only the file name counts.

    `find_for` is for annotation files of one picture each. It keeps account of the pictures it found.

    Attributes:
        folder: path of the folder.
        counts: number of pictures that were found "by file name", by rule 3.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = normal_path(folder)
        self.counts: Counter[str] = Counter()
        self._owners: dict[Path, Path] = {}
        if not self.folder.is_dir():
            raise FileNotFoundError(f"no image folder {folder}")

    @cached_property
    def paths(self) -> tuple[PurePosixPath, ...]:
        """Paths of all pictures, relative to the folder, sorted; hidden files and folders are left out."""
        found = files_with_suffix(self.folder, IMAGE_SUFFIXES)
        return tuple(sorted(PurePosixPath(path.relative_to(self.folder).as_posix()) for path in found))

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
        return self._find(name, where, None)

    def find_for(self, annotation: Path, name: str | None) -> Path:
        """The path of the picture that an annotation file in this folder is about.

        The name that stands in the file decides. If there is no such picture, or no name, it is the picture
        with the name of the annotation file. A name is first relative to the file's own folder, then to this
        folder. Of several pictures with that file name, the one counts whose folders are most like those of
        the annotation file: of `train/labels/a.xml` it is `train/images/a.jpg`, not `val/images/a.jpg`.

        Args:
            annotation: path of the annotation file.
            name: name of the picture that stands in the file, or None.

        Raises:
            FileNotFoundError: if there is no such picture; names it.
            ValueError: if several pictures fit, or another annotation file has the same one; lists these.
        """
        where, own = str(annotation), annotation.stem
        near = PurePosixPath(annotation.parent.relative_to(self.folder).as_posix())
        try:
            picture = self._find(name or own, where, near)
        except FileNotFoundError:
            if not name:
                raise
            try:
                picture = self._find(own, where, near)
            except FileNotFoundError:
                raise FileNotFoundError(
                    f"{where}: no image {quoted(name)} or {quoted(own)} in {self.folder}"
                ) from None
        owner = self._owners.setdefault(picture, annotation)
        if owner != annotation:
            raise ValueError(f"{where}: names the image {picture}, but {owner} does so too")
        return picture

    def warn_without_annotation(self, what: str, split: str | None = None) -> None:
        """Warns about pictures that `find_for` never found.

        Args:
            what: kind of annotation file, for the warning.
            split: None, or the only split (see `split_of`) whose pictures count.
        """
        lost = [path for path in self.paths if self.folder / path not in self._owners]
        if split is not None:
            lost = [path for path in lost if split_of(path) == split]
        if lost:
            warnings.warn(
                f"{self.folder}: {len(lost)} pictures have no {what} and are left out, first {lost[0]}",
                stacklevel=2,
            )

    def _find(self, name, where, near):
        parts = _parts(name, where)
        for path in _places(name, parts, near):
            if path := self._at(path):
                return self.folder / path
        found = _nearest(self._named(parts[-1]), near)
        if len(found) > 1:
            several = ", ".join(map(str, found[:3]))
            raise ValueError(
                f"{where}: {quoted(name)} is not a path in {self.folder}, and {len(found)} pictures there "
                f"have this file name: {several}"
            )
        if not found:
            raise FileNotFoundError(f"{where}: no image {quoted(name)} in {self.folder}")
        self.counts["by file name"] += 1
        return self.folder / found[0]

    def _at(self, path):
        """The relative path of a picture by rules 1 and 2, or None."""
        # A hidden picture counts where it is named exactly.
        if path.suffix.lower() in IMAGE_SUFFIXES and is_file(self.folder / path):
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


def files_with_suffix(folder: Path, suffix: str | tuple[str, ...]) -> list[Path]:
    """Paths of the files with a suffix, or one of several, in any case, in a folder and its subfolders.

    They are sorted. Hidden files and folders are left out.
    """
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        fits = (n for n in names if n.lower().endswith(suffix) and not n.startswith("."))
        found += [Path(parent) / name for name in fits]
    return sorted(found)


def split_of(path: PurePath) -> str | None:
    """The first folder of a relative path that is named as a split, such as "train", or None."""
    return next((part for part in path.parts[:-1] if part.lower() in SPLITS), None)


def by_split(folder: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Files grouped by `split_of`; a single group "all" if any of them is in no split."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(split_of(path.relative_to(folder)) or "", []).append(path)
    return {"all": list(files)} if "" in groups else groups


def is_picture(name: str) -> bool:
    """Whether a file name has an image suffix, in any case, and is not hidden."""
    return not name.startswith(".") and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _parts(name, where):
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or "\0" in name:
        raise ValueError(f"{where}: expected the name of an image, got {quoted(name)}")
    return parts


def _places(name, parts, near):
    """Paths relative to the folder that a name may mean; none of them leaves the folder."""
    if name[:1] in ("/", "\\") or name[1:2] == ":":
        return
    for start in (near, PurePosixPath()):
        if start is not None:
            path = posixpath.normpath("/".join((*start.parts, *parts)))
            if PurePosixPath(path).parts[:1] != ("..",):
                yield PurePosixPath(path)


def _nearest(paths, near):
    """Those of several paths whose folders have most in common with `near`, at the start and at the end."""
    if len(paths) < 2 or near is None:
        return paths

    def common(a, b):
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))

    def likeness(path):
        mine, other = path.parent.parts, near.parts
        return mine == other, common(mine, other) + common(mine[::-1], other[::-1])

    best = max(map(likeness, paths))
    return [path for path in paths if likeness(path) == best]


def _stem(path):
    """The path without an image suffix; other suffixes are part of the name."""
    return str(path.with_suffix("")) if is_picture(path.name) else str(path)


def _grouped(pairs):
    groups = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
