"""Class names of Pascal VOC and COCO, and functions that compare class names."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

from .arguments import checked
from .messages import one_line

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

# The names of COCO's 90 category ids; None: ids that the data set does not use.
_COCO_IDS = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", None, "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep"),
    *("cow", "elephant", "bear", "zebra", "giraffe", None, "backpack", "umbrella", None, None),
    *("handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat"),
    *("baseball glove", "skateboard", "surfboard", "tennis racket", "bottle", None, "wine glass", "cup"),
    *("fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot"),
    *("hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", None, "dining table"),
    *(None, None, "toilet", None, "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave"),
    *("oven", "toaster", "sink", "refrigerator", None, "book", "clock", "vase", "scissors", "teddy bear"),
    *("hair drier", "toothbrush"),
)

# Index is the category id, as in models with 91 outputs; None for background and for unused ids.
COCO_NAMES_BY_ID = (None, *_COCO_IDS)

COCO_CATEGORY_IDS = tuple(i for i, name in enumerate(COCO_NAMES_BY_ID) if name)
COCO_CLASSES = tuple(name for name in COCO_NAMES_BY_ID if name)

# Pascal VOC's name -> COCO's, where they differ.
VOC_TO_COCO = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}

__all__ = [
    "COCO_CATEGORY_IDS",
    "COCO_CLASSES",
    "COCO_NAMES_BY_ID",
    "VOC_CLASSES",
    "VOC_TO_COCO",
    "check_names",
    "map_names",
    "name_tuple",
    "same_class",
    "similar_names",
]


@checked()
def same_class(name: str, other: str) -> bool:
    """Whether two class names mean the same. Upper case, spaces, `-` and `_` are ignored."""
    return _meaning(name) == _meaning(other)


@checked()
def map_names(names: Iterable[str], known: Iterable[str | None]) -> dict[str, str | None]:
    """Maps class names to those of another vocabulary, such as VOC's to COCO's.

    Args:
        names: class names.
        known: names of the other vocabulary; some may be None.

    Returns:
        {name: the known name that means the same, or None}. An identical name takes precedence over a
        synonym.

    Raises:
        ValueError: if several known names mean the same as a name, and none is identical to it.
    """
    meanings = {}
    for name in known:
        if name is not None:
            meanings.setdefault(_meaning(name), []).append(name)
    return {name: _choose(name, meanings.get(_meaning(name), ())) for name in names}


def _choose(name, candidates):
    if name in candidates or not candidates:
        return name if candidates else None
    if len(set(candidates)) > 1:
        raise ValueError(f"the class {name!r} could be any of {', '.join(map(repr, candidates))}")
    return candidates[0]


def similar_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different names that differ only in case, spaces, `-` and `_`, such as `Dog` and `dog`."""
    groups: dict[str, dict[str, None]] = {}
    for name in names:
        groups.setdefault(_normalized(name), {})[name] = None
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _normalized(name):
    return "".join(c for c in name.casefold() if c not in " -_")


_SYNONYMS = {_normalized(voc): _normalized(coco) for voc, coco in VOC_TO_COCO.items()}


def _meaning(name):
    normalized = _normalized(name)
    return _SYNONYMS.get(normalized, normalized)


def name_tuple(names: Iterable[str], what: str) -> tuple[str, ...]:
    """Returns the names of classes or columns as a tuple.

    Raises:
        TypeError: for a value that is no sequence.
        ValueError: for a string, which would become a sequence of letters, and for a set, which has no order.
    """
    if isinstance(names, str | set | frozenset):
        raise ValueError(f"{what} must be a sequence of names, got {names!r}")
    if not isinstance(names, Iterable):
        raise TypeError(f"{what} must be a sequence of names, got {type(names).__name__}")
    return tuple(names)


def check_names(
    class_names: Iterable[str | None],
    num_classes: int | None = None,
    *,
    owner: str | None = None,
    unused: bool = True,
) -> tuple[str | None, ...]:
    """Checks class names and returns them as a tuple.

    Args:
        class_names: names of the classes 1, 2, ...
        num_classes: number of classes of a model, which must be the number of names; None: any number.
        owner: what the names belong to, for messages.
        unused: whether None may stand for an unused class.

    Raises:
        ValueError: for a string or a set, if the number of names is not `num_classes`, for elements that are
            no names, for repeated and empty names, and for names with control characters or with blanks
            around them.
    """
    what = "class_names" if owner is None else f"{owner}: class_names"
    names = name_tuple(class_names, what)
    if num_classes is not None:
        _check_count(names, num_classes, what)
    for name in names:
        if not (isinstance(name, str) or (unused and name is None)):
            raise ValueError(f"{what}: expected names, got {name!r}")
        if name is not None:
            _check_name(name, what)
    if repeated := [name for name, count in Counter(names).items() if count > 1 and name is not None]:
        raise ValueError(f"{what}: {repeated[0]!r} occurs more than once")
    return names


def _check_count(names, num_classes, what):
    if len(names) != num_classes:
        hint = "; leave out the background" if len(names) == num_classes + 1 else ""
        raise ValueError(
            f"{what}: expected {num_classes} names, background not counted, got {len(names)}{hint}"
        )
    if names and isinstance(names[0], str) and names[0].casefold() == "background":
        raise ValueError(f"{what}: {names[0]!r} is not counted as a class; leave it out")


def _check_name(name, what):
    if not name.strip():
        raise ValueError(f"{what}: a name is empty: {name!r}")
    if name != name.strip():
        raise ValueError(f"{what}: {one_line(name)!r} has blanks around it")
    # Cc: control characters; Cs: halves of characters, which no file can hold; Zl, Zp: they begin a line.
    # Invisible ones of category Cf belong to some scripts.
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        raise ValueError(f"{what}: '{one_line(name)}' has control characters or broken ones")
