"""Logs of a training, rows of Hugging Face, and options of the command."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial

from PIL import Image

import multibox as mb
from multibox.data_generator import load_huggingface

from .case import Case, Refused, Result, Target
from .damage import CONTROL_NAMES, NOT_NUMBERS, UNUSUAL_NAMES, WRONG_FILES
from .samples import OBJECTS, PNG, described, sound, sound_but, write_voc
from .special import special_files


def _curves(folder):
    """{name of the panel: the epochs and numbers of each curve}."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    try:
        figure = mb.plot_history(folder / "history.csv")
        return {
            axes.get_title(): [
                [[float(x), float(y)] for x, y in zip(*line.get_data(), strict=True)] for line in axes.lines
            ]
            for axes in figure.axes
        }
    finally:
        plt.close("all")


HISTORY = Target("history.csv", _curves, "history.csv")
ROWS = ["epoch,loss,val_loss", "0,2.5,3.0", "1,1.5,2.0"]
PLOTTED = {"loss": [[[1.0, 2.5], [2.0, 1.5]], [[1.0, 3.0], [2.0, 2.0]]]}


def write_history(content, folder):
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    (folder / "history.csv").write_bytes(data)


def cases() -> Iterator[Case]:
    for kind, content, expected in _history():
        yield Case(HISTORY, kind, partial(write_history, content), expected)
    yield from special_files(HISTORY, partial(write_history, "\n".join(ROWS)), "history.csv")
    for kind, row, expected in _rows():
        yield Case(_hugging_face(row), kind, lambda folder: None, expected)
    yield from _options()


def _history():
    yield "sound", "\n".join(ROWS), Result(PLOTTED)
    for column in range(3):
        name = ROWS[0].split(",")[column]
        for kind, text in {**NOT_NUMBERS, "empty": ""}.items():
            if name != "epoch" and kind in (
                "nan",
                "NaN with sign",
                "inf",
                "minus infinity",
                "1e308",
                "a million",
                "minus a million",
                "empty",
                "beyond double",
                "5000 digits",
            ):
                continue  # losses may be anything that is a number, and need not be there
            if name == "epoch" and kind in ("a million", "minus a million"):
                continue
            cells = ROWS[2].split(",")
            cells[column] = text
            yield f"{name} {kind}", "\n".join([*ROWS[:2], ",".join(cells)]), Refused()
    yield "no epochs", ROWS[0], Refused(("no epochs",))
    yield "no column epoch", "\n".join(ROWS).replace("epoch", "step"), Refused(("epoch",))
    yield "a field too few", "\n".join([*ROWS[:2], "1,1.5"]), Refused()
    yield "a field too many", "\n".join([*ROWS[:2], "1,1.5,2.0,7"]), Refused()
    yield "two rows in one", "\n".join([*ROWS[:2], "1,1.5,21,1.5,2.0"]), Refused()
    yield "a quote never closed", "\n".join([*ROWS[:2], '1,"1.5,2.0']), Refused()
    for kind, content in WRONG_FILES.items():
        yield f"file {kind}", content, Refused()


def _hugging_face(row):
    def read(_):
        b = {"image": {"bytes": PNG["b"]}, "objects": _objects("b"), "image_id": "b"}
        return described(load_huggingface([row, b], progress=False))

    return Target("Hugging Face rows", read, "row 0")


def _objects(image):
    boxes = [[x1, y1, x2 - x1, y2 - y1] for _, (x1, y1, x2, y2) in OBJECTS[image]]
    return {"bbox": boxes, "category": [name for name, _ in OBJECTS[image]]}


def _row(objects=None, **changes):
    row = {"image": {"bytes": PNG["a"]}, "objects": {**_objects("a"), **(objects or {})}, "image_id": "a"}
    return {key: value for key, value in {**row, **changes}.items() if value is not ...}


