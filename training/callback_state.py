"""What a callback has become while training, as plain values and arrays."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import keras
import numpy as np

_PLAIN = (bool, int, float, str, type(None))
_MISSING = object()
# Keras' own references, and a setting whose sign Keras turns at the first comparison.
_LEFT_OUT = ("params", "_model", "min_delta")


def snapshot(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Copies of the attributes of a callback that can be kept.

    These are numbers, strings, arrays, and lists and dictionaries of them. The attribute `not_kept` of a
    callback names those that a resumed run makes again.
    """
    left_out = {*_LEFT_OUT, *getattr(callback, "not_kept", ())}
    return {
        name: copy.deepcopy(value)
        for name, value in vars(callback).items()
        if name not in left_out and _can_be_kept(value)
    }


def changed(
    callback: keras.callbacks.Callback, before: dict[str, Any], known: Collection[str] = ()
) -> dict[str, Any]:
    """The attributes that differ from an earlier `snapshot`, and those that are known to have changed.

    What has not changed is left out: a resumed run then takes it from its own callback, such as another
    `patience`.

    Args:
        known: names of attributes that had changed in the run that goes on. A callback that was part of it
            already has them from the start.
    """
    return {
        name: value
        for name, value in snapshot(callback).items()
        if name in known or not _equal(value, before.get(name, _MISSING))
    }


def put_back(callback: keras.callbacks.Callback, before: dict[str, Any]) -> None:
    """Gives a callback the attributes of an earlier `snapshot` that have changed since."""
    names = changed(callback, before).keys() & before.keys()
    vars(callback).update({name: copy.deepcopy(before[name]) for name in names})


def restore(
    callback: keras.callbacks.Callback, packed: dict[str, Any], arrays: dict[str, np.ndarray]
) -> None:
    """Gives a callback the attributes that `changed` returned, each packed by `pack`."""
    vars(callback).update({name: unpack(value, arrays) for name, value in packed.items()})


def pack(value: Any, key: str, arrays: dict[str, np.ndarray]) -> Any:
    """A JSON form of a kept value. Arrays go to `arrays` under names that begin with `key`."""
    if isinstance(value, np.ndarray | np.generic):
        arrays[key] = np.asarray(value)
        return {"array": key, "scalar": isinstance(value, np.generic)}
    if isinstance(value, dict):
        return {"dict": {name: pack(item, f"{key}/{name}", arrays) for name, item in value.items()}}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [pack(item, f"{key}/{i}", arrays) for i, item in enumerate(value)]}
    return value


def unpack(packed: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The inverse of `pack`."""
    if not isinstance(packed, dict):
        return packed
    if "array" in packed:
        array = arrays[packed["array"]]
        return array[()] if packed["scalar"] else array
    if "dict" in packed:
        return {name: unpack(item, arrays) for name, item in packed["dict"].items()}
    if "list" in packed:
        return [unpack(item, arrays) for item in packed["list"]]
    return tuple(unpack(item, arrays) for item in packed["tuple"])


def _can_be_kept(value):
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biuf"
    if isinstance(value, dict):
        return all(isinstance(name, str) and _can_be_kept(item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(map(_can_be_kept, value))
    return isinstance(value, _PLAIN)


def _equal(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return a == b or (a != a and b != b)
