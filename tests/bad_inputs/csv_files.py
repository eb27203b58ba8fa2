"""Damaged CSV files with one object a line, and those of Open Images."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import multibox as mb
from multibox.data_generator import load_open_images

from .case import Case, Refused, Result, Target
from .damage import BAD_PATHS, CONTROL_NAMES, NOT_NUMBERS, SAME_NUMBERS, UNUSUAL_NAMES, WRONG_FILES
from .samples import (
    CSV_HEADER,
    DESCRIPTIONS,
    OPEN_IMAGES_HEADER,
    csv_rows,
    csv_text,
    described,
    open_images_rows,
    sound,
    sound_but,
    write_csv,
    write_open_images,
)
from .special import special_files

CSV = Target(
    "CSV",
    lambda folder: described(mb.load_csv(folder / "boxes.csv", progress=False)),
    "boxes.csv",
    lambda folder: ["check", "csv", str(folder / "boxes.csv"), str(folder)],
)
BOXES, CODES = "train-annotations-bbox.csv", "class-descriptions-boxable.csv"
OPEN_IMAGES = Target(
    "Open Images",
    lambda folder: described(load_open_images(folder / BOXES, folder, folder / CODES, progress=False)),
    BOXES,
    lambda folder: ["check", str(folder)],
)
DESCRIPTION = Target("Open Images classes", OPEN_IMAGES.read, CODES, OPEN_IMAGES.command)
SOUND = Result(sound())


def write(name, make, content, folder):
    make(folder)
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    (folder / name).write_bytes(data)


def cases() -> Iterator[Case]:
    for kind, content, expected in (*_cells(), *_names(), *_headers(), *_lines(), *_whole()):
        yield Case(CSV, kind, partial(write, "boxes.csv", write_csv, content), expected)
    yield from special_files(CSV, write_csv, "boxes.csv")
    for kind, content, expected in (*_open_images(),):
        yield Case(OPEN_IMAGES, kind, partial(write, BOXES, write_open_images, content), expected)
    for kind, content, expected in (*_descriptions(),):
        yield Case(DESCRIPTION, kind, partial(write, CODES, write_open_images, content), expected)
    # The command looks for what it can read.
    for case in special_files(OPEN_IMAGES, write_open_images, BOXES):
        yield Case(case.target, case.kind, case.write, case.expected, command=False)
    for case in special_files(DESCRIPTION, write_open_images, CODES):
        yield Case(case.target, case.kind, case.write, case.expected, command=False)


def changed(column, text, row=2):
    """The file with another text in one cell; the row of image b, which has only one, unless stated."""
    rows = csv_rows()
    rows[row][CSV_HEADER.index(column)] = text
    return csv_text(rows)


def _cells():
    values = {"width": 64, "height": 32, "xmin": 0, "ymin": 0, "xmax": 64, "ymax": 32, "difficult": 0}
    for column, value in values.items():
        for kind, text in NOT_NUMBERS.items():
            yield f"{column} {kind}", changed(column, text), Refused(("line 4", column))
        for kind, text in SAME_NUMBERS.items():
            yield f"{column} {kind}", changed(column, text.format(value)), SOUND
    for side in ("xmin", "ymin", "xmax", "ymax"):
        for text in ("", "  "):
            yield f"{side} {text!r}", changed(side, text), Refused(("line 4", side))
    for side in ("width", "height"):
        for text in ("", "0"):
            yield f"{side} {text!r}", changed(side, text), SOUND
        yield f"{side} negative", changed(side, "-64"), Refused(("line 4", "negative"))
        yield f"{side} half a pixel", changed(side, "64.5"), Refused(("line 4", "whole pixels"))
        yield f"{side} differs within an image", changed(side, "99", row=1), Refused(("line 3", side, "99"))
    for text in ("1", "true", "Yes", "2.0"):
        yield f"difficult {text}", changed("difficult", text), Result(sound_but("b", flags="difficult"))
    for text in ("", "false", "NO", "-1"):
        yield f"difficult {text!r}", changed("difficult", text), SOUND
    yield "difficult negative", changed("difficult", "-2"), Refused(("line 4", "difficult"))
    for kind, sides, why in (
        ("corners swapped", "64,32,0,0", "without area"),
        ("no width", "8,0,8,32", "without area"),
        ("outside", "100,0,164,32", "outside the image"),
        ("far away", "-999999,-999999,-99999,-99999", "outside the image"),
    ):
        rows = csv_rows()
        rows[2][4:8] = sides.split(",")
        yield f"box {kind}", csv_text(rows), Result(sound_but("b", drop=True), (f"1 {why}, dropped",))
    rows = csv_rows()
    rows[2][4:8] = ["-9", "-9", "999", "999"]
    yield "box beyond the image", csv_text(rows), Result(sound(), ("1 partly outside",))
    rows = csv_rows()
    rows[2][4:8] = ["", "", "", ""]
    empty = Result(sound_but("b", drop=True), ("1 lines have a class but no box",))
    yield "no box", csv_text(rows), empty


def _names():
    for kind, name in CONTROL_NAMES.items():
        quoted = f'"{name}"' if kind == "newline" else name
        yield f"class with {kind}", changed("class", quoted), Refused(("line ",))
    for kind, name in UNUSUAL_NAMES.items():
        yield f"class {kind}", changed("class", name), Result(sound_but("b", name=name))
    for text in ("", "   "):
        yield f"class {text!r}", changed("class", text), Refused(("line 4", "class"))
    for kind, name in BAD_PATHS.items():
        words = () if name in ("", ".", "..") else ("line 4",)
        yield f"image {kind}", changed("image", name), Refused(words)
    yield "image with NUL", changed("image", "b\0.png"), Refused()
    yield "image of other lines", changed("image", "a.png"), _joined()


def _joined():
    data = {"a": [*sound()["a"], *sound()["b"][2:]]}
    return Result(data)


def _headers():
    for i, column in enumerate(CSV_HEADER):
        header = [*CSV_HEADER]
        header[i] = "something"
        expected = SOUND if column in ("width", "height", "difficult") else Refused(("no column",))
        yield f"header without {column}", csv_text(header=header), expected
        header[i] = f"  {column.upper()} "
        yield f"header {header[i]!r}", csv_text(header=header), SOUND
        rows = [[*row, "x"] for row in csv_rows()]
        text = csv_text(rows, [*CSV_HEADER, column])
        yield f"header {column} twice", text, Refused((f"{column}", "more than once"))
    for names in (
        ("path", "label", "x1", "y1", "x2", "y2"),
        ("filename", "class_name", "left", "top", "right", "bottom"),
        ("frame", "category", "xtl", "ytl", "xbr", "ybr"),
        ("image_path", "label name", "bbox_xmin", "bbox_ymin", "bbox_xmax", "bbox_ymax"),
    ):
        header = [names[0], "width", "height", *names[1:], "difficult"]
        yield f"header {', '.join(names)}", csv_text(header=header), SOUND
    for separator in (";", "\t", "|"):
        yield f"separator {separator!r}", csv_text(separator=separator), SOUND
    for separator in (":", " ", "\x1f", "  ", "/"):
        yield f"separator {separator!r}", csv_text(separator=separator), Refused(("no column",))
    yield "header only", csv_text([]), Refused(("no object", "boxes.csv"), file="")
    yield (
        "no header",
        csv_text()[len(",".join(CSV_HEADER)) + 1 :],
        Refused(("no column", "first line looks like")),
    )
    yield "header in another script", csv_text(header=["\u0438\u043c\u044f"] * 9), Refused(("no column",))
    yield (
        "header of 10000 columns",
        csv_text(header=[f"c{i}" for i in range(10_000)]),
        Refused(("no column",)),
    )
    yield "a comment in front", "# boxes\n" + csv_text(), Refused(("no column",))
    yield "an empty line in front", "\n" + csv_text(), Refused(("no column",))
    yield "sep= of Excel in front", "sep=,\n" + csv_text(), Refused(("no column",))


def _lines():
    first, *rest = csv_text().splitlines(keepends=True)
    for kind, line in {
        "a field too few": "b.png,64,32,cat,0,0,64,32\n",
        "a field too many": "b.png,64,32,cat,0,0,64,32,0,1\n",
        "only the image": "b.png\n",
        "only separators": ",,,,,,,,\n",
        "spaces": "   \n",
        "another separator": "b.png;64;32;cat;0;0;64;32;0\n",
        "decimal commas": "b.png,64,32,cat,0,0,64,0,32,0,0\n",
        "the header again": first,
    }.items():
        yield f"a line of {kind}", "".join([first, *rest[:2], line]), Refused(("line 4",))
    for kind, line in {
        "never closed": '"b.png,64,32,cat,0,0,64,32,0\n',
        "inside a cell": 'b"x.png,64,32,cat,0,0,64,32,0\n',
        "followed by text": '"b.png"x,64,32,cat,0,0,64,32,0\n',
        "with a line break": '"b\n.png",64,32,cat,0,0,64,32,0\n',
    }.items():
        yield f"a quote {kind}", "".join([first, *rest[:2], line]), Refused()
    yield "a quote never closed before 100000 lines", first + '"' + rest[2] * 100_000, Refused()
    yield (
        "a cell of a million letters",
        first + rest[0] + "b.png,64,32," + "c" * 10**6 + ",0,0,64,32,0\n",
        Refused(),
    )
    yield "quoted cells", first + "".join(rest).replace("cat", '"cat"'), SOUND
    yield "an empty line between", first + "\n".join(rest), SOUND
    yield "line ends of Windows", csv_text().replace("\n", "\r\n"), SOUND
    yield "line ends of old Macs", csv_text().replace("\n", "\r"), SOUND
    yield "no line end", csv_text().rstrip("\n"), SOUND
    for kind, text in {"line separator": "\u2028", "form feed": "\f", "vertical tab": "\v"}.items():
        yield f"{kind} as line end", csv_text().replace("\n", text), Refused((), file="boxes")
    relative = [["a.png", "64", "32", "cat", "0.1", "0.1", "0.5", "0.5", "0"]] * 6
    yield "relative boxes", csv_text(relative), Refused(("boxes.csv", "relative=True"), file="")


def _whole():
    for kind, content in WRONG_FILES.items():
        yield f"file {kind}", content, Refused()
    yield "file with byte order mark", csv_text().encode("utf-8-sig"), SOUND
    yield "latin-1", csv_text().replace("cat", "K\xe4tzchen").encode("latin-1"), Refused(("UTF-8",))
    yield "NUL between lines", csv_text().replace("\n", "\n\0"), Refused()
    cut = csv_text().encode()
    for end in range(10, len(cut) - 1, 13):
        if b"\n" in (cut[end - 1 : end], cut[end : end + 1]):
            continue
        # Without any line, the command speaks of the split.
        yield f"cut after {end} bytes", cut[:end], Refused((), file="boxes")


def oi_changed(column, text, row=2):
    rows = open_images_rows()
    rows[row][OPEN_IMAGES_HEADER.index(column)] = text
    return csv_text(rows, OPEN_IMAGES_HEADER)


def _open_images():
    values = {
        "XMin": "0.0",
        "XMax": "1.0",
        "YMin": "0.0",
        "YMax": "1.0",
        "IsTruncated": "0",
        "IsGroupOf": "0",
    }
    for column, value in values.items():
        for kind, text in NOT_NUMBERS.items():
            yield f"{column} {kind}", oi_changed(column, text), Refused(("line 4", column))
        for kind, text in SAME_NUMBERS.items():
            same = text.format(int(float(value)))
            yield f"{column} {kind}", oi_changed(column, same), SOUND
        header = [name if name != column else "x" for name in OPEN_IMAGES_HEADER]
        text = csv_text(open_images_rows(), header)
        yield f"no {column}", text, SOUND if column.startswith("Is") else Refused(("no column", column))
    for side in ("XMin", "XMax", "YMin", "YMax"):
        yield f"{side} empty", oi_changed(side, ""), Refused(("line 4", side))
        for text in ("1.5", "-0.5", "64"):
            # Clipped to the image if it moves a side outwards, else nothing is left of the box.
            outwards = (text == "-0.5") == side.endswith("Min")
            expected = Result(sound() if outwards else sound_but("b", drop=True), ("1 ",))
            yield f"{side} {text}", oi_changed(side, text), expected
    yield "IsGroupOf -1", oi_changed("IsGroupOf", "-1"), SOUND
    yield "IsGroupOf 1", oi_changed("IsGroupOf", "1"), Result(sound_but("b", flags="crowd"))
    yield "IsTruncated 1", oi_changed("IsTruncated", "1"), Result(sound_but("b", flags="truncated"))
    for text in ("", "/m/none", "cat", " "):
        yield f"LabelName {text!r}", oi_changed("LabelName", text), Refused(("line 4", "LabelName"))
    for kind, name in BAD_PATHS.items():
        only_a = Result({"a": sound()["a"]}, ("left out 1 listed pictures", "1 pictures there without"))
        yield f"ImageID {kind}", oi_changed("ImageID", name), only_a
    rows = open_images_rows()
    for kind, row in {"a field too few": rows[2][:-1], "a field too many": [*rows[2], "0"]}.items():
        yield kind, csv_text([*rows[:2], row], OPEN_IMAGES_HEADER), Refused(("line 4",))
    yield "a line of 20000 letters", oi_changed("LabelName", "x" * 20_000), Refused()
    yield "a quote never closed", csv_text(rows, OPEN_IMAGES_HEADER).replace("b,", '"b,'), Refused()
    none = [["none", *row[1:]] for row in rows]
    yield "no picture is there", csv_text(none, OPEN_IMAGES_HEADER), Refused(("none of the 1",))
    for kind, content in WRONG_FILES.items():
        yield f"file {kind}", content, Refused()


def _descriptions():
    for kind, text in {
        "one column": "/m/01yrx\n/m/0bt9lr\n",
        "three columns": "/m/01yrx,cat,x\n/m/0bt9lr,dog,x\n",
        "an empty name": "/m/01yrx,\n/m/0bt9lr,dog\n",
        "a code twice": DESCRIPTIONS + "/m/01yrx,bird\n",
        "a class is missing": "/m/0bt9lr,dog\n",
        "a quote never closed": '/m/01yrx,"cat\n/m/0bt9lr,dog\n',
        "a line of 20000 letters": f"/m/01yrx,{'c' * 20_000}\n",
        "another separator": DESCRIPTIONS.replace(",", ";"),
    }.items():
        yield kind, text, Refused((), file="" if kind == "a class is missing" else None)
    for kind, name in CONTROL_NAMES.items():
        quoted = f'"{name}"' if kind == "newline" else name
        yield f"name with {kind}", DESCRIPTIONS.replace("cat", quoted), Refused((), file="csv")
    yield "a header", "LabelName,DisplayName\n" + DESCRIPTIONS, SOUND
    yield "byte order mark", "\ufeff" + DESCRIPTIONS, SOUND
    for kind, content in WRONG_FILES.items():
        yield f"file {kind}", content, Refused((), file="csv")
