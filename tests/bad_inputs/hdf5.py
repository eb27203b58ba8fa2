"""Damaged data sets in HDF5."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import cv2
import h5py
import numpy as np

import multibox as mb

from .case import Case, Refused, Result, Target
from .damage import CONTROL_NAMES, UNUSUAL_NAMES, WRONG_FILES, cuts
from .samples import PNG, described, sound, write_hdf5
from .special import special_files


def _read(folder):
    data = mb.load_hdf5(folder / "data.h5")
    found = described(data)
    if found == sound():
        for record in data:
            pixels = cv2.imdecode(np.frombuffer(PNG[record.image_id], np.uint8), cv2.IMREAD_COLOR_RGB)
            assert np.array_equal(record.read(), pixels), record.image_id
    return found


TARGET = Target(
    "HDF5",
    _read,
    "data.h5",
    lambda folder: ["check", str(folder / "data.h5")],
)
SOUND = Result(sound())
WHOLE = ("width", "height", "object_starts", "labels", "image_starts", "written", "images")
ARRAYS = (*WHOLE, "boxes", "difficult", "truncated", "crowd", "image_id")


@cache
def content() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_hdf5(Path(folder))
        return (Path(folder) / "data.h5").read_bytes()


def write(change: Callable[[h5py.File], object], folder: Path) -> None:
    (folder / "data.h5").write_bytes(content())
    with h5py.File(folder / "data.h5", "r+") as file:
        change(file)


def write_bytes(data, folder):
    (folder / "data.h5").write_bytes(data)


def replaced(name, value, **options):
    """Another array in place of this one."""

    def change(file):
        old = file[name][()]
        del file[name]
        file.create_dataset(name, data=value(old) if callable(value) else value, **options)

    return change


def cases() -> Iterator[Case]:
    for kind, change, expected in (*_arrays(), *_values(), *_attributes(), *_links()):
        yield Case(TARGET, kind, partial(write, change), expected)
    for kind, data in {**WRONG_FILES, **cuts(content(), 24)}.items():
        yield Case(TARGET, f"file {kind}", partial(write_bytes, data), Refused(), command=False)
    yield Case(
        TARGET, "file with bytes in front", partial(write_bytes, bytes(512) + content()), SOUND, command=False
    )
    yield Case(TARGET, "file twice", partial(write_bytes, content() * 2), SOUND)
    for case in special_files(TARGET, partial(write_bytes, content()), "data.h5", but=("of a terabyte",)):
        yield Case(case.target, case.kind, case.write, case.expected, command=False)


def _arrays():
    for name in ARRAYS:
        yield f"{name} missing", partial(_delete, name), Refused((name,))
        for kind, value in {
            "a group": None,
            "a text": "abc",
            "a number": 7,
            "empty": np.zeros(0, np.float32),
            "without a shape": h5py.Empty("f4"),
            "of pairs": np.zeros(3, [("a", "i4"), ("b", "f4")]),
            "of bytes": np.zeros(3, "V5"),
            "of texts": np.array([b"a", b"b", b"c"]),
            "of complex numbers": np.zeros(3, np.complex64),
            "of float16": np.zeros(3, np.float16),
            "of five dimensions": np.zeros((1, 1, 1, 1, 3), np.int64),
        }.items():
            change = partial(_group, name) if value is None else replaced(name, value)
            # One array decides how long the others must be.
            first = name in ("labels", "image_id") and kind in (
                "a number",
                "a text",
                "of texts",
                "of five dimensions",
            )
            yield f"{name} {kind}", change, Refused(() if first else (name,))
        short = replaced(name, lambda old: old[:-1])
        yield f"{name} one too short", short, Refused()
        long = replaced(name, lambda old: np.concatenate([old, old[-1:]]))
        yield f"{name} one too long", long, Refused()
        yield f"{name} declared of 2**40", partial(_declared, name, 1 << 40), Refused((name,))
        yield f"{name} declared of 2**24 chunks", partial(_declared, name, 1 << 24), Refused((name,))
        yield f"{name} of lists", partial(_lists, name), Refused((name,))
        compressed = replaced(name, lambda old: old, chunks=True, compression="gzip")
        yield f"{name} compressed", compressed, Refused((name,)) if name in ("images", "image_id") else SOUND
    for name in ("width", "height", "labels", "object_starts", "image_starts"):
        yield f"{name} of fractions", replaced(name, lambda old: old + 0.5), Refused((name, "whole numbers"))
        yield f"{name} as float", replaced(name, lambda old: old.astype(np.float64)), Refused((name,))
        yield f"{name} as bool", replaced(name, lambda old: old > 0), Refused((name,))
        wider = replaced(name, lambda old: old.astype(np.int16))
        yield f"{name} as int16", wider, SOUND
    yield "boxes as double", replaced("boxes", lambda old: old.astype(np.float64)), SOUND
    yield "boxes as int", replaced("boxes", lambda old: old.astype(np.int32)), Refused(("boxes",))
    yield "boxes transposed", replaced("boxes", lambda old: old.T), Refused(("boxes",))
    yield "boxes of five", replaced("boxes", lambda old: np.zeros((3, 5), np.float32)), Refused(("boxes",))
    yield "boxes flat", replaced("boxes", lambda old: old.reshape(-1)), Refused(("boxes",))
    for flag in ("difficult", "truncated", "crowd"):
        yield f"{flag} as int", replaced(flag, lambda old: old.astype(np.int8)), Refused((flag,))


def _values():
    def first(name, value):
        def change(file):
            file[name][0] = value

        return change

    for name in ("width", "height"):
        for value in (0, -1, -(2**31), 10**6, 2**31 - 1):
            yield f"{name} {value}", first(name, value), Refused((name,))
        for value in (63, 65, 999_999):  # the images themselves are looked at when they are read
            data = sound()
            data["a"][name == "height"] = value
            fits = value > 50
            yield f"{name} {value}", first(name, value), Result(data) if fits else SOUND
    for value in (0, -1, 3, 2**31 - 1, -(2**31)):
        yield f"labels {value}", first("labels", value), Refused(("label",))
    for kind, box in {
        "NaN": [np.nan, 4, 24, 20],
        "infinite": [8, 4, np.inf, 20],
        "minus infinity": [-np.inf, 4, 24, 20],
        "swapped": [24, 20, 8, 4],
        "without width": [8, 4, 8, 20],
        "outside": [100, 100, 120, 120],
        "beyond the image": [8, 4, 65, 20],
        "negative": [-8, 4, 24, 20],
        "huge": [8, 4, 3e38, 20],
    }.items():
        yield f"box {kind}", first("boxes", box), Refused(("box",))
    for name in ("object_starts", "image_starts"):
        for kind, place, value in (
            ("from one", 0, 1),
            ("negative", 0, -1),
            ("falling", 1, 10**6),
            ("beyond the end", -1, 10**6),
            ("huge", -1, 2**62),
            ("negative at the end", -1, -1),
        ):
            yield (
                f"{name} {kind}",
                partial(_set, name, place, value),
                Refused(("starts" if place == 0 or value < 0 else "",)),
            )
    yield "written 0", first("written", 0), Refused(("incomplete",))
    yield "image_id twice", replaced("image_id", ["a", "a"]), Refused(("'a'",))
    yield "image_id empty", replaced("image_id", ["", "b"]), Result({"": sound()["a"], "b": sound()["b"]})
    yield "image_id not UTF-8", replaced("image_id", np.array([b"\xff", b"b"])), Refused()


def _attributes():
    for name in ("format", "name", "class_names", "decoded", "pixels"):
        if name != "pixels":
            yield f"attribute {name} missing", partial(_set_attribute, name, None), Refused((name,))
        for kind, value in {
            "an array": np.arange(3),
            "empty": h5py.Empty("f4"),
            "a list of texts": ["a", "b"],
            "bytes": np.void(b"abc"),
            "of pairs": np.zeros(1, [("a", "i4")]),
        }.items():
            yield f"attribute {name} {kind}", partial(_set_attribute, name, value), Refused((name,))
        yield f"attribute {name} of lists", partial(_set_list, name), Refused((name,))
        other = "abc" if name == "decoded" else 7
        yield f"attribute {name} of another type", partial(_set_attribute, name, other), Refused((name,))
        if name not in ("decoded", "name"):
            for kind, text in {
                "empty": "",
                "another": "abc",
                "not UTF-8": b"\xff\xfe",
                "control": "\x1b[31m",
            }.items():
                yield f"attribute {name} {kind} text", partial(_set_attribute, name, text), Refused()
    for text in ("multibox 0", "multibox 2", "Multibox 1", "multibox 1 "):
        yield f"attribute format {text!r}", partial(_set_attribute, "format", text), Refused(("format",))
    yield "attribute pixels missing", partial(_set_attribute, "pixels", None), SOUND
    for text in (
        "null",
        "7",
        '{"cat": 1}',
        '["cat"',
        "[]",
        '["cat", 7]',
        '["cat", null]',
        '["cat", "cat"]',
        '["cat", ""]',
        '"cat"',
        '["cat", ["dog"]]',
        "[" * 100_000,
        '["cat"]',
    ):
        yield (
            f"attribute class_names {text[:20]}",
            partial(_set_attribute, "class_names", text[:60_000]),
            Refused(),
        )
    for kind, name in CONTROL_NAMES.items():
        change = partial(_set_names, [name, "dog"])
        yield f"class name with {kind}", change, Refused(("class_names",))
    for kind, name in UNUSUAL_NAMES.items():
        data = {
            i: [*o[:2], *((name if n == "cat" else n, *rest) for n, *rest in o[2:])]
            for i, o in sound().items()
        }
        yield f"class name {kind}", partial(_set_names, [name, "dog"]), Result(data)
    for text in (
        "[3]",
        "[0, null]",
        "[3, null, 1]",
        '["3", null]',
        "[3, [5, 1]]",
        "[-1, null]",
        "[1e9, null]",
        "[true, null]",
        '[3, "x"]',
        "[3, [NaN, 1]]",
        "{}",
    ):
        yield f"attribute pixels {text}", partial(_set_attribute, "pixels", text), Refused(("pixels",))


def _links():
    for name in ARRAYS:
        yield f"{name} a soft link", partial(_link, name, h5py.SoftLink("/labels")), Refused((name,))
        yield (
            f"{name} a soft link to itself",
            partial(_link, name, h5py.SoftLink(f"/{name}")),
            Refused((name,)),
        )
        outside = h5py.ExternalLink("/etc/passwd", "/x")
        yield f"{name} a link to another file", partial(_link, name, outside), Refused((name,))
        yield f"{name} kept in another file", partial(_external, name), Refused((name,))
        yield f"{name} virtual", partial(_virtual, name), Refused((name,))


def _delete(name, file):
    del file[name]


def _group(name, file):
    del file[name]
    file.create_group(name)


def _declared(name, size, file):
    del file[name]
    file.create_dataset(name, (size,), np.int32, chunks=(1 << 16,), fillvalue=1)


def _lists(name, file):
    del file[name]
    array = file.create_dataset(name, (3,), h5py.vlen_dtype(np.int32))
    array[0] = [1, 2]


def _link(name, link, file):
    del file[name]
    file[name] = link


def _external(name, file):
    old = file[name][()]
    del file[name]
    kind = np.dtype("S1") if old.dtype.kind == "O" else old.dtype
    file.create_dataset(name, old.shape, kind, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(name, file):
    old = file[name][()]
    del file[name]
    layout = h5py.VirtualLayout(old.shape, np.int32)
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", shape=old.shape)
    file.create_virtual_dataset(name, layout)


def _set(name, place, value, file):
    numbers = file[name][()]
    numbers[place] = value
    file[name][...] = numbers


def _set_attribute(name, value, file):
    del file.attrs[name]
    if value is not None:
        file.attrs[name] = value


def _set_list(name, file):
    value = np.empty(1, object)
    value[0] = np.arange(3, dtype=np.int32)
    del file.attrs[name]
    file.attrs.create(name, value, dtype=h5py.vlen_dtype(np.int32))


def _set_names(names, file):
    import json

    _set_attribute("class_names", json.dumps(names), file)
