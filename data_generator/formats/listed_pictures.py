"""`ListedPictures`: the pictures that an annotation file lists with the paths they had on some computer."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

from ...files import is_file
from ...messages import quoted
from .fields import inside_folder
from .picture_files import PictureFiles

# Label Studio puts eight hexadecimal digits in front of the name of an uploaded picture.
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")


class ListedPictures:
    """Finds pictures by the path in the file, and only where there is none by their file name.

    The folder is looked through only if a picture is not where the file says, since that takes a while with a
    hundred thousand pictures.

    Args:
        folder: folder that the paths are relative to.

    Raises:
        FileNotFoundError: if there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        self._files = PictureFiles(folder)
        self._places: dict[str, str] = {}  # path of each picture: where it is listed
        self._guessed: list[str] = []  # names that were not paths of pictures
        self._by_name: set[str] = set()
        self._repeated: list[str] = []

    def find(self, name: str, where: str, field: str) -> str:
        """The path of a picture.

        Args:
            name: path of the picture as the file has it.
            where: file and place in it, for messages.
            field: name of the field, for messages.

        Raises:
            FileNotFoundError: if there is no such picture.
            ValueError: if several pictures have the file name, or if another name led to this picture.
        """
        path = self._listed(name, where, field)
        if path is not None and path not in self._by_name:
            if self._places.setdefault(path, where) != where:
                self._repeated.append(path)
            return path
        if path is None:
            path = str(self._like(name, where))
            self._guessed.append(name)
            self._by_name.add(path)
        if path in self._places:
            raise ValueError(
                f"{where}: {field} {quoted(name)} and {self._places[path]} lead to the same picture {path}"
            )
        self._places[path] = where
        return path

    def _listed(self, name, where, field):
        try:
            path = self.folder / inside_folder(name, where, field)
        except ValueError:
            return None
        return str(path) if is_file(path) else None

    def _like(self, name, where):
        try:
            return self._files.find(name, where)
        except FileNotFoundError:
            last = re.split(r"[/\\]", name)[-1]
            without = _UPLOADED.sub("", last)
            if without == last:
                raise
            try:
                return self._files.find(without, where)
            except FileNotFoundError:
                raise FileNotFoundError(f"{where}: no image {quoted(name)} in {self._files.folder}") from None

    def warn(self, source: str) -> None:
        """Warns of pictures that were found by their names, and of those that are listed more than once."""
        if self._repeated:
            warnings.warn(
                f"{source}: {len(self._repeated)} entries list a picture that another entry lists, first "
                f"{self._repeated[0]}",
                stacklevel=5,
            )
        if self._guessed:
            count = f"{len(self._guessed)} of {len(self._places)} pictures"
            warnings.warn(
                f"{source}: {count} are not at the path that the file states; found in {self.folder} "
                f"by their names (first {quoted(self._guessed[0])})",
                stacklevel=5,
            )
