"""Columns of a CSV file: which of them holds what, under the names that tools give them."""

from __future__ import annotations

import csv
import warnings
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from ...messages import printable, quoted
from ..record import FLAGS
from .fields import SIDES, number
from .picture_files import is_picture

SEPARATORS = (",", ";", "\t", "|")

# Names are compared in lower case, without spaces, `-` and `_`. Of several, the first in a list counts.
_FIELDS = {
    "image": ("image", "imagename", "filename", "frame", "path", "imagepath", "filepath", "imageid"),
    "class": ("class", "classname", "label", "labelname", "category", "categoryname", "classid"),
    "image_id": ("imageid",),
    "width": ("imagewidth", "imgwidth", "imagew", "width"),
    "height": ("imageheight", "imgheight", "imageh", "height"),
    **{flag: (flag,) for flag in FLAGS},
}
# Each also with `bbox` in front. Corners come first; in the others the last two are width and height.
_CORNERS = (
    SIDES,
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("left", "top", "right", "bottom"),
    ("minx", "miny", "maxx", "maxy"),
    ("xtl", "ytl", "xbr", "ybr"),
)
_SIZED = (
    ("x", "y", "w", "h"),
    ("x", "y", "width", "height"),
    ("left", "top", "width", "height"),
)
_PREFIXES = ("", "bbox")
_IMAGE_SIZE = {*_FIELDS["width"][:-1], *_FIELDS["height"][:-1]}
_MISSING = {
    "image": "the image (such as image, filename, frame, path)",
    "xmin": "the box (such as xmin, ymin, xmax, ymax; x1, y1, x2, y2; x, y, w, h; bbox_x, bbox_y, "
    "bbox_width, bbox_height)",
    "class": "the class (such as class, label, category, class_id)",
}


class Columns(NamedTuple):
    """Where the fields of a line are.

    Attributes:
        count: number of columns.
        places: {field: place of its column}.
        names: {field: name of its column}, for messages.
        sized: whether xmax and ymax hold the width and height of the box.
    """

    count: int
    places: dict[str, int]
    names: dict[str, str]
    sized: bool


def find_separator(line: str) -> str:
    """The separator that divides the first line into the most fields."""
    return max(SEPARATORS, key=lambda separator: len(next(csv.reader([line], delimiter=separator), [])))


def find_columns(header: Sequence[str], path) -> Columns:
    """Finds the fields of a header.

    A file with bare `x` and `y` columns is warned about: they are read as the upper left corner.

    Raises:
        ValueError: if there is no column for the image, the box or the class; names the file, what is missing
            and what is there.
    """
    known: dict[str, int] = {}
    for place, name in enumerate(header):
        known.setdefault(_plain(name), place)
    box, sized = _find_box(known)
    places = {side: known[name] for side, name in zip(SIDES, box, strict=bool(box))}
    for field, names in _FIELDS.items():
        name = next((name for name in names if name in known and name not in box), None)
        if name is not None:
            places[field] = known[name]
    if places.get("image_id") == places.get("image"):
        places.pop("image_id", None)
    missing = [text for field, text in _MISSING.items() if field not in places]
    if missing:
        raise ValueError(f"{path}: no column for {', '.join(missing)}; {_advice(header, known, path)}")
    _check_repeated(header, places, path)
    if box[:2] == ("x", "y"):
        taken = ", ".join(header[places[side]] for side in SIDES)
        warnings.warn(
            f"{path}: {taken} are read as the upper left corner, the width and the height of the box",
            stacklevel=6,
        )
    return Columns(len(header), places, {field: header[place] for field, place in places.items()}, sized)


def _check_repeated(header, places, path):
    """Refuses a header with two columns of a name that is read."""
    counts = Counter(map(_plain, header))
    for place in places.values():
        if counts[_plain(header[place])] > 1:
            raise ValueError(f"{path}: the column {quoted(header[place])} occurs more than once")


def _plain(name):
    return "".join(c for c in name.lower() if c not in " -_")


def _find_box(known):
    """The names of the four columns of the box, none if they are not there, and whether two are its size.

    Bare `width` and `height` are those of the image, unless the image's have other names.
    """
    for families, sized in ((_CORNERS, False), (_SIZED, True)):
        for sides, prefix in product(families, _PREFIXES):
            names = tuple(prefix + side for side in sides)
            if known.keys() >= set(names) and ("width" not in names or known.keys() & _IMAGE_SIZE):
                return names, sized
    return (), False


def _advice(header, known, path):
    there = f"there are: {printable(', '.join(header), 400) or 'none'}."
    if known.keys() >= {"width", "height"} and known.keys() & {"x", "left"}:
        return (
            f"{there} width and height may be those of the image: call the box's w and h, or the image's "
            "image_width and image_height"
        )
    if sum(map(_is_number, header)) >= len(SIDES):
        return f"{there} The first line looks like data: pass the names of the columns as `columns`"
    return f"{there} Rename them, or pass other names as `columns`"


def is_header(cells: Sequence[str], columns: Columns) -> bool:
    """Whether a line is a header: there are texts, and no numbers, in the columns of the box."""
    sides = [cells[columns.places[side]] for side in SIDES] if len(cells) == columns.count else []
    return any(sides) and not any(map(_is_number, sides))


def headerless(cells: Sequence[str]) -> list[str] | None:
    """The names of the columns of keras-retinanet if a line is one of its form, path,x1,y1,x2,y2,class.

    Its class is a name: a number there could be ssd_keras' form, which has another order of the sides.
    """
    if len(cells) != 6 or not is_picture(cells[0]) or _is_number(cells[5]):
        return None
    sides = cells[1:5]
    return ["path", *SIDES, "class"] if all(map(_is_number, sides)) or not any(sides) else None


def _is_number(text):
    try:
        number(text, "", "")
    except ValueError:
        return False
    return True
