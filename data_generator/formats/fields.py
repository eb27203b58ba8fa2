"""Checks of single fields, the same for every reader: numbers, sizes, paths, class names."""

import os.path
import re
from pathlib import Path

from ...messages import quoted

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"),
    *(".jp2", ".avif", ".heic", ".heif", ".npy"),
)

# Pixels. No image is larger, and below this float32 resolves a sixteenth of a pixel.
LIMIT = 1e6

SIDES = ("xmin", "ymin", "xmax", "ymax")

# Control characters, line separators, lone surrogates and others that XML or CSV files cannot hold.
UNWRITABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")

# What tools write for a flag; "Unspecified" if they do not know.
_YES, _NO = ("true", "yes"), ("", "false", "no", "unspecified", "unknown")

# Empty, the folder itself, absolute (also with a Windows drive), or with a backslash, a zero byte or `..`.
_LEAVES_FOLDER = re.compile(r"^\.?$|^/|^[A-Za-z]:|[\\\0]|(^|/)\.\.(/|$)")


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
        raise ValueError(f"{where}: {field} must be a number below 1e6, got {quoted(value)}")
    return result


def flag(text, where, field):
    """Whether a flag is set: the text of a number, or yes, no, true, false.

    What is not known means no: nothing, "unspecified", "unknown", and -1 as in Open Images.

    Raises:
        ValueError: for anything else, and negative numbers; names where, field and value.
    """
    text = text.strip().lower()
    if text in _YES or text in _NO:
        return text in _YES
    value = number(text, where, field)
    if value < 0 and value != -1:
        raise ValueError(f"{where}: {field} must be 0 or 1, got {quoted(text)}")
    return value > 0


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
        ValueError: if it is empty, has blanks around it, or has control characters or others that files of
            text cannot hold; names where, field and value.
    """
    if not name.strip():
        raise ValueError(f"{where}: {field} must not be empty")
    if name != name.strip():
        raise ValueError(f"{where}: {field} must have no blanks around it, got {quoted(name)}")
    if UNWRITABLE.search(name):
        raise ValueError(f"{where}: {field} must not contain control characters, got {quoted(name)}")
    return name


def inside_folder(name, where, field):
    """The name of a file relative to a folder, with forward slashes.

    Raises:
        ValueError: if it is empty, absolute, or could lead out of the folder; names where, field and value.
    """
    if _LEAVES_FOLDER.search(name):
        raise ValueError(
            f"{where}: {field} must be a path with forward slashes that stays inside its folder, got "
            f"{quoted(name)}"
        )
    return name


def normal_path(path):
    """The absolute path without `.` and `..`; symbolic links stay as they are."""
    return Path(os.path.normpath(Path(path).absolute()))


def without_suffix(name):
    """`a/b.jpg` without `.jpg`; a dot in a folder's name or at the start of a file's is no suffix."""
    return re.sub(r"(?<=[^/])\.[^./]*$", "", name)
