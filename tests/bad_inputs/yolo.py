"""Damaged files of a YOLO data set: labels, data.yaml, obj.data, lists of images and of classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import multibox as mb

from .case import Case, Refused, Result, Target
from .damage import BAD_PATHS, CONTROL_NAMES, NOT_NUMBERS, SAME_NUMBERS, UNUSUAL_NAMES, WRONG_FILES
from .samples import YOLO_YAML, described, sound, write_yolo, yolo_labels
from .special import special_files


def _target(name, file, start):
    return Target(
        name,
        lambda folder: described(mb.load_yolo(folder / start, progress=False)),
        file,
        lambda folder: ["check", "yolo", str(folder / start), "--set", "train"],
    )


LABELS = _target("YOLO labels", "a.txt", "data.yaml")
YAML = _target("YOLO data.yaml", "data.yaml", "data.yaml")
DARKNET = _target("YOLO obj.data", "obj.data", "obj.data")
LIST = _target("YOLO list of images", "train.txt", "data.yaml")
CLASSES = _target("YOLO classes.txt", "classes.txt", "classes.txt")
SOUND = Result(sound())


def write(name, content, folder):
    write_yolo(folder)
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    (folder / name).write_bytes(data)


def write_darknet(content, folder):
    write_yolo(folder)
    (folder / "data.yaml").unlink()
    (folder / "obj.names").write_text("cat\ndog\n")
    (folder / "train.txt").write_text("images/a.png\nimages/b.png\n")
    (folder / "obj.data").write_bytes(content if isinstance(content, bytes) else content.encode())


def write_list(content, folder):
    write("data.yaml", YOLO_YAML.replace("train: images", "train: train.txt"), folder)
    (folder / "train.txt").write_bytes(content if isinstance(content, bytes) else content.encode())


def write_classes(content, folder):
    write("classes.txt", content, folder)
    (folder / "data.yaml").unlink()


def cases() -> Iterator[Case]:
    for target, write_it, parts in (
        (LABELS, partial(write, "labels/a.txt"), _labels()),
        (YAML, partial(write, "data.yaml"), _yaml()),
        (DARKNET, write_darknet, _darknet()),
        (LIST, write_list, _list()),
        (CLASSES, write_classes, _classes()),
    ):
        for kind, content, expected in parts:
            yield Case(target, kind, partial(write_it, content), expected)
    yield from special_files(
        LABELS, write_yolo, "labels/a.txt", but=("missing", "a link to nowhere", "a loop of links")
    )
    yield from special_files(YAML, write_yolo, "data.yaml", but=("a folder",))
    yield from special_files(
        LIST, partial(write_list, "images/a.png\nimages/b.png\n"), "train.txt", but=("a folder",)
    )
    yield from special_files(CLASSES, partial(write_classes, "cat\ndog\n"), "classes.txt", but=("a folder",))
    no_labels = Result({"a": [64, 32], "b": sound()["b"]})
    yield Case(LABELS, "file is missing", partial(_without, "labels/a.txt"), no_labels)


def _without(name, folder):
    write_yolo(folder)
    (folder / name).unlink()


def changed(place, text):
    rows = yolo_labels("a")
    rows[0][place] = text
    return "".join(" ".join(words) + "\n" for words in rows)


def _labels():
    for place, value in enumerate(("0", *yolo_labels("a")[0][1:])):
        what = f"field {place + 1}" if place else "class id"
        for kind, text in NOT_NUMBERS.items():
            # A blank inside makes two fields of one.
            words = ("line 1",) if " " in text else ("line 1", what)
            yield f"{what} {kind}", changed(place, text), Refused(words)
        for kind, text in SAME_NUMBERS.items():
            if kind != "as a decimal" or place == 0:
                yield f"{what} {kind}", changed(place, text.format(value)), SOUND
        for text in ("-0.5", "1.5", "2", "64"):
            yield f"{what} {text}", changed(place, text), Refused(("line 1", what))
        yield f"{what} missing", changed(place, ""), Refused(("line 1", "4 fields"))
        yield f"{what} twice", changed(place, f"{value} {value}"), Refused(("line 1", "6 fields"))
    lines = [" ".join(words) for words in yolo_labels("a")]
    for separator in (",", ";", ":"):
        yield (
            f"separator {separator}",
            "\n".join(line.replace(" ", separator) for line in lines),
            Refused(("line 1",)),
        )
    yield "separator tab", "\n".join(line.replace(" ", "\t") for line in lines), SOUND
    yield "line ends of Windows", "\r\n".join(lines), SOUND
    yield "empty lines", "\n\n".join(lines) + "\n\n", SOUND
    yield "byte order mark", "\ufeff" + "\n".join(lines), SOUND
    yield "a header", "class x y w h\n" + "\n".join(lines), Refused(("line 1",))
    yield "a comment", "# labels\n" + "\n".join(lines), Refused(("line 1",))
    yield "the name of a class", changed(0, "cat"), Refused(("line 1", "class id"))
    yield "two points", "0 0.1 0.1 0.5 0.5 0.9 0.9 0.1\n", Refused(("line 1", "8 fields"))
    outline = Result({**sound(), "a": [64, 32, ("cat", (8.0, 4.0, 24.0, 20.0), "")]})
    yield "an outline", "0 0.125 0.125 0.375 0.125 0.375 0.625\n", outline
    flat = Result({**sound(), "a": [64, 32]}, ("1 without area, dropped",))
    yield "no width", "0 0.5 0.5 0 0.5\n", flat
    yield "an outline without area", "0 0.5 0.1 0.5 0.5 0.5 0.9\n", flat
    clipped = Result({**sound(), "a": [64, 32, ("cat", (32.0, 0.0, 64.0, 32.0), "")]}, ("1 partly outside",))
    yield "box beyond the image", "0 1 0.5 1 1\n", clipped
    yield "empty", "", Result({**sound(), "a": [64, 32]})
    yield "blank", " \n\t\n", Result({**sound(), "a": [64, 32]})
    yield (
        "a line of a million fields",
        "0 " + "0.5 " * 10**6,
        Result({**sound(), "a": [64, 32]}, ("without area",)),
    )
    for kind, content in WRONG_FILES.items():
        yield f"file {kind}", content, Result({**sound(), "a": [64, 32]}) if not content else Refused()


def _yaml():
    def line(key, value):
        rest = [text for text in YOLO_YAML.splitlines() if not text.startswith((f"{key}:", "  "))]
        names = [] if key == "names" else ["  0: cat", "  1: dog"]
        if key != "names":
            rest.remove("names:")
            rest.append("names:")
        return "\n".join([*(["" if value is None else f"{key}: {value}"]), *rest, *names]) + "\n"

    for kind, value in {
        **{
            f"a tag {tag}": f"!!{tag} x"
            for tag in ("bool", "int", "float", "timestamp", "null", "set", "omap")
        },
        "code": "!!python/object/apply:os.system ['true']",
        "a name of Python": "!!python/name:os.system",
        "an own tag": "!cat x",
        "an alias of nothing": "*none",
        "an anchor": "&a [cat, dog]",
        "a bracket never closed": "[cat, dog",
        "a brace never closed": "{0: cat",
        "a quote never closed": '"cat',
        "a tab": "\tcat",
        "a percent": "%cat",
        "an at sign": "@cat",
        "a backtick": "`cat`",
        "a broken escape": '"\\q"',
        "an escape beyond Unicode": '"\\UFFFFFFFF"',
        "a merge": "\n  <<: {0: cat, 1: dog}",
        "two documents": "x\n---\n",
        "a question mark": "\n  ? [a]\n  : b",
        "nothing": "",
        "null": "null",
        "a number": "7",
        "a list of null": "[null, ~]",
        "a list of lists": "[[cat], [dog]]",
        "a list of dictionaries": "[{name: cat}, {name: dog}]",
        "an empty list": "[]",
        "an empty dictionary": "{}",
        "a gap": "{0: cat, 2: dog}",
        "from one": "{1: cat, 2: dog}",
        "negative": "{-1: cat, 0: dog}",
        "names as keys": "{cat: 0, dog: 1}",
        "fractions": "{0.0: cat, 1.0: dog}",
        "huge": "{999999999999999999999: cat, 0: dog}",
        "fullwidth": "{\uff10: cat, 1: dog}",
        "a key twice": "{0: cat, 0: dog}",
        "a name twice": "[cat, cat]",
        "an empty name": "[cat, '']",
        "a blank name": "[cat, ' ']",
        "NUL": '["cat\\0", dog]',
        "an escape sequence": '["\\e[31mcat", dog]',
        "2000 brackets": "[" * 2000,
        "100000 brackets": "[" * 100_000,
        "100000 braces": "{" * 100_000,
        "nested in lines": "".join(f"\n{' ' * i}a:" for i in range(1, 200)),
        "500000 commas": "[" + "," * 500_000 + "]",
        "500000 names": "[" + "a," * 500_000 + "]",
    }.items():
        yield f"names {kind}", line("names", value), SOUND if kind == "an anchor" else Refused()
    yield "no names", line("names", None), Refused(("names",))
    for kind, name in UNUSUAL_NAMES.items():
        text = line("names", json.dumps([name, "dog"], ensure_ascii=False))
        yield f"names {kind}", text, Result(_renamed(name))
    for kind, name in CONTROL_NAMES.items():
        yield f"names with {kind}", line("names", json.dumps([name, "dog"])), Refused(("names",))
    for text in (
        "no",
        "true",
        "1e3",
        "0x1F",
        "2023-02-30",
        "12:30:00",
        "1_0",
        "y",
    ):  # texts, whatever YAML says
        yield f"names {text}", line("names", f"[{text}, dog]"), Result(_renamed(text))
    for key in ("train", "path"):
        for kind, value in {
            "null in a list": "[null]",
            "a number": "7",
            "a dictionary": "{a: b}",
            "a list of lists": "[[images]]",
            "a tag": "!!str images",
            "above": "../../..",
            "absolute": "/etc",
            "a device": "/dev/zero",
            "NUL": '"a\\0b"',
            "very long": "n" * 5000,
            "an address": "http://127.0.0.1/x",
            "a home": "~/none",
            "a drive": "'C:\\none'",
            "a pattern": "'*'",
            "the yaml file": "data.yaml",
            "not there": "none",
        }.items():
            yield f"{key} {kind}", line(key, value), Refused()
    yield "train empty text", line("train", "''"), Refused(("split train",))
    yield "path empty text", line("path", "''"), SOUND
    yield "no train", line("train", None), Refused(("split train",))
    yield "train twice", YOLO_YAML + "train: images\n", Refused(("'train'", "more than once"))
    yield "no path", line("path", None), SOUND
    for value in ("1", "3", "two", "2.0", "-2", "[2]", "1_0"):
        yield f"nc {value}", line("nc", value), Refused(("number of classes",))
    for value in ("2", "null", ""):
        yield f"nc {value}", line("nc", value), SOUND
    yield "key points", YOLO_YAML + "kpt_shape: [17, 3]\n", Refused(("kpt_shape",))
    bomb = "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    yield "a bomb of aliases", "a0: &a0 [x]\n" + bomb + YOLO_YAML, Refused(("aliases",))
    yield (
        "an alias",
        "x: &x images\n" + YOLO_YAML.replace("train: images", "train: *x"),
        Refused(("aliases",)),
    )
    for kind, text in {
        "a date that is none": "date: 2023-02-30\n",
        "5000 digits": "size: " + "9" * 5000 + "\n",
        "a script": "download: |\n  import os\n",
        "unknown keys": "roboflow:\n  workspace: x\nflip_idx: []\n",
    }.items():
        yield f"another key: {kind}", text + YOLO_YAML, SOUND
    for kind, content in WRONG_FILES.items():
        yield f"file {kind}", content, Refused()
    yield "byte order mark", "\ufeff" + YOLO_YAML, SOUND
    yield "latin-1", YOLO_YAML.replace("cat", "K\xe4tzchen").encode("latin-1"), Refused(("UTF-8",))
    yield "tabs as indents", YOLO_YAML.replace("  ", "\t"), Refused()
    for end in range(5, len(YOLO_YAML) - 2, 7):
        yield f"cut after {end} bytes", YOLO_YAML[:end], Refused()


def _renamed(name):
    data = sound()
    for objects in data.values():
        objects[2:] = [(name if o[0] == "cat" else o[0], *o[1:]) for o in objects[2:]]
    return data


def _darknet():
    text = "classes = 2\ntrain = train.txt\nnames = obj.names\nbackup = backup/\n"
    yield "sound", text, SOUND
    yield "paths of darknet", text.replace("= train", "= data/train").replace("= obj", "= data/obj"), SOUND
    yield "no names", text.replace("names", "nomes"), Refused(("names",))
    yield "names empty", text.replace("obj.names", ""), Refused()
    yield "no train", text.replace("train = ", "test = "), Refused(("split train",))
    for value in ("1", "3", "two", "2.0"):
        yield (
            f"classes {value}",
            text.replace("= 2", f"= {value}"),
            Refused(("number of classes",), file="obj."),
        )
    yield "a line without =", text + "something\n", Refused(("line 5",))
    yield "a line without key", text + "= x\n", Refused(("line 5",))
    for kind, path in BAD_PATHS.items():
        if path:
            yield f"names {kind}", text.replace("obj.names", path), Refused((), file="")
            expected = SOUND if path == "." else Refused((), file="")  # all images in the folder
            yield f"train {kind}", text.replace("train.txt", path), expected
    for kind, content in WRONG_FILES.items():
        yield f"file {kind}", content, Refused()


def _list():
    yield "sound", "images/a.png\nimages/b.png\n", SOUND
    yield "with dots and blanks", "./images/a.png  \n\n  images/../images/b.png\n", SOUND
    yield "line ends of Windows", "images/a.png\r\nimages/b.png\r\n", SOUND
    yield (
        "an image twice",
        "images/a.png\nimages/b.png\nimages/a.png\n",
        Refused(("same image id",), file="a.txt"),
    )
    for kind, path in BAD_PATHS.items():
        if path:
            yield f"a path {kind}", f"images/a.png\n{path}\n", Refused((), file="")
    for kind, content in WRONG_FILES.items():
        yield f"file {kind}", content, Refused((), file="")


def _classes():
    yield "sound", "cat\ndog\n", SOUND
    yield "blanks around", " cat \ndog\t\n\n", SOUND
    yield "an empty line between", "cat\n\ndog\n", Refused(("class 1",))
    yield "a name twice", "cat\ncat\n", Refused(("more than once",))
    yield "a name too few", "cat\n", Refused(("class id",), file="a.txt")
    yield "empty", "", Refused()
    for kind, name in CONTROL_NAMES.items():
        if kind not in ("newline", "next line", "line separator"):
            yield f"a name with {kind}", f"{name}\ndog\n", Refused()
    for kind, name in UNUSUAL_NAMES.items():
        yield f"a name {kind}", f"{name}\ndog\n", Result(_renamed(name))
    for kind, content in WRONG_FILES.items():
        if kind in (
            "one zero byte",
            "zero bytes",
            "a picture",
            "an archive",
            "gzip",
            "random bytes",
            "UTF-16",
        ):
            yield f"file {kind}", content, Refused()
