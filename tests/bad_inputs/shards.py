"""Damaged data sets in shards: their index and their tar files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import h5py
import numpy as np

import multibox as mb

from . import hdf5
from .case import Case, Refused, Result, Target
from .damage import WRONG_FILES, cuts
from .samples import described, sound, write_shards
from .special import special_files

INDEX, SHARD = "index.h5", "00000.tar"


def _read(folder):
    return described(mb.load_shards(folder))


def _read_images(folder):
    """Reads all images, as the command `check` does."""
    data = mb.load_shards(folder)
    for record in data:
        record.read()
    return described(data)


_INDEX = Target("shards", _read, INDEX, lambda folder: ["check", str(folder)])
_SHARD = Target("shards, tar", _read_images, SHARD)
ARRAYS = ("shard_starts", "shard_sizes", "picture_starts", "picture_sizes")
# They decide how many numbers the others must have.
COUNTS = {"shard_sizes": "shard_starts"}


@cache
def content(name) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_shards(Path(folder))
        return (Path(folder) / "shards" / name).read_bytes()


def write(change, folder: Path) -> None:
    write_bytes(INDEX, content(INDEX), folder)
    with h5py.File(folder / INDEX, "r+") as file:
        change(file)


def write_bytes(name, data, folder):
    for other in (INDEX, SHARD):
        (folder / other).write_bytes(data if other == name else content(other))


def cases() -> Iterator[Case]:
    for kind, change, expected in (*_arrays(), *_numbers(), *_attributes()):
        yield Case(_INDEX, kind, partial(write, change), expected)
    for kind, data in {**WRONG_FILES, **cuts(content(INDEX), 12)}.items():
        yield Case(_INDEX, f"index {kind}", partial(write_bytes, INDEX, data), Refused(), command=False)
    for target, name in ((_INDEX, INDEX), (_SHARD, SHARD)):
        sound_bytes = partial(write_bytes, name, content(name))
        for case in special_files(target, sound_bytes, name, but=("of a terabyte",)):
            yield Case(case.target, case.kind, case.write, case.expected, command=False)
    for kind, data in {**WRONG_FILES, **cuts(content(SHARD), 6)}.items():
        yield Case(_SHARD, f"shard {kind}", partial(write_bytes, SHARD, data), Refused())
    zeros = partial(write_bytes, SHARD, bytes(len(content(SHARD))))
    yield Case(_SHARD, "shard of zeros", zeros, Refused())


def _arrays():
    for name in ARRAYS:
        named = Refused((COUNTS.get(name, name),))
        yield f"{name} missing", partial(hdf5._delete, name), Refused((name,))
        for kind, value in {
            "a text": "abc",
            "empty": np.zeros(0, np.int64),
            "of texts": np.array([b"a", b"b"]),
            "of complex numbers": np.zeros(2, np.complex64),
            "of five dimensions": np.zeros((1, 1, 1, 1, 2), np.int64),
            "as float": np.zeros(2),
        }.items():
            yield f"{name} {kind}", hdf5.replaced(name, value), Refused()
        yield f"{name} a group", partial(hdf5._group, name), Refused((name,))
        yield f"{name} one too short", hdf5.replaced(name, lambda old: old[:-1]), named
        longer = hdf5.replaced(name, lambda old: np.concatenate([old, old[-1:]]))
        yield f"{name} one too long", longer, named
        yield f"{name} declared of 2**40", partial(hdf5._declared, name, 1 << 40), Refused((name,))
        yield f"{name} of lists", partial(hdf5._lists, name), Refused((name,))
        link = h5py.ExternalLink("/etc/passwd", "/x")
        yield f"{name} a link to another file", partial(hdf5._link, name, link), Refused((name,))
        yield f"{name} kept in another file", partial(hdf5._external, name), Refused((name,))
        as_int32 = hdf5.replaced(name, lambda old: old.astype(np.int32))
        yield f"{name} as int32", as_int32, Result(sound())


def _numbers():
    for name, values in {
        "shard_starts": (-1, 1, 3, 2**62),
        "shard_sizes": (0, -1, 1, 2**62, -(2**62)),
        "picture_starts": (-1, 10**6, 2**62, 2**63 - 1, -(2**63)),
        "picture_sizes": (0, -1, 10**6, 2**31, 2**62, 2**63 - 1, -(2**63)),
    }.items():
        for value in values:
            for place in (0, -1):
                expected = Refused(("picture_",) if name == "shard_sizes" and value == 1 else ())
                if name == "shard_starts" and (value, place) == (0, 0):
                    continue
                yield f"{name} {value} at {place}", partial(hdf5._set, name, place, value), expected
    huge = hdf5.replaced("picture_starts", lambda old: old.astype(np.uint64) + np.uint64(2**63))
    yield "picture_starts beyond int64", huge, Refused(("picture_starts",))


def _attributes():
    for value in (None, 7, "", "multibox 1", "multibox shards 2", b"\xff\xfe"):
        yield f"attribute format {value!r}", partial(hdf5._set_attribute, "format", value), Refused()
