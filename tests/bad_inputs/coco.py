"""Damaged instances files of COCO."""

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
from .samples import coco, described, sound, sound_but, write_coco
from .special import special_files

TARGET = Target(
    "COCO",
    lambda folder: described(mb.load_coco(folder / "coco.json", progress=False)),
    "coco.json",
    lambda folder: ["check", "coco", str(folder / "coco.json"), str(folder)],
)
IDS = ("1", "2")
SOUND = Result(sound(IDS))
IMAGE, OBJECT, CATEGORY = ("images", 0), ("annotations", 0), ("categories", 0)
SKIPPED = {"info": None, "licenses": [], "segmentation": [[1, 2, 3, 4]]}


def write(content, folder):
    write_coco(folder)
    (folder / "coco.json").write_bytes(content)


def cases() -> Iterator[Case]:
    parts = (*_ids(), *_sizes(), *_names(), *_boxes(), *_flags(), *_lists(), *_skipped(), *_whole())
    for kind, content, expected in parts:
        yield Case(TARGET, kind, partial(write, content), expected)
    yield from special_files(TARGET, write_coco, "coco.json")


def damaged(path, raw):
    return json_with(coco(), path, raw)


def shown(path):
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)[1:]


def refused(kind, *words):
    return Refused(() if kind in NO_JSON else words)


def but(**changes):
    return Result(sound_but(ids=IDS, **changes))


def _ids():
    for path, what in (
        ((*IMAGE, "id"), "image"),
        ((*OBJECT, "image_id"), "image"),
        ((*OBJECT, "category_id"), "category"),
        ((*CATEGORY, "id"), "categor"),
    ):
        for kind, raw in NOT_JSON_NUMBERS.items():
            # Whole numbers and texts are ids; these are of nothing in the file.
            yield f"{shown(path)} {kind}", damaged(path, raw), refused(kind, what)
        for raw in ("0", "-1", "3", "1.5", "18446744073709551616"):
            yield f"{shown(path)} {raw}", damaged(path, raw), Refused((what,))
        yield f"{shown(path)} missing", damaged(path, None), Refused((path[-1],))
        yield f"{shown(path)} as text", damaged(path, '"1"'), SOUND
    yield "two images with one id", damaged((*IMAGE, "id"), "2"), Refused(("$.images", "more than once"))
    yield (
        "two categories with one id",
        damaged((*CATEGORY, "id"), "2"),
        Refused(("$.categories", "more than once")),
    )
    yield "one id as number and as text", damaged((*IMAGE, "id"), '"2"'), Refused(("more than once",))


def _sizes():
    for side, value in (("width", 64), ("height", 32)):
        path = (*IMAGE, side)
        for kind, raw in NOT_JSON_NUMBERS.items():
            expected = SOUND if kind == "null" else refused(kind, "$.images[0]", side)
            yield f"{shown(path)} {kind}", damaged(path, raw), expected
        for raw in ("0", f"{value}.0", f"{value}e0", None):
            yield f"{shown(path)} {raw}", damaged(path, raw), SOUND
        yield f"{shown(path)} negative", damaged(path, "-64"), Refused(("$.images[0]", "negative"))
        yield f"{shown(path)} half a pixel", damaged(path, "64.5"), Refused(("$.images[0]", "whole pixels"))


def _names():
    name, file = (*CATEGORY, "name"), (*IMAGE, "file_name")
    for path in (name, file):
        for kind, raw in NOT_JSON_TEXTS.items():
            yield f"{shown(path)} {kind}", damaged(path, raw), refused(kind, path[0], path[-1])
        yield f"{shown(path)} missing", damaged(path, None), Refused((path[-1],))
    for kind, text in CONTROL_NAMES.items():
        yield f"{shown(name)} with {kind}", damaged(name, json.dumps(text)), Refused(("class",))
    for kind, text in UNUSUAL_NAMES.items():
        data = sound(IDS)
        for objects in data.values():
            objects[2:] = [(text if o[0] == "cat" else o[0], *o[1:]) for o in objects[2:]]
        yield f"{shown(name)} {kind}", damaged(name, json.dumps(text)), Result(data)
    for text in ("", "  ", " cat"):
        yield f"{shown(name)} {text!r}", damaged(name, json.dumps(text)), Refused(("class",))
    yield "two categories with one name", damaged(name, '"dog"'), Refused(("$.categories", "'dog'"))
    for kind, text in BAD_PATHS.items():
        yield f"{shown(file)} {kind}", damaged(file, json.dumps(text)), Refused(("$.images[0]",))
    yield f"{shown(file)} with NUL", damaged(file, '"a\\u0000.png"'), Refused(("$.images[0]",))
    yield (
        "two images with one file",
        damaged(file, '"b.png"'),
        Result(sound(IDS), ("1 entries list a picture", "b.png")),
    )


