"""Decodes COCO's instances files: at once if nothing is wrong, else item by item, to name every fault."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import numpy as np

from ...files import read_bytes
from ...messages import printable, quoted

MAX_BYTES = 4 * 2**30  # an annotation file is read at once; COCO's largest has 0.5 GB
_LISTED = 5  # repeated ids in a message
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

Id = int | str
Flag = Annotated[int, msgspec.Meta(ge=0, le=1)] | bool | None


# The fields that are decoded. All others, above all `segmentation`, are skipped and never become Python
# objects. With `gc=False` the garbage collector does not visit a million of them.
class Image(msgspec.Struct, gc=False):
    id: Id
    file_name: str
    width: float | None = None
    height: float | None = None
    multibox_id: str | None = None

    @property
    def image_id(self):
        return str(self.id) if self.multibox_id is None else self.multibox_id


class Object(msgspec.Struct, gc=False):
    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    crowd: Flag = msgspec.field(default=0, name="iscrowd")
    difficult: Flag = 0
    truncated: Flag = 0


class Category(msgspec.Struct):
    id: Id
    name: str
    supercategory: Any = None


class _Instances(msgspec.Struct):
    images: list[Image]
    annotations: list[Object]
    categories: list[Category]


class _Items(msgspec.Struct):
    """A file with something wrong in it: its items are decoded one by one."""

    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw]


class _Kind(msgspec.Struct, gc=False):
    category_id: Any = None


class _Kinds(msgspec.Struct):
    categories: list[Category]
    annotations: list[_Kind]


# An object without a box, or with something wrong.
class _Loose(msgspec.Struct):
    image_id: Id
    category_id: Id
    bbox: Any = None
    segmentation: Any = None
    crowd: Flag = msgspec.field(default=0, name="iscrowd")
    difficult: Flag = 0
    truncated: Flag = 0


class _Ids(msgspec.Struct):
    id: Any = None
    image_id: Any = None


@dataclass
class Content:
    """What an instances file holds. Ids are numbers, or all of them texts if any is: 1 and "1" are the same.

    Attributes:
        images: the `Image` of each id.
        categories: list of `Category`.
        objects: list of `Object`.
        image_numbers: place of each image in the file.
        object_numbers: place of each object in the file.
        flawed: ids, as text, of the images that cannot be used, since they or their objects have faults.
        outlined: number of objects without `bbox` that have the box around their polygon.
    """

    images: Sequence[Image] = ()
    categories: list[Category] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)
    image_numbers: Sequence[int] = ()
    object_numbers: Sequence[int] = ()
    flawed: set[str] = field(default_factory=set)
    outlined: int = 0


def read_content(path: str | os.PathLike[str], on_error: Callable[[Exception], object]) -> Content:
    """Reads an instances file.

    Args:
        path: path of the file.
        on_error: called with the exception for each fault: an item that cannot be decoded, and image ids that
            occur more than once. If it returns, these are left out.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is too large, no file, not JSON, or without the three lists; names it.
    """
    data = _read(path)
    try:
        whole = msgspec.json.decode(data, type=_Instances)
    except msgspec.ValidationError:
        return _read_items(path, data, on_error)
    except _FAULTS as error:
        raise _no_instances(path, error) from error
    content = Content(whole.images, whole.categories, whole.annotations)
    content.image_numbers = range(len(content.images))
    content.object_numbers = range(len(content.objects))
    _same_type_of_ids(content)
    _leave_out_repeated(content, path, on_error)
    return content


def read_kinds(path: str | os.PathLike[str]) -> tuple[list[Category], Counter]:
    """The categories of an instances file, and the number of objects of each category id (as text)."""
    try:
        whole = msgspec.json.decode(_read(path), type=_Kinds)
    except _FAULTS as error:
        raise _no_instances(path, error) from error
    return whole.categories, Counter(str(kind.category_id) for kind in whole.annotations)


def _read(path):
    return read_bytes(path, MAX_BYTES).removeprefix(b"\xef\xbb\xbf")


def _no_instances(path, error):
    return ValueError(f"{path}: not a COCO instances file: {error}")


def _read_items(path, data, on_error):
    try:
        items = msgspec.json.decode(data, type=_Items)
    except _FAULTS as error:
        raise _no_instances(path, error) from error
    content = Content()
    images, bad_images, _ = _decode_each(items.images, Image)
    categories, bad_categories, _ = _decode_each(items.categories, Category)
    objects, bad_objects, content.outlined = _decode_each(items.annotations, Object, _outlined)
    content.images, content.image_numbers = list(images.values()), list(images)
    content.objects, content.object_numbers = list(objects.values()), list(objects)
    content.categories = list(categories.values())
    content.flawed = _ids([items.images[i] for i in bad_images], "id")
    content.flawed |= _ids([items.annotations[i] for i in bad_objects], "image_id")
    _same_type_of_ids(content)
    _leave_out_repeated(content, path, on_error)
    for key, bad in (("images", bad_images), ("categories", bad_categories), ("annotations", bad_objects)):
        for i, error in bad.items():
            on_error(_fault(path, key, i, error))
    return content


def _decode_each(raws, kind, repair=None):
    """({place: item}, {place: error}, number of items that `repair` made of what is no `kind`)."""
    decoder, good, bad, repaired = msgspec.json.Decoder(kind), {}, {}, 0
    for i, raw in enumerate(raws):
        try:
            good[i] = decoder.decode(raw)
        except _FAULTS as error:
            item = repair(raw) if repair else None
            if item is None:
                bad[i] = error
            else:
                good[i], repaired = item, repaired + 1
    return good, bad, repaired


def _fault(path, key, i, error):
    where = f"$.{key}[{i}]"
    text = str(error).replace("`$", f"`{where}")
    if "at `" not in text:
        text = f"{text} - at `{where}`"
    if "bbox" in text:
        text += ": expected [x, y, width, height], or else a polygon in `segmentation`"
    return ValueError(f"{path}: {text}")


def _outlined(raw):
    """The `Object` of an annotation without `bbox`, with the box around its polygons; None without these."""
    try:
        loose = msgspec.json.decode(raw, type=_Loose)
    except _FAULTS:
        return None
    if loose.bbox not in (None, []) or not isinstance(loose.segmentation, list):
        return None
    try:
        points = np.concatenate([np.array(p, float).reshape(-1, 2) for p in loose.segmentation])
    except (TypeError, ValueError, OverflowError):
        return None
    if not len(points):
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    box = (*low.tolist(), *(high - low).tolist())
    return Object(loose.image_id, loose.category_id, box, loose.crowd, loose.difficult, loose.truncated)


def _ids(raws, key):
    """The ids of images that items with faults name, as far as they do, as a set of texts."""
    ids = set()
    for raw in raws:
        with contextlib.suppress(*_FAULTS):
            ids.add(str(getattr(msgspec.json.decode(raw, type=_Ids), key)))
    return ids


def _same_type_of_ids(content):
    """Makes all ids of images, and all of categories, texts if one of them is a text."""
    for lists in (
        ((content.images, "id"), (content.objects, "image_id")),
        ((content.categories, "id"), (content.objects, "category_id")),
    ):
        if any(type(getattr(item, key)) is str for items, key in lists for item in items):
            for items, key in lists:
                for item in items:
                    setattr(item, key, str(getattr(item, key)))


def _leave_out_repeated(content, path, on_error):
    """Leaves out images with the id of another one: nobody knows whose their objects are."""
    counts = Counter(image.id for image in content.images)
    if len(counts) == len(content.images):
        return
    names = {}
    for image in content.images:
        if counts[image.id] > 1:
            names.setdefault(image.id, []).append(image.file_name)
    first = ", ".join(
        f"{quoted(id_)} ({', '.join(map(printable, names[id_][:_LISTED]))})" for id_ in list(names)[:_LISTED]
    )
    content.flawed |= {str(id_) for id_ in names}
    places = dict(
        zip([image.id for image in content.images][::-1], list(content.image_numbers)[::-1], strict=True)
    )
    images = {image.id: image for image in reversed(content.images)}
    content.images = [images[id_] for id_ in counts]
    content.image_numbers = [places[id_] for id_ in counts]
    on_error(ValueError(f"{path}: $.images: {len(names)} ids occur more than once, first {first}"))
