"""One annotation file of Pascal VOC, and its many relatives that labeling tools write."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ...files import read_bytes
from ...messages import quoted
from ..record import FLAGS
from .annotation import Annotation
from .fields import flag, number, size_or_none

MAX_XML_BYTES = 2**26  # a hundred thousand objects take a third of it
SIDES = ("xmin", "ymin", "xmax", "ymax")

_ENCODING = re.compile(rb"""^(?:\xef\xbb\xbf)?<\?xml[^>]{0,200}?encoding=["']([A-Za-z0-9._-]{1,20})["']""")
# The XML parser knows no encoding of several bytes a character; Python decodes these.
_MULTI_BYTE = {"gbk", "gb2312", "gb18030", "big5", "shift_jis", "shift-jis", "euc-jp", "euc-kr"}
_MULTI_BYTE |= {"cp932", "cp936", "cp949", "cp950"}
_UNKNOWN = ("", "unspecified", "unknown")  # what tools write for a side that they do not know


def read_xml(path: Path) -> Element:
    """The `<annotation>` of a file. Namespaces are removed from its tags.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for what is no file, larger than 64 MiB, not XML, in an unknown encoding, or has another
            root element; names the file.
    """
    content = read_bytes(path, MAX_XML_BYTES)
    encoding = _ENCODING.match(content)
    encoding = encoding[1].decode().lower() if encoding else None
    try:
        root = fromstring(content.decode(encoding) if encoding in _MULTI_BYTE else content)
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
        raise ValueError(f"{path}: not a readable XML file: {error!r}") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "annotation":
        raise ValueError(f"{path}: expected the root element <annotation> of Pascal VOC, got <{root.tag}>")
    return root


def class_names(root: Element, path: Path) -> set[str]:
    """Names of the objects in the `<annotation>` of a file."""
    return {_name(element, path) for element in root.findall("object")} - {""}


def file_name(root: Element, path: Path) -> str:
    """The name of the image in the `<annotation>` of a file; may be empty."""
    return (_text(root, "filename", path) or "").strip()


def xml_annotation(root: Element, image_id: str, image: Path, path: Path) -> Annotation:
    """The `Annotation` of one image.

    Args:
        root: its `<annotation>`.
        image_id: its id.
        image: path of the image.
        path: path of the XML file, for messages.

    Raises:
        ValueError: for a missing or non-numeric field; names file and field.
    """
    objects = root.findall("object")
    boxes = voc_to_continuous(np.array([_box(o, path) for o in objects], np.float64).reshape(-1, 4))
    names = tuple(_name(o, path) for o in objects)
    flags = [np.array([_flag(o, name, path) for o in objects], bool) for name in FLAGS]
    return Annotation(image_id, str(image), _size(root, path), boxes, names, *flags, str(path))


def voc_to_continuous(boxes):
    """(N, 4) 1-based inclusive pixels of the devkit to continuous ones, where width = xmax - xmin."""
    return boxes - np.array([1, 1, 0, 0], boxes.dtype)


def continuous_to_voc(boxes):
    """(N, 4) continuous boxes to the devkit's 1-based inclusive pixels."""
    return boxes + np.array([1, 1, 0, 0], boxes.dtype)


def _name(element, path):
    return (_text(element, "name", path) or "").strip()


def _box(element, path):
    bndbox = _child(element, "bndbox", path)
    if bndbox is None:
        raise ValueError(f"{path}: the object {quoted(_name(element, path))} has no <bndbox>")
    return [number(_needed(bndbox, side, path), path, f"<{side}>") for side in SIDES]


def _size(root, path):
    """(width, height), or None where the annotation has none."""
    size = _child(root, "size", path)
    if size is None:
        return None
    texts = {side: _needed(size, side, path) for side in ("width", "height")}
    if any(text.strip().lower() in _UNKNOWN for text in texts.values()):
        return None
    return size_or_none(*(number(text, path, f"<{side}>") for side, text in texts.items()), path)


def _flag(element, field, path):
    return flag(_text(element, field, path) or "", path, f"<{field}>")


def _needed(element, field, path):
    text = _text(element, field, path)
    if text is None:
        raise ValueError(f"{path}: a <{element.tag}> has no <{field}>")
    return text


def _text(element, field, path):
    """The text of a child, None if there is no such child."""
    found = _child(element, field, path)
    return None if found is None else found.text or ""


def _child(element, field, path):
    """The only child with this tag, None if there is none."""
    found = element.findall(field)
    if len(found) > 1:
        raise ValueError(f"{path}: a <{element.tag}> has <{field}> {len(found)} times")
    return found[0] if found else None