def _boxes():
    path = (*OBJECT, "bbox")
    for place in range(4):
        for kind, raw in NOT_JSON_NUMBERS.items():
            yield (
                f"bbox[{place}] {kind}",
                damaged((*path, place), raw),
                refused(kind, "$.annotations[0]", "bbox"),
            )
    for kind, raw in {
        **NOT_JSON_LISTS,
        "empty": "[]",
        "of three numbers": "[8, 4, 16]",
        "of five numbers": "[8, 4, 16, 16, 0]",
        "of corners in pairs": "[[8, 4], [24, 20]]",
        "of texts": '["8", "4", "16", "16"]',
        "in an object": '{"x": 8, "y": 4, "width": 16, "height": 16}',
        "as text": '"8 4 16 16"',
    }.items():
        yield f"bbox {kind}", damaged(path, raw), Refused(("$.annotations[0]", "bbox"))
    yield "no bbox", damaged(path, None), Refused(("$.annotations[0]", "bbox"))
    for kind, raw, why in (
        ("negative width", "[24, 4, -16, 16]", "1 without area, dropped"),
        ("no area", "[8, 4, 0, 16]", "1 without area, dropped"),
        ("outside", "[100, 100, 10, 10]", "1 outside the image, dropped"),
        ("beyond the origin", "[-50, -50, 10, 10]", "1 outside the image, dropped"),
        ("far away", "[999999, 999999, 999999, 999999]", "1 outside the image, dropped"),
    ):
        dropped = Result(sound_but(ids=IDS, drop=True), (why,))
        yield f"bbox {kind}", damaged(path, raw), dropped
    for kind, raw in {
        "of huge numbers": f"[[1, 2, {'9' * 400}, 4]]",
        "of texts": '[["a", "b"]]',
        "empty": "[[]]",
    }.items():
        outlined = coco()
        del outlined["annotations"][0]["bbox"]
        content = json_with(outlined | {}, (*OBJECT, "segmentation"), raw)
        yield f"no bbox, polygons {kind}", content, Refused(("$.annotations[0]",))
    clipped = Result(sound_but(ids=IDS, box=(8.0, 4.0, 64.0, 32.0)), ("1 partly outside",))
    yield "bbox beyond the image", damaged(path, "[8, 4, 500, 500]"), clipped
    corners = coco()
    for one in corners["annotations"]:
        one["bbox"] = [20, 10, 60, 30]
    corners["annotations"] *= 2
    yield "all boxes are corners", json.dumps(corners).encode(), Refused(("box_format",))
    relative = coco()
    for one in relative["annotations"]:
        one["bbox"] = [0.1, 0.1, 0.5, 0.5]
    relative["annotations"] *= 2
    yield (
        "all boxes are relative",
        json.dumps(relative).encode(),
        Refused(("coco.json", "within 0..1"), file=""),
    )


def _flags():
    path = (*OBJECT, "iscrowd")
    for kind, raw in NOT_JSON_NUMBERS.items():
        expected = refused(kind, "$.annotations[0]", "iscrowd")
        expected = {"null": SOUND, "true": but(flags="crowd")}.get(kind, expected)
        yield f"iscrowd {kind}", damaged(path, raw), expected
    for raw in ("2", "-1", "0.5"):
        yield f"iscrowd {raw}", damaged(path, raw), Refused(("$.annotations[0]", "iscrowd"))
    yield "iscrowd 1", damaged(path, "1"), but(flags="crowd")
    yield "iscrowd missing", damaged(path, None), SOUND


def _lists():
    for key in ("images", "annotations", "categories"):
        for kind, raw in NOT_JSON_LISTS.items():
            yield f"{key} {kind}", damaged((key,), raw), refused(kind, key)
        yield f"{key} missing", damaged((key,), None), Refused((key,))
        yield f"{key}[0] null", damaged((key, 0), "null"), Refused((f"$.{key}[0]",))
    yield "images empty", damaged(("images",), "[]"), Refused(("image",))
    yield "categories empty", damaged(("categories",), "[]"), Refused(("category",))
    yield "annotations empty", damaged(("annotations",), "[]"), Result({"1": [64, 32], "2": [64, 32]})
    twice = json.dumps(coco())[:-1] + ', "images": []}'
    yield "images twice", twice.encode(), Refused(("image",))
    index = json.dumps(coco()).replace('"annotations"', '"Annotations"')
    yield "annotations with a capital", index.encode(), Refused(("annotations",))


def _skipped():
    """Keys that are not read: whatever they hold, the data set is the same."""
    for key, values in {
        ("info",): ("null", "1", '"x"', "[]", '{"a": {"b": []}}'),
        ("licenses",): ("null", "{}", "[1]"),
        (*OBJECT, "segmentation"): ("null", "[]", '{"counts": "abc", "size": [1, 2]}', "[[1]]"),
        (*OBJECT, "area"): ("null", "-1", '"x"', "1e999"),
        (*OBJECT, "id"): ("null", "-1", '"x"', "[]", "1"),
        (*CATEGORY, "supercategory"): ("null", "1", '"cat"', "[]", '"none"'),
        (*IMAGE, "license"): ("null", '"x"'),
        (*IMAGE, "coco_url"): ('"http://127.0.0.1/"', "1"),
    }.items():
        for raw in values:
            content = json_with(coco() | ({key[0]: 0} if len(key) == 1 else {}), key, raw)
            yield f"{shown(key)} {raw}", content, SOUND


def _whole():
    for kind, content in {**WRONG_FILES, **cuts(json.dumps(coco()).encode())}.items():
        yield f"file {kind}", content, Refused()
    sound_file = json.dumps(coco()).encode()
    yield "file with byte order mark", b"\xef\xbb\xbf" + sound_file, SOUND
    yield "file twice", sound_file * 2, Refused()
    yield "file a list", b"[" + sound_file + b"]", Refused()
    yield "file null", b"null", Refused()
    yield "file {}", b"{}", Refused(("images",))
    yield "nested 100000 deep", b"[" * 100_000 + b"]" * 100_000, Refused()
    yield (
        "info nested 100000 deep",
        b'{"info": ' + b"[" * 100_000 + b"]" * 100_000 + b"," + sound_file[1:],
        Refused(),
    )
    yield "lines of JSON", b"".join(json.dumps(a).encode() + b"\n" for a in coco()["annotations"]), Refused()
    yield "a comma too many", sound_file[:-1] + b",}", Refused()
    yield "a comment", b"/* x */" + sound_file, Refused()
    yield "single quotes", str(coco()).encode(), Refused()
    yield "UTF-16", json.dumps(coco()).encode("utf-16"), Refused()
    results = [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]
    yield "a file of results", json.dumps(results).encode(), Refused()
