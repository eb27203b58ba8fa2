"""Damaged files of Pascal VOC: one XML file, and the sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import multibox as mb

from .case import Case, Refused, Result, Target
from .damage import BAD_PATHS, CONTROL_NAMES, NOT_NUMBERS, SAME_NUMBERS, UNUSUAL_NAMES, WRONG_FILES, cuts
from .samples import described, sound, sound_but, voc_xml, write_images, write_voc
from .special import special_files

SIDES = ("xmin", "ymin", "xmax", "ymax")
XML = Target(
    "VOC XML",
    lambda folder: described(mb.load_voc(folder, "train", progress=False)),
    "a.xml",
    lambda folder: ["check", "voc", str(folder), "--set", "train"],
)
LOOSE = Target(
    "VOC XML beside pictures",
    lambda folder: described(mb.load_voc(folder, progress=False)),
    "a.xml",
    lambda folder: ["check", str(folder)],
)
SETS = Target(
    "VOC sets",
    lambda folder: described(mb.load_voc(folder, "train", progress=False)),
    "train.txt",
    lambda folder: ["check", "voc", str(folder), "--set", "train"],
)

Change = Callable[[ElementTree.Element], object]


def write_xml(content: str | bytes, folder: Path) -> None:
    write_voc(folder)
    path = folder / "Annotations/a.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))


def changed(change: Change) -> str:
    root = ElementTree.fromstring(voc_xml("a"))
    change(root)
    return ElementTree.tostring(root, encoding="unicode")


def set_text(path: str, text: str) -> Change:
    def change(root):
        root.find(path).text = text

    return change


def remove(path: str) -> Change:
    def change(root):
        parent = root.find(path.rpartition("/")[0] or ".")
        parent.remove(parent.find(path.rpartition("/")[2]))

    return change


def double(path: str, text: str | None = None) -> Change:
    """Repeats an element; the second has another text."""

    def change(root):
        parent = root.find(path.rpartition("/")[0] or ".")
        element = parent.find(path.rpartition("/")[2])
        second = ElementTree.fromstring(ElementTree.tostring(element))
        if text is not None:
            second.text = text
        parent.append(second)

    return change


def rename(path: str, name: str) -> Change:
    def change(root):
        root.find(path).tag = name

    return change


def cases() -> Iterator[Case]:
    for kind, content, expected in (*_numbers(), *_flags(), *_names(), *_structure(), *_boxes(), *_whole()):
        yield Case(XML, kind, partial(write_xml, content), expected)
    yield from special_files(XML, write_voc, "Annotations/a.xml")
    yield from _loose()
    yield from _sets()


def _numbers():
    values = {"size/width": 64, "size/height": 32}
    values |= {f"object/bndbox/{side}": value for side, value in zip(SIDES, (9, 5, 24, 20), strict=True)}
    for path, value in values.items():
        field = f"<{path.rpartition('/')[2]}>"
        for kind, text in {
            **NOT_NUMBERS,
            **({} if "size" in path else {"empty": "", "spaces": "  "}),
        }.items():
            yield f"{field} {kind}", changed(set_text(path, text)), Refused((field,))
        for kind, text in SAME_NUMBERS.items():
            yield f"{field} {kind}", changed(set_text(path, text.format(value))), Result(sound())
        yield f"no {field}", changed(remove(path)), Refused((field,))
        yield f"{field} twice", changed(double(path, "11")), Refused((field,))
        yield f"{field} misspelt", changed(rename(path, field[1:-1].upper())), Refused((field,))
    for path in ("size/width", "size/height"):
        for text in ("", "0", "unspecified", "Unknown"):  # not known: read from the image
            yield f"<{path}> {text!r}", changed(set_text(path, text)), Result(sound())
        yield f"<{path}> negative", changed(set_text(path, "-64")), Refused(("negative",))
        yield f"<{path}> half a pixel", changed(set_text(path, "64.5")), Refused(("whole pixels",))


def _flags():
    for flag in ("difficult", "truncated"):
        path = f"object/{flag}"
        for kind, text in NOT_NUMBERS.items():
            if kind not in ("None", "null"):
                yield f"<{flag}> {kind}", changed(set_text(path, text)), Refused((f"<{flag}>",))
        for text in ("", "0", "false", "No", "Unspecified", " 0 ", "-1"):
            yield f"<{flag}> {text!r}", changed(set_text(path, text)), Result(sound())
        for text in ("1", "True", "yes", "1.0"):
            yield f"<{flag}> {text!r}", changed(set_text(path, text)), Result(sound_but(flags=flag))
        yield f"<{flag}> negative", changed(set_text(path, "-2")), Refused((f"<{flag}>",))
        yield f"no <{flag}>", changed(remove(path)), Result(sound())
        yield f"<{flag}> twice", changed(double(path, "1")), Refused((f"<{flag}>",))


def _names():
    for kind, name in CONTROL_NAMES.items():
        yield f"<name> with {kind}", changed(set_text("object/name", name)), Refused()
    for kind, name in UNUSUAL_NAMES.items():
        yield f"<name> {kind}", changed(set_text("object/name", name)), Result(sound_but(name=name))
    for text in ("", "   ", "\n"):
        yield f"<name> {text!r}", changed(set_text("object/name", text)), Refused(("name",))
    yield "<name> with spaces around", changed(set_text("object/name", "  cat\n")), Result(sound())
    yield "no <name>", changed(remove("object/name")), Refused(("name",))
    yield "<name> twice", changed(double("object/name", "dog")), Refused(("<name>",))
    yield "<name> a lone surrogate", changed(set_text("object/name", "c\ud800")), Refused()


def _structure():
    for path in ("size", "object/bndbox"):
        yield f"<{path}> twice", changed(double(path)), Refused((f"<{path.rpartition('/')[2]}>",))
    yield "no <size>", changed(remove("size")), Result(sound())
    yield "no <bndbox>", changed(remove("object/bndbox")), Refused(("<bndbox>",))
    yield "no object", "<annotation/>", Result({**sound(), "a": [64, 32]})
    yield "a polygon", changed(rename("object/bndbox", "polygon")), Refused(("<bndbox>",))
    yield "a rotated box", changed(rename("object/bndbox", "robndbox")), Refused(("<bndbox>",))
    for root in ("html", "annotations", "Annotation", "svg", "object", "dataset"):
        yield f"root <{root}>", voc_xml("a").replace("annotation>", f"{root}>"), Refused((f"<{root}>",))
    spaced = voc_xml("a").replace("<annotation>", '<annotation xmlns="http://example.com">')
    yield "a namespace", spaced, Result(sound())
    prefixed = '<v:annotation xmlns:v="v">' + voc_xml("a").removeprefix("<annotation>")
    yield "a namespace with prefix", prefixed.replace("</annotation>", "</v:annotation>"), Result(sound())
    yield "a comment inside a number", voc_xml("a").replace("<xmin>9", "<xmin><!-- x -->9"), Result(sound())
    yield (
        "an element inside a number",
        voc_xml("a").replace("<xmin>9", "<xmin><b>9</b>"),
        Refused(("<xmin>",)),
    )
    yield "CDATA", voc_xml("a").replace(">cat", "><![CDATA[cat]]>"), Result(sound())


def _boxes():
    def box(xmin, ymin, xmax, ymax):
        def change(root):
            for side, value in zip(SIDES, (xmin, ymin, xmax, ymax), strict=True):
                root.find(f"object/bndbox/{side}").text = str(value)

        return changed(change)

    dropped = sound_but(drop=True)
    yield "corners swapped", box(24, 20, 9, 5), Result(dropped, ("1 without area, dropped",))
    yield "columns swapped", box(24, 5, 9, 20), Result(dropped, ("1 without area, dropped",))
    yield "no width", box(9, 5, 8, 20), Result(dropped, ("1 without area, dropped",))
    for kind, sides in {
        "right of the image": (100, 5, 120, 20),
        "below the image": (9, 100, 24, 120),
        "left of the image": (-50, 5, -9, 20),
        "far away": (900000, 900000, 999999, 999999),
    }.items():
        yield f"box {kind}", box(*sides), Result(dropped, ("1 outside the image, dropped",))
    clipped = sound_but(box=(8.0, 4.0, 64.0, 32.0))
    yield "box beyond the image", box(9, 5, 999, 999), Result(clipped, ("1 partly outside",))
    yield (
        "box at zero",
        box(0, 0, 24, 20),
        Result(sound_but(box=(0.0, 0.0, 24.0, 20.0)), ("1 partly outside the image, clipped",)),
    )
    many = voc_xml("a").replace("</annotation>", "")
    many += "".join(
        voc_xml("a")[voc_xml("a").index("<object>") :].replace("</annotation>", "") for _ in range(3)
    )
    swapped = (many + "</annotation>").replace("<xmax>24", "<xmax>2").replace("<xmax>48", "<xmax>3")
    yield "most boxes without area", swapped, Refused(("load_voc(", "At most 33% may be dropped"), file="")


def _whole():
    for kind, content in {**WRONG_FILES, **cuts(voc_xml("a").encode())}.items():
        yield f"file {kind}", content, Refused()
    head = '<?xml version="1.0" encoding="{}"?>'
    for encoding in ("foo-bar", "hex_codec", "rot13", "utf-7", "idna", "undefined", "zlib", "x" * 300):
        yield f"encoding {encoding:.10}", head.format(encoding) + voc_xml("a"), Refused()
    for encoding in (
        "utf-8",
        "latin-1",
        "windows-1252",
        "gbk",
        "gb2312",
        "big5",
        "shift_jis",
        "euc-kr",
        "utf-16",
    ):
        text = head.format(encoding) + voc_xml("a")
        yield f"encoding {encoding} as stated", text.encode(encoding), Result(sound())
    yield "UTF-8 with byte order mark", voc_xml("a").encode("utf-8-sig"), Result(sound())
    chinese = (head.format("gbk") + voc_xml("a").replace(">cat", ">猫")).encode("gbk")
    yield "GBK stated", chinese, Result(sound_but(name="猫"))
    yield "GBK not stated", voc_xml("a").replace(">cat", ">狗").encode("gbk"), Refused()
    yield "latin-1 not stated", voc_xml("a").replace(">cat", ">Kätzchen").encode("latin-1"), Refused()
    yield (
        "GBK stated, UTF-8 written",
        (head.format("gbk") + voc_xml("a").replace(">cat", ">猫猫猫")).encode(),
        Refused(),
    )
    yield "two roots", voc_xml("a") * 2, Refused()
    yield "text after the root", voc_xml("a") + "more", Refused()
    yield "version 9.9", '<?xml version="9.9"?>' + voc_xml("a"), Result(sound())
    yield "unknown entity", voc_xml("a").replace(">cat", ">&cat;"), Refused()
    yield "a bare &", voc_xml("a").replace(">cat", ">cat & dog"), Refused()
    yield "a bare <", voc_xml("a").replace(">cat", ">cat < dog"), Refused()
    yield "tags crossed", voc_xml("a").replace("</xmin><ymin>", "<ymin></xmin>"), Refused()
    entity = "<!DOCTYPE a [<!ENTITY x {}>]>"
    for kind, what in {
        "own": '"cat"',
        "file": 'SYSTEM "file:///etc/passwd"',
        "net": 'SYSTEM "http://127.0.0.1/"',
    }.items():
        yield f"entity {kind}", entity.format(what) + voc_xml("a").replace(">cat", ">&x;"), Refused()
    bomb = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    yield (
        "a bomb of entities",
        f'<!DOCTYPE a [<!ENTITY l0 "lol">{bomb}]>' + voc_xml("a").replace(">cat", ">&l11;"),
        Refused(),
    )
    yield (
        "nested 100000 deep",
        "<annotation>" + "<a>" * 100_000 + "</a>" * 100_000 + "</annotation>",
        Result({**sound(), "a": [64, 32]}),
    )
    yield (
        "a tag of a million letters",
        voc_xml("a").replace("<size>", "<size><" + "a" * 10**6 + "/>"),
        Result(sound()),
    )
    yield (
        "100000 attributes",
        voc_xml("a").replace("<size>", "<size " + " ".join(f'a{i}=""' for i in range(100_000)) + ">"),
        Result(sound()),
    )
    yield "an attribute twice", voc_xml("a").replace("<size>", '<size a="1" a="2">'), Refused()


def write_loose(content, folder):
    write_images(folder)
    (folder / "b.xml").write_text(voc_xml("b"))
    (folder / "a.xml").write_text(content)


def _loose():
    for kind, name in BAD_PATHS.items():
        # The picture with the XML file's own name counts then.
        text = voc_xml("a").replace("a.png", name.replace("&", "&amp;"))
        expected = Refused() if name == "." else Result(sound())
        yield Case(LOOSE, f"<filename> {kind}", partial(write_loose, text), expected)
    of_other = voc_xml("a").replace("a.png", "b.png")
    yield Case(
        LOOSE, "<filename> of another file", partial(write_loose, of_other), Refused(("b.png",), file=".xml")
    )
    yield Case(
        LOOSE,
        "<filename> twice",
        partial(write_loose, changed(double("filename", "b.png"))),
        Refused(("<filename>",)),
    )
    yield Case(LOOSE, "no <filename>", partial(write_loose, changed(remove("filename"))), Result(sound()))


def write_set(content, folder):
    write_voc(folder)
    path = folder / "ImageSets/Main/train.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _sets():
    both, only_b = Result(sound()), Result({"b": sound()["b"]})
    for kind, content, expected in (
        *((kind, text, Refused()) for kind, text in WRONG_FILES.items()),
        ("byte order mark", "\ufeffa\nb\n", both),
        ("line ends of Windows", "a\r\nb\r\n", both),
        ("line ends of old Macs", "a\rb\r", both),
        ("empty lines", "\n\na\n\nb\n\n", both),
        ("spaces around", "  a \n\tb\t\n", both),
        ("with suffixes", "a.png\nb.jpg\n", both),
        ("with folder", "JPEGImages/a.png\n./b\n", both),
        ("quoted", '"a"\n"b"\n', both),
        ("second column", "a -1\nb  1\n", only_b),
        ("second column 0", "a 0\nb +1\n", both),
        ("second column 2", "a 2\nb 1\n", Refused(("a 2",))),
        ("all excluded", "a -1\nb -1\n", Refused(("no images",))),
        ("an image twice", "a\nb\na\n", Refused(("more than once", "a"))),
        ("an image without annotation", "a\nb\nc\n", Refused((), file="c")),
        ("latin-1", "a\nK\xe4tzchen\n".encode("latin-1"), Refused()),
        ("NUL in a name", "a\nb\0\n", Refused()),
        *((f"a path: {kind}", f"a\n{path}\n", Refused()) for kind, path in BAD_PATHS.items() if path),
    ):
        yield Case(SETS, kind, partial(write_set, content), expected)
    yield from special_files(SETS, write_voc, "ImageSets/Main/train.txt")
