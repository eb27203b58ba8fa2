"""Damaged TFRecord files: records, protobuf, features, and label maps."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from foreign_files import message, varint

from multibox.data_generator import load_tfrecord

from .case import Case, Refused, Result, Target
from .damage import CONTROL_NAMES, UNUSUAL_NAMES, WRONG_FILES, cuts
from .samples import (
    LABEL_MAP,
    OBJECTS,
    PNG,
    checksum,
    described,
    example,
    features,
    record,
    sound,
    sound_but,
    write_tfrecord,
)
from .special import special_files

TARGET = Target(
    "TFRecord",
    lambda folder: described(
        load_tfrecord(folder / "train.tfrecord", label_map=folder / "label_map.pbtxt", progress=False)
    ),
    "train.tfrecord",
    lambda folder: ["check", str(folder)],
)
MAP = Target("TFRecord label map", TARGET.read, "label_map.pbtxt", TARGET.command)
SOUND = Result(sound())
SIDES = [f"image/object/bbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax")]
TEXT, LABEL = "image/object/class/text", "image/object/class/label"


def write(content, folder):
    write_tfrecord(folder)
    (folder / "train.tfrecord").write_bytes(content)


def write_map(content, folder):
    write_tfrecord(folder)
    examples = b"".join(record(example({**features(i), TEXT: []})) for i in OBJECTS)
    (folder / "train.tfrecord").write_bytes(examples)
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    (folder / "label_map.pbtxt").write_bytes(data)


def cases() -> Iterator[Case]:
    for kind, content, expected in (*_features(), *_names(), *_images(), *_wire(), *_records()):
        # The command looks for files that begin like TFRecord.
        is_record = content[:8] == struct.pack("<Q", len(content[12:])) or kind.startswith("feature")
        yield Case(TARGET, kind, partial(write, content), expected, command=is_record)
    for kind, content, expected in _maps():
        yield Case(MAP, kind, partial(write_map, content), expected)
    for case in special_files(TARGET, write_tfrecord, "train.tfrecord"):
        yield Case(case.target, case.kind, case.write, case.expected, command=False)
    for case in special_files(MAP, write_tfrecord, "label_map.pbtxt"):
        yield Case(case.target, case.kind, case.write, case.expected, command=False)


def both(first):
    return record(first) + record(example(features("b")))


def changed(**changes):
    """The file with other features of the first image: lists, features as bytes, or None for nothing."""
    full = {**features("a"), **changes}
    return both(example({name: values for name, values in full.items() if values is not None}))


def _features():
    for side in SIDES:
        short = side.rpartition("/")[2]
        values = features("a")[side]
        for kind, wrong in {
            "missing": None,
            "empty": [],
            "one too few": values[:1],
            "one too many": [*values, 0.5],
            "texts": [b"0.1", b"0.2"],
            "NaN": [float("nan"), 0.5],
            "infinite": [float("inf"), 0.5],
            "minus infinity": [float("-inf"), 0.5],
            "huge": [3e38, 0.5],
            "beyond a million": [2e6, 0.5],
        }.items():
            yield f"feature {short} {kind}", changed(**{side: wrong}), Refused(("image/object/bbox",))
    flat = Result(sound_but(drop=True), ("1 without area, dropped",))
    yield "feature xmax below xmin", changed(**{SIDES[2]: [0.1, 0.75]}), flat
    pixels = {side: [v * 50 for v in features("a")[side]] for side in SIDES}
    outside = Result({**sound(), "a": [64, 32]}, ("2 outside the image, dropped",))
    yield "feature boxes in pixels", changed(**pixels), outside
    ones = {side: [int(side.endswith("max")), int(side.endswith("max"))] for side in SIDES}
    data = {**sound(), "a": [64, 32, *((name, (0.0, 0.0, 64.0, 32.0), "") for name in ("cat", "dog"))]}
    yield "feature sides as whole numbers", changed(**ones), Result(data)
    for key in ("image/height", "image/width"):
        for kind, value in {"missing": None, "empty": [], "zero": [0]}.items():
            yield f"feature {key} {kind}", changed(**{key: value}), SOUND
        for kind, value in {
            "negative": [-1],
            "huge": [2**62],
            "a million": [10**6],
            "a fraction": [32.5],
            "NaN": [float("nan")],
            "text": [b"32"],
        }.items():
            yield f"feature {key} {kind}", changed(**{key: value}), Refused(("record at byte",))
    for key in ("image/object/difficult", "image/object/truncated"):
        short = key.rpartition("/")[2]
        yield f"feature {short} missing", changed(**{key: None}), SOUND
        for kind, value in {
            "one too few": [1],
            "texts": [b"1", b"0"],
            "NaN": [float("nan"), 0.0],
            "negative": [-2, 0],
        }.items():
            yield f"feature {short} {kind}", changed(**{key: value}), Refused(("record at byte", short))
        yield f"feature {short} unknown", changed(**{key: [-1, 0]}), SOUND
        yield f"feature {short} set", changed(**{key: [1, 0]}), Result(sound_but(flags=short))


def _names():
    for kind, values in {
        "one too few": [b"cat"],
        "one too many": [b"cat", b"dog", b"cat"],
        "numbers": [1, 2],
        "fractions": [1.0, 2.0],
        "empty texts": [b"", b"dog"],
        "not UTF-8": [b"c\xfft", b"dog"],
        "unknown": [b"bird", b"dog"],
    }.items():
        yield f"feature text {kind}", changed(**{TEXT: values}), Refused()
    for kind, name in CONTROL_NAMES.items():
        yield f"feature text with {kind}", changed(**{TEXT: [name.encode(), b"dog"]}), Refused(("class",))
    yield "feature text missing", changed(**{TEXT: None}), SOUND
    for kind, values in {
        "missing": None,
        "zero": [0, 1],
        "unknown": [7, 1],
        "negative": [-1, 1],
        "huge": [2**62, 1],
        "one too few": [1],
        "texts": [b"1", b"2"],
        "fractions": [1.5, 2.0],
    }.items():
        yield f"feature label {kind}", changed(**{TEXT: None, LABEL: values}), Refused(("record at byte",))
    yield "feature text and label missing", changed(**{TEXT: None, LABEL: None}), Refused(("class",))
    yield "feature source_id of another image", changed(**{"image/source_id": [b"b"]}), Refused(("'b'",))
    number = Result({"7": sound()["a"], "b": sound()["b"]})
    yield "feature source_id a number", changed(**{"image/source_id": [7]}), number


def _images():
    key = "image/encoded"
    for kind, values in {
        "missing": None,
        "empty list": [],
        "empty": [b""],
        "two": [PNG["a"], PNG["a"]],
        "a number": [7],
        "a fraction": [0.5],
    }.items():
        yield f"feature encoded {kind}", changed(**{key: values}), Refused(("record at byte", "image"))
    unsized = {"image/width": None, "image/height": None}
    for kind, content in {"a text": b"abc" * 50, "cut": PNG["a"][:20], **WRONG_FILES}.items():
        if content and kind != "a picture":
            yield f"feature encoded {kind}, no size", changed(**{key: [content]}, **unsized), Refused()


def _wire():
    sound_example = example(features("a"))
    for kind, data in {
        "empty": b"",
        "a text": b"hello",
        "a varint of eleven bytes": b"\xff" * 11,
        "wire type 3": b"\x0b" + sound_example,
        "wire type 6": b"\x0e" + sound_example,
        "wire type 7": b"\x0f" + sound_example,
        "a length beyond the end": b"\x0a\xff\xff\xff\xff\x0f" + sound_example[2:],
        "a length of 2**63": b"\x0a" + varint(2**63) + sound_example,
        "features as a number": b"\x08\x01",
        "an entry as a number": message(1, b"\x08\x01"),
        "an entry without name": message(1, message(1, message(2, message(1, message(1, b"x"))))),
        "floats of five bytes": example({**features("a"), SIDES[0]: message(2, message(1, b"12345"))}),
        "a list of another kind": example({**features("a"), SIDES[0]: message(7, message(1, b"1234"))}),
        "floats as varints": example({**features("a"), SIDES[0]: message(2, b"\x08\x01\x08\x02")}),
        "integers cut off": example({**features("a"), LABEL: message(3, message(1, b"\xff\xff"))}),
    }.items():
        yield f"protobuf {kind}", both(data), Refused(("record at byte",))
    unpacked = message(2, b"".join(b"\x0d" + struct.pack("<f", v) for v in features("a")[SIDES[0]]))
    yield "protobuf floats one by one", changed(**{SIDES[0]: unpacked}), SOUND
    yield "protobuf unknown fields", both(sound_example + message(9, b"abc") + b"\x50\x01"), SOUND
    extra = {"image/x": [b"x"], "": [1], "image/key/sha256": [b"0" * 64]}
    yield "protobuf other features", changed(**extra), SOUND
    yield "protobuf a feature of no kind", changed(**{"image/x": b""}), SOUND


def _records():
    content = both(example(features("a")))
    for kind, data in {**WRONG_FILES, **cuts(content)}.items():
        yield f"file {kind}", data, Refused()
    for kind, length in {"zero": 0, "too large": 10**6, "of 2**63": 2**63, "of 2 GiB": 2**31}.items():
        head = struct.pack("<Q", length)
        yield f"length {kind}", head + checksum(head) + content[12:], Refused()
        yield f"length {kind}, checksum kept", head + content[8:], Refused()
    for kind, place in {
        "length": 0,
        "its checksum": 9,
        "data": 100,
        "the data's checksum": len(record(example(features("a")))) - 2,
    }.items():
        damaged = bytearray(content)
        damaged[place] ^= 1
        yield f"one bit of {kind}", bytes(damaged), Refused(("checksum",))
    yield "bytes after the end", content + b"abc", Refused(("truncated",))
    yield "zeros after the end", content + bytes(16), Refused()
    yield "a record twice", content + content, Refused(("same image id",))
    empty = record(b"")
    yield "an empty record", content + empty, Refused()


def _maps():
    for kind, text in {
        "empty": "",
        "no items": "nothing",
        "no id": LABEL_MAP.replace("id: 1", ""),
        "no name": LABEL_MAP.replace("name: 'cat'", ""),
        "id a text": LABEL_MAP.replace("1", "one"),
        "id negative": LABEL_MAP.replace("1", "-1"),
        "id a fraction": LABEL_MAP.replace("1", "1.5"),
        "id twice": LABEL_MAP.replace("id: 2", "id: 1"),
        "id fullwidth": LABEL_MAP.replace("1", "\uff11"),
        "id of 5000 digits": LABEL_MAP.replace("1", "9" * 5000),
        "an empty name": LABEL_MAP.replace("cat", ""),
        "a bracket never closed": LABEL_MAP.replace("}", ""),
        "JSON": '{"1": "cat", "2": "dog"}',
        "100000 brackets": "item {" * 100_000,
    }.items():
        yield kind, text, Refused()
    for kind, name in CONTROL_NAMES.items():
        yield f"name with {kind}", LABEL_MAP.replace("cat", name), Refused()
    for kind, name in UNUSUAL_NAMES.items():
        if not set(name) & {"'", '"', "\\", "{", "}"}:
            data = sound()
            for objects in data.values():
                objects[2:] = [(name if o[0] == "cat" else o[0], *o[1:]) for o in objects[2:]]
            yield f"name {kind}", LABEL_MAP.replace("cat", name), Result(data)
    one = Result({i: [*o[:2], *(("cat", *rest) for _, *rest in o[2:])] for i, o in sound().items()})
    yield "a name twice", LABEL_MAP.replace("dog", "cat"), one
    yield "comments", "# x\n" + LABEL_MAP.replace("item", "# y\nitem"), SOUND
    yield "double quotes", LABEL_MAP.replace("'", '"'), SOUND
    for kind, content in WRONG_FILES.items():
        yield f"file {kind}", content, Refused()
