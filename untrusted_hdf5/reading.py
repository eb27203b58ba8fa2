"""Opens HDF5 files, and reads their groups, arrays and attributes after a look at types and sizes."""

from __future__ import annotations

import io
import math
import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from ..files import check_regular
from ..messages import one_line
from .content import LayoutError, check_content

# What h5py raises for damaged files.
HDF5_ERRORS = (
    *(OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError),
    *(UnicodeError, OverflowError, MemoryError),
)
MAX_ARRAY = 2 << 30
MAX_RATIO = 20  # numbers hardly compress; data that expands more than this is an attack on the memory
# Types of numbers: whole, floating point, and h5py's form of bool.
_NUMBERS = {h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM}


@contextmanager
def open_hdf5(source: str | os.PathLike[str] | bytes) -> Iterator[h5py.File]:
    """Opens the file at a path, or one in memory, for reading.

    Raises:
        LayoutError: if its heaps or the lengths of its texts are damaged.
        ValueError: for a path of a folder, pipe or device.
        Otherwise what h5py raises: see `HDF5_ERRORS`.
    """
    if isinstance(source, bytes):
        check_content(source)
        source = io.BytesIO(source)
    else:
        check_regular(source)
        with Path(source).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            check_content(content)
    with h5py.File(source, "r") as file:
        yield file


def child(group: h5py.Group, path: str, kind: type) -> h5py.Group | h5py.Dataset:
    """A group or array below a group. Links to other places and other files are refused.

    Args:
        group: where the path begins.
        path: names separated by `/`.
        kind: `h5py.Group` or `h5py.Dataset`.

    Raises:
        LayoutError: if there is none.
    """
    parts = path.split("/")
    for i, part in enumerate(parts):
        place = one_line(f"{group.name.rstrip('/')}/{part}")
        # `in` would follow a link.
        link = group.get(part, getlink=True) if group.id.links.exists(part.encode()) else None
        if link is None:
            raise LayoutError(f"no '{one_line(path)}' in group {one_line(group.name)}")
        if not isinstance(link, h5py.HardLink):
            raise LayoutError(f"a link to another place in {place}, which is refused")
        found = group[part]
        expected = kind if i == len(parts) - 1 else h5py.Group
        if not isinstance(found, expected):
            raise LayoutError(f"no {expected.__name__.lower()} in {place}")
        group = found
    return group


def dataset(group: h5py.Group, path: str, *, texts: bool = False, max_bytes: int = MAX_ARRAY) -> h5py.Dataset:
    """An array of the file, after comparing its declared size with the bytes that are stored.

    Args:
        group: where the path begins.
        path: names separated by `/`.
        texts: whether the array must hold texts, for a file on the disk; otherwise it must hold numbers.
        max_bytes: largest size.

    Raises:
        LayoutError: if there is none, if it is kept in another file, or has another type or size.
    """
    found = child(group, path, h5py.Dataset)
    name, stored = one_line(found.name), found.id.get_storage_size()
    if found.external or found.is_virtual:
        raise LayoutError(f"an array kept in another file: {name}")
    kind = found.id.get_type()
    fits = kind.get_class() == h5py.h5t.STRING if texts else _holds_numbers(kind) or is_bfloat16(found)
    if not fits:
        raise LayoutError(f"an array of type {_type_name(kind)} in {name}")
    if found.shape is None:
        raise LayoutError(f"the array {name} without a shape")
    size = math.prod(found.shape) * _stored_bytes(kind)
    plain = found.chunks is None
    if size > max_bytes or (plain and stored != size):
        raise LayoutError(f"the array {name} of shape {one_line(found.shape)}, but {stored} bytes for it")
    if texts and _is_variable(kind):
        _check_lengths(found)
    return found


def _check_lengths(texts):
    """Refuses texts that declare more bytes than their file has: the library allocates what it reads.

    An item of the array has 16 bytes: its length (4), and its place in a heap.
    """
    place, path = texts.id.get_offset(), Path(texts.file.filename)
    if not texts.size:
        return
    if place is None:
        raise LayoutError(f"the texts {one_line(texts.name)} in several pieces")
    items = np.fromfile(path, "<u4", 4 * texts.size, offset=place)
    total, limit = int(items[::4].sum(dtype=np.int64)), path.stat().st_size
    if total > limit:
        raise LayoutError(f"texts of {total} bytes in {one_line(texts.name)}, but the file has {limit} bytes")


