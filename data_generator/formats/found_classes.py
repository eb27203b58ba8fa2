"""The classes of a data set, from the names of its objects."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence

from ...class_names import similar_names


def choose_classes(classes: Sequence[str] | None, counts: Counter[str], source: str) -> tuple[str, ...]:
    """The class names of a data set.

    One warning lists classes whose names differ only in case, spaces, `-` or `_`, with their counts: they are
    different classes, although that is rarely meant.

    Args:
        classes: names, or None for those that occur, sorted; whole numbers by their value.
        counts: how often each name occurs.
        source: name of what is read, for the warning and the error.

    Raises:
        ValueError: if `classes` is None and no name occurs.
    """
    if classes is None:
        classes = sorted_names(counts)
    if not classes:
        raise ValueError(f"{source}: no object has a class, so there are no class names; pass `classes`")
    for_message = [
        " and ".join(f"{name!r} ({counts[name]} objects)" for name in group)
        for group in similar_names(classes)
    ]
    if for_message:
        warnings.warn(
            f"{source}: classes with similar names are different classes: {'; '.join(for_message)}",
            stacklevel=4,
        )
    return tuple(classes)


def sorted_names(names) -> tuple[str, ...]:
    """Different names, sorted; if all are whole numbers, by their value."""
    names = set(names)
    return tuple(sorted(names, key=int if all(map(is_whole, names)) else str))


def is_whole(text: str) -> bool:
    """Whether a text is a whole number, as labels are."""
    return re.fullmatch("[+-]?[0-9]{1,9}", text) is not None
