"""Checks of single fields, the same for every reader: numbers, sizes, paths, class names."""

import os.path
import re
from pathlib import Path

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".jp2", ".avif", ".heic", ".heif", ".npy"),
)

# Pixels. No image is larger, and below this float32 resolves a sixteenth of a pixel.
LIMIT = 1e6

SIDES = ("xmin", "ymin", "xmax", "ymax")

# Control characters, line separators, lone surrogates and others that XML or CSV files cannot hold.
UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")

# Empty, absolute (also with a Windows drive), or with a backslash, a zero byte or `..`.
_LEAVES_FOLDER = re.compile(r"^$|^/|^[A-Za-z]:|[\\\0]|(^|/)\.\.(/|$)")


def number(value, where, field):
    """The number that a field holds.

    Args:
        value: text or number.
        where: file (and line), for the message.
        field: name of the field, for the message.

    Returns:
        float, finite, between -1e6 and 1e6.

    Raises:
        ValueError: for anything else, also for what only Python reads as a number, such as `1_0` or digits of
            other scripts; names where, field and value.
    """
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        result = float("nan")
    if not abs(result) < LIMIT or (isinstance(value, str) and ("_" in value or not value.isascii())):
        raise ValueError(f"{where}: {field} must be a number below 1e6, got {value!r}")
    return result


def size_or_none(width, height, where):
    """(width, height), or None if a side is 0, as some tools write for an unknown size.

    Raises:
        ValueError: if they are not whole numbers of pixels, or negative.
    """
    if width < 0 or height < 0:
        raise ValueError(f"{where}: width and height must not be negative, got {width:g} and {height:g}")
    if width != int(width) or height != int(height):
        raise ValueError(f"{where}: width and height must be whole pixels, got {width} and {height}")
    return (int(width), int(height)) if width > 0 and height > 0 else None


def check_name(name, where, field):
    """Returns the name of a class.

    Raises:
        ValueError: if it has control characters or others that files of text cannot hold; names where, field
            and value.
    """
    if UNWRITABLE.search(name):
        raise ValueError(f"{where}: {field} must not contain control characters, got {name!r}")
    return name


def inside_folder(name, where, field):
    """The name of a file relative to a folder, with forward slashes.

    Raises:
        ValueError: if it is empty, absolute, or could lead out of the folder; names where, field and value.
    """
    if _LEAVES_FOLDER.search(name):
        raise ValueError(
            f"{where}: {field} must be a path with forward slashes that stays inside its folder, got {name!r}"
        )
    return name


def normal_path(path):
    """The absolute path without `.` and `..`; symbolic links stay as they are."""
    return Path(os.path.normpath(Path(path).absolute()))


def without_suffix(name):
    """`a/b.jpg` without `.jpg`; a dot in a folder's name or at the start of a file's is no suffix."""
    return re.sub(r"(?<=[^/])\.[^./]*$", "", name)