def _rows():
    good = Result(sound())
    yield "sound", _row(), good
    box, other = _objects("a")["bbox"]
    for kind, value in {
        "a text": "8",
        "NaN": float("nan"),
        "infinite": float("inf"),
        "None": None,
        "a list": [8],
        "a million": 10**6,
        "minus a million": -(10**6),
        "complex": 1j,
        "5000 digits": 10**5000,
    }.items():
        for place in range(4):
            wrong = [*box[:place], value, *box[place + 1 :]]
            expected = good if kind == "a text" and place == 0 else Refused(("row 0",))
            if kind != "a text":
                yield f"bbox[{place}] {kind}", _row({"bbox": [wrong, other]}), expected
    for kind, boxes in {
        "None": None,
        "a number": 7,
        "a text": "8 4 16 16",
        "of three numbers": [box[:3], other[:3]],
        "of five numbers": [[*box, 1], [*other, 1]],
        "of different lengths": [box, other[:3]],
        "one too few": [box],
        "one too many": [box, other, box],
        "empty": [],
        "in objects": [{"x": 1}, {"x": 2}],
        "missing": ...,
    }.items():
        objects = {key: value for key, value in {**_objects("a"), "bbox": boxes}.items() if value is not ...}
        yield f"bbox {kind}", _row(objects=None) | {"objects": objects}, Refused(("row 0",))
    for kind, names in {
        "None": None,
        "a number": 7,
        "a text": "cat",
        "numbers": [0, 1],
        "of None": [None, None],
        "of lists": [["cat"], ["dog"]],
        "of bytes": [b"cat", b"dog"],
        "one too few": ["cat"],
        "empty names": ["", "dog"],
        "fractions": [0.5, 1.5],
    }.items():
        yield f"category {kind}", _row({"category": names}), Refused(("row 0",))
    for kind, name in CONTROL_NAMES.items():
        yield f"category with {kind}", _row({"category": [name, "dog"]}), Refused(("row 0",))
    for kind, name in UNUSUAL_NAMES.items():
        yield f"category {kind}", _row({"category": [name, "dog"]}), Result(sound_but(name=name))
    for flag in ("iscrowd", "difficult"):
        short = flag.removeprefix("is")
        yield f"{flag} set", _row({flag: [1, 0]}), Result(sound_but(flags=short))
        for kind, values in {
            "one too few": [1],
            "None": None,
            "a number": 7,
            "texts": ["no", "yes"],
            "of lists": [[1], [0]],
            "negative": [-2, 0],
            "NaN": [float("nan"), 0],
        }.items():
            yield f"{flag} {kind}", _row({flag: values}), Refused(("row 0",))
    for kind, value in {
        "None": None,
        "a number": 7,
        "a text": "abc",
        "a list": [1],
        "{}": {},
        "bytes None": {"bytes": None},
        "bytes a text": {"bytes": "abc"},
        "bytes no picture": {"bytes": b"abc" * 99},
        "bytes empty": {"bytes": b""},
        "a path that is not there": {"bytes": None, "path": "/none.png"},
    }.items():
        yield f"image {kind}", _row(image=value), Refused((), file="")
    picture = Image.open(io.BytesIO(PNG["a"]))
    yield "image of Pillow", _row(image=picture), good
    for kind, value in {"None": None, "a number": 7, "a text": "abc", "a list of numbers": [1, 2]}.items():
        yield f"objects {kind}", _row() | {"objects": value}, Refused(("row 0",))
    yield "image_id of the other row", _row(image_id="b"), Refused(("row", "'b'"), file="")
    for side in ("width", "height"):
        for kind, value in {
            "negative": -1,
            "a fraction": 32.5,
            "a text": "abc",
            "NaN": float("nan"),
            "a list": [1],
            "a million": 10**6,
        }.items():
            yield f"{side} {kind}", _row(width=64, height=32) | {side: value}, Refused(("row 0",))


# Options of the command ---------------------------------------------------------------------------------