def check_sizes(datasets: Iterable[h5py.Dataset], file_size: int) -> None:
    """Refuses arrays that need far more memory than the file has bytes, before any of them is read.

    A chunk that is compressed, or not stored at all, can expand from a few bytes to any size. Two sizes are
    limited:

    * the total of all arrays, because several names may refer to one array,
    * each chunk, because a chunk is always expanded as a whole.

    Raises:
        LayoutError: if a size is more than `MAX_RATIO` times that of the file.
    """
    total = 0
    for array in datasets:
        width = max(array.id.get_type().get_size(), 4)  # they become float32
        total += math.prod(array.shape) * width
        chunk = math.prod(array.chunks or ()) * width
        if max(total, chunk) > MAX_RATIO * file_size:
            raise LayoutError(
                f"arrays of {max(total, chunk)} bytes or more in a file of {file_size} bytes (counted up to "
                f"{one_line(array.name)} of shape {one_line(array.shape)})"
            )


def is_bfloat16(array: h5py.Dataset) -> bool:
    """Whether an array has Keras' form of bfloat16: two opaque bytes, and an attribute that says so."""
    kind = array.id.get_type()
    opaque = kind.get_class() == h5py.h5t.OPAQUE and kind.get_size() == 2
    return opaque and "dtype" in array.attrs and text_attribute(array, "dtype") == "bfloat16"


def text_attribute(owner: h5py.HLObject, name: str) -> str:
    """An attribute that is one text.

    Raises:
        LayoutError: if there is none, or if it is something else.
    """
    value = _attribute(owner, name, {h5py.h5t.STRING}, "a text")
    if isinstance(value, np.ndarray):
        raise _attribute_error(owner, name, "expected one text")
    return _text(value)


def texts_attribute(owner: h5py.HLObject, name: str) -> list[str]:
    """An attribute that is a list of texts.

    Raises:
        LayoutError: if there is none, or if it is something else.
    """
    value = _attribute(owner, name, {h5py.h5t.STRING}, "texts", may_be_empty=True)
    if not isinstance(value, np.ndarray) or value.ndim != 1:
        raise LayoutError(
            f"the attribute {one_line(name)} of {one_line(owner.name)}: expected a list of texts"
        )
    return [_text(item) for item in value]


def number_attribute(owner: h5py.HLObject, name: str) -> int | float | bool:
    """An attribute that is one number or bool.

    Raises:
        LayoutError: if there is none, or if it is something else.
    """
    value = _attribute(owner, name, _NUMBERS, "a number")
    if isinstance(value, np.ndarray):
        raise _attribute_error(owner, name, "expected one number")
    return value.item()


def _attribute(owner, name, classes, expected, may_be_empty=False):
    """The value of an attribute, read only if its type is one of the classes.

    h5py reads any type; for lists of variable length, for example, a damaged one makes it free memory twice.
    """
    if name not in owner.attrs:
        raise LayoutError(f"{one_line(owner.name)} without the attribute {one_line(name)}")
    attribute = owner.attrs.get_id(name)
    kind = attribute.get_type()
    empty = attribute.shape is not None and not math.prod(attribute.shape)
    if empty and may_be_empty:  # h5py writes an empty list as numbers
        return np.array([], object)
    fits = _holds_numbers(kind) if classes is _NUMBERS else kind.get_class() in classes
    if not fits:
        raise _attribute_error(owner, name, f"expected {expected}, got {_type_name(kind)}")
    size = None if attribute.shape is None else math.prod(attribute.shape) * _stored_bytes(kind)
    if size is None or size > owner.file.id.get_filesize():
        raise _attribute_error(owner, name, "damaged")
    return owner.attrs[name]


def _attribute_error(owner, name, what):
    return LayoutError(f"the attribute {one_line(name)} of {one_line(owner.name)}: {what}")


def _holds_numbers(kind):
    """Whether a type is a number of one of numpy's sizes, or a bool."""
    if kind.get_class() not in _NUMBERS or kind.get_size() not in (1, 2, 4, 8):
        return False
    return kind.get_class() != h5py.h5t.ENUM or kind.get_size() == 1


def _stored_bytes(kind):
    """Bytes of an item in the file. A text of variable length is stored as its place in a heap."""
    return 16 if _is_variable(kind) else kind.get_size()


def _is_variable(kind):
    return isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str()


def _type_name(kind):
    names = {
        h5py.h5t.INTEGER: "whole numbers",
        h5py.h5t.FLOAT: "numbers",
        h5py.h5t.STRING: "text",
        h5py.h5t.ENUM: "bool",
        h5py.h5t.COMPOUND: "compound",
        h5py.h5t.VLEN: "lists",
        h5py.h5t.ARRAY: "arrays",
        h5py.h5t.OPAQUE: "opaque",
        h5py.h5t.REFERENCE: "references",
    }
    return names.get(kind.get_class(), "unknown")


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)
