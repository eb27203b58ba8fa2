"""Damaged files of LabelMe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import multibox as mb

from .case import Case, Refused, Result, Target
from .damage import (
    BAD_PATHS,
    CONTROL_NAMES,
    NO_JSON,
    NOT_JSON_LISTS,
    NOT_JSON_NUMBERS,
    NOT_JSON_TEXTS,
    UNUSUAL_NAMES,
    WRONG_FILES,
    cuts,
    json_with,
)
from .samples import described, labelme, sound, sound_but, write_labelme
from .special import special_files

TARGET = Target(
    "LabelMe",
    lambda folder: described(mb.load_labelme(folder, progress=False)),
    "a.json",
    lambda folder: ["check", str(folder)],
)
SHAPE = ("shapes", 0)
ONLY_B = Result(
    {"b": sound()["b"]}, ("1 JSON files without the key `shapes`", "1 pictures have no JSON file")
)


def write(content, folder):
    write_labelme(folder)
    (folder / "a.json").write_bytes(content)


def cases() -> Iterator[Case]:
    for kind, content, expected in (*_numbers(), *_texts(), *_points(), *_whole()):
        # A folder in which no file is LabelMe's is no LabelMe folder for the command.
        yield Case(TARGET, kind, partial(write, content), expected)
    yield from special_files(TARGET, write_labelme, "a.json", but=("missing", "a folder"))
    yield Case(TARGET, "a file is missing", _without_a, Result({"b": sound()["b"]}, ("1 pictures have no",)))


def _without_a(folder):
    write_labelme(folder)
    (folder / "a.json").unlink()


def damaged(path, raw):
    return json_with(labelme("a"), path, raw)


def refused(kind, *words):
    return Refused(() if kind in NO_JSON else words)


def _numbers():
    for side, value in (("imageWidth", 64), ("imageHeight", 32)):
        for kind, raw in NOT_JSON_NUMBERS.items():
            expected = Result(sound()) if kind == "null" else refused(kind, side)
            yield f"{side} {kind}", damaged((side,), raw), expected
        for raw in ("0", f"{value}.0", f"{value}e0", None):
            yield f"{side} {raw}", damaged((side,), raw), Result(sound())
        yield f"{side} negative", damaged((side,), "-64"), Refused(("negative",))
        yield f"{side} half a pixel", damaged((side,), "64.5"), Refused(("whole pixels",))


def _texts():
    for kind, raw in NOT_JSON_TEXTS.items():
        expected = Result(sound_but(name="10")) if kind == "a number" else refused(kind, "$.shapes[", "label")
        yield f"label {kind}", damaged((*SHAPE, "label"), raw), expected
    for kind, name in CONTROL_NAMES.items():
        yield f"label with {kind}", damaged((*SHAPE, "label"), json.dumps(name)), Refused(("class",))
    for kind, name in UNUSUAL_NAMES.items():
        content = damaged((*SHAPE, "label"), json.dumps(name))
        yield f"label {kind}", content, Result(sound_but(name=name))
    for name in ("", "  "):
        yield f"label {name!r}", damaged((*SHAPE, "label"), json.dumps(name)), Refused()
    yield "no label", damaged((*SHAPE, "label"), None), Refused(("label",))
    for kind, raw in NOT_JSON_TEXTS.items():
        expected = Result(sound()) if kind == "null" else refused(kind, "shape_type")
        yield f"shape_type {kind}", damaged((*SHAPE, "shape_type"), raw), expected
    point = Result(sound_but(drop=True), ("1 points",))
    yield "shape_type point", damaged((*SHAPE, "shape_type"), '"point"'), point
    circle = Result(sound_but(box=(0.0, 0.0, 30.627416610717773, 26.627416610717773)), ("clipped",))
    yield "shape_type circle", damaged((*SHAPE, "shape_type"), '"circle"'), circle
    for kind, raw in NOT_JSON_TEXTS.items():
        expected = Result(sound()) if kind == "null" else refused(kind, "imagePath")
        yield f"imagePath {kind}", damaged(("imagePath",), raw), expected
    for kind, name in BAD_PATHS.items():
        # The picture with the JSON file's own name counts then.
        expected = Refused() if name == "." else Result(sound())
        yield f"imagePath {kind}", damaged(("imagePath",), json.dumps(name)), expected
    yield "imagePath of another file", damaged(("imagePath",), '"b.png"'), Refused(("b.png",), file=".json")
    yield "imagePath with NUL", damaged(("imagePath",), '"a\\u0000.png"'), Refused()


def _points():
    for kind, raw in {**NOT_JSON_LISTS, "an empty list": "[]"}.items():
        yield f"points {kind}", damaged((*SHAPE, "points"), raw), refused(kind, "$.shapes[", "points")
    for kind, raw in {
        "one": "[[1, 2]]",
        "of one number": "[[1], [2]]",
        "of three numbers": "[[1, 2, 3], [4, 5, 6]]",
        "of texts": '[["1", "2"], ["3", "4"]]',
        "flat": "[1, 2, 3, 4]",
        "in objects": '[{"x": 1, "y": 2}, {"x": 3, "y": 4}]',
    }.items():
        yield f"points {kind}", damaged((*SHAPE, "points"), raw), Refused(("points",))
    for place in (0, 1):
        for kind, raw in NOT_JSON_NUMBERS.items():
            path = (*SHAPE, "points", 1, place)
            yield f"points[1][{place}] {kind}", damaged(path, raw), refused(kind, "points")
    yield "points in another order", damaged((*SHAPE, "points"), "[[24, 20], [8, 4]]"), Result(sound())
    flat = Result(sound_but(drop=True), ("1 without area, dropped",))
    yield "points on a line", damaged((*SHAPE, "points"), "[[8, 4], [8, 20]]"), flat
    outside = Result(sound_but(drop=True), ("1 outside the image, dropped",))
    yield "points outside", damaged((*SHAPE, "points"), "[[100, 4], [120, 20]]"), outside


def _whole():
    for kind, raw in NOT_JSON_LISTS.items():
        yield (
            f"shapes {kind}",
            damaged(("shapes",), raw),
            ONLY_B if kind == "null" else refused(kind, "shapes"),
        )
    yield "no shapes", damaged(("shapes",), None), ONLY_B
    yield "shapes empty", damaged(("shapes",), "[]"), Result({**sound(), "a": [64, 32]})
    for kind, content in {**WRONG_FILES, **cuts(json.dumps(labelme("a")).encode())}.items():
        yield f"file {kind}", content, ONLY_B if kind == "an error message" else Refused()
    yield "file with byte order mark", b"\xef\xbb\xbf" + json.dumps(labelme("a")).encode(), Result(sound())
    yield "file a list", json.dumps([labelme("a")]).encode(), Refused()
    yield "file null", b"null", Refused()
    yield "file nested 100000 deep", b"[" * 100_000 + b"]" * 100_000, Refused()
    yield "nested 100000 deep in another key", damaged(("flags",), "[" * 100_000 + "]" * 100_000), Refused()
    yield "file twice", json.dumps(labelme("a")).encode() * 2, Refused()
    yield "a comma too many", json.dumps(labelme("a")).encode()[:-1] + b",}", Refused()
    yield "a comment", b"// x\n" + json.dumps(labelme("a")).encode(), Refused()
    yield "single quotes", str(labelme("a")).encode(), Refused()
    yield "UTF-16", json.dumps(labelme("a")).encode("utf-16"), Refused()