def _options():
    """Wrong options, beside sound files. The message names the option or its value."""
    wrong = {
        "check --model none": (["check", "FOLDER", "--model", "none"], "none"),
        "check --model empty": (["check", "FOLDER", "--model", ""], "anchors ''"),
        "check --model of size 0": (["check", "FOLDER", "--model", "ssd300:0x0"], "ssd300"),
        "check --model of a huge size": (
            ["check", "FOLDER", "--model", "ssd300:99999999x99999999"],
            "ssd300",
        ),
        "check --model of a negative size": (["check", "FOLDER", "--model", "ssd300:-3x300"], "ssd300"),
        "check --model of size x": (["check", "FOLDER", "--model", "ssd300:x"], "ssd300"),
        "check --model with an escape sequence": (["check", "FOLDER", "--model", "\x1b[31m"], "31m"),
        "check --classes empty": (["check", "FOLDER", "--classes", ""], "class"),
        "check --classes twice": (["check", "FOLDER", "--classes", "cat,cat"], "cat"),
        "check --classes with NUL": (["check", "FOLDER", "--classes", "ca\x07t"], "class"),
        "check --set none": (["check", "FOLDER", "--set", "none"], "none"),
        "check --set with a path": (["check", "voc", "FOLDER", "--set", "../x"], "../x"),
        "check --unknown": (["check", "FOLDER", "--unknown"], "--unknown"),
        "check of nothing": (["check", "FOLDER/none"], "none"),
        "check without path": (["check", "voc"], "devkit"),
        "check of a long path": (["check", "n" * 5000], "n"),
        "check of an escape sequence": (["check", "\x1b[31m"], "31m"),
        "check coco of one file": (["check", "coco", "FOLDER/x.json"], "pairs"),
        "check yolo of nothing": (["check", "yolo", "FOLDER/none.yaml"], "none.yaml"),
        "check csv of a folder": (["check", "csv", "FOLDER", "FOLDER"], "folder"),
        "check --output a file": (["check", "FOLDER", "--output", "FOLDER/JPEGImages/a.png"], "a.png"),
        "convert without options": (["convert", "a", "b.keras"], "--model"),
        "convert --classes 0": (_convert("ssd300", "--classes", "0"), "--classes"),
        "convert --classes a text": (_convert("ssd300", "--classes", "x"), "--classes"),
        "convert --classes 10**9": (_convert("ssd300", "--classes", "1000000000"), "num_classes"),
        "convert --model none": (_convert("none", "--classes", "2"), "none"),
        "convert --anchors none": (_convert("ssd300", "--classes", "2", "--anchors", "none"), "none"),
        "convert --alpha 10**9": (_convert("ssd-mobilenet", "--classes", "2", "--alpha", "1e9"), "alpha"),
        "convert --alpha nan": (_convert("ssd-mobilenet", "--classes", "2", "--alpha", "nan"), "alpha"),
        "convert --alpha for ssd300": (_convert("ssd300", "--classes", "2", "--alpha", "1"), "--alpha"),
        "convert to another suffix": (
            ["convert", "a", "b.txt", "--model", "ssd300", "--classes", "2"],
            "b.txt",
        ),
        "demo --epochs 0": (["demo", "--epochs", "0"], "--epochs"),
        "demo --epochs a text": (["demo", "--epochs", "x"], "--epochs"),
        "evaluate without anything": (["evaluate"], "argument"),
        "an unknown command": (["nothing"], "nothing"),
        "an unknown option": (["--nothing"], "--nothing"),
    }
    for kind, (arguments, word) in wrong.items():
        target = Target("options", lambda folder: None, word, partial(_filled, arguments))
        yield Case(target, kind, write_voc, Refused(), only_command=True)


def _convert(model, *options):
    return ["convert", "a", "b.keras", "--model", model, *options]


def _filled(arguments, folder):
    return [word.replace("FOLDER", str(folder)) for word in arguments]
