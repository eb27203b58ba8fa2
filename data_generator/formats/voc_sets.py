"""The image sets of Pascal VOC: text files that list images, one a line."""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import cached_property
from pathlib import Path

from ...files import read_text
from .fields import inside_folder
from .picture_files import is_picture

MAX_SET_BYTES = 2**28  # ten million names
# The sets of one class have a second column: 1 contains it, 0 only difficult ones, -1 not.
_COLUMN = re.compile(r"\s+([+-]?[01])$")
_QUOTED = re.compile(r'^"([^"]+)"')  # CVAT quotes names with spaces


class ImageSets:
    """The lists in `ImageSets/Main` of a folder in VOC layout.

    Args:
        root: the folder with `Annotations` and `ImageSets/Main`.
    """

    def __init__(self, root: Path):
        self.root, self.folder = root, root / "ImageSets" / "Main"

    def names(self) -> list[str]:
        """Names of all sets, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.txt"))

    def images(self, name: str) -> list[str]:
        """The image ids of a set as it lists them, without those that its second column excludes.

        A line may also have the suffix of the image and the folder `JPEGImages/`.

        Raises:
            FileNotFoundError: if there is no such set; lists those that exist.
            ValueError: for a set that lists no images, an id that leaves the folder, or a file that is not a
                text in UTF-8; names the file.
        """
        ids = list(filter(None, map(self._image_id, self._lines(name))))
        path = self.path(name)
        for image_id in ids:
            inside_folder(image_id, path, "an image id")
        if not ids:
            raise ValueError(f"{path}: lists no images; expected their names, one a line")
        return ids

    def default(self) -> list[str]:
        """Names of the sets that do not overlap by design.

        Those of one class are left out, and those that put other sets together, such as trainval.
        """
        lists = {name: set(filter(None, map(self._image_id, self._lines(name)))) for name in self._whole()}
        return [
            name
            for name, ids in lists.items()
            if not ids or ids != set().union(*(other for other in lists.values() if other < ids))
        ]

    def _whole(self):
        """Names of the sets that are not those of one class."""
        whole = []
        for name in self.names():
            columns = [bool(_COLUMN.search(line)) and line not in self._stems for line in self._lines(name)]
            if not columns or not all(columns):
                whole.append(name)
        return whole

    def path(self, name: str) -> Path:
        """The path of the list."""
        return self.folder / f"{name}.txt"

    def _lines(self, name):
        path = self.path(name)
        if not path.exists():
            sets = ", ".join(self.names()[:20]) or "none"
            raise FileNotFoundError(f"no image set {path}; there are: {sets}")
        lines = (line.strip() for line in read_text(path, MAX_SET_BYTES).splitlines())
        return [line for line in lines if line]

    def _image_id(self, line):
        """The id that a line names, or None if its second column excludes it."""
        quoted = _QUOTED.match(line)
        for name in _spellings(quoted[1] if quoted else line):
            if name in self._stems:
                return name
        column = _COLUMN.search(line)
        if quoted or not column:
            return quoted[1] if quoted else line
        name = line[: column.start()]
        found = next((name for name in _spellings(name) if name in self._stems), name)
        return None if column[1] == "-1" else found

    @cached_property
    def _stems(self):
        """Names of all annotations, without `.xml`."""
        root = self.root / "Annotations"
        return {
            (Path(parent) / name).relative_to(root).as_posix()[: -len(".xml")]
            for parent, _, names in os.walk(root)
            for name in names
            if name.lower().endswith(".xml")
        }


def repeated(ids: list[str]) -> list[str]:
    """The ids that occur more than once."""
    return [image_id for image_id, count in Counter(ids).items() if count > 1]


def _spellings(name):
    """A name as listed, without `JPEGImages/`, and both without the image's suffix."""
    for path in (name, name.removeprefix("./").removeprefix("JPEGImages/")):
        yield path
        if is_picture(path.rpartition("/")[2]):
            yield path[: path.rindex(".")]
