"""Which categories of a COCO file are classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from ...messages import printable, quoted
from .fields import check_name


def check_ids(categories: Iterable, path, on_error: Callable[[Exception], object]) -> None:
    """Reports category ids that occur more than once."""
    counts = Counter(str(category.id) for category in categories)
    repeated = ", ".join(printable(id_) for id_, count in counts.items() if count > 1)
    if repeated:
        on_error(ValueError(f"{path}: $.categories: the id {repeated} occurs more than once"))


def check_names(
    categories: Iterable, used: Counter, path, on_error: Callable[[Exception], object], classes=None
) -> None:
    """Reports names that no class can have, and those that several categories with objects have.

    Args:
        categories: list of `Category`.
        used: number of objects of each category id, which is a text.
        path: path of the file, for messages.
        on_error: called with the exception.
        classes: names that matter; None for all.
    """
    for name, group in _by_name(categories).items():
        try:
            check_name(name, path, "$.categories: the name of a class")
        except ValueError as error:
            on_error(error)
        with_objects = [c for c in group if used[str(c.id)]]
        if len(with_objects) > 1 and (classes is None or name in classes):
            ids = ", ".join(f"id {c.id} with {used[str(c.id)]} objects" for c in with_objects)
            on_error(
                ValueError(
                    f"{path}: $.categories: the name {quoted(name)} occurs more than once: {ids}; "
                    f"give each category a name of its own, or its objects one id"
                )
            )


def choose_categories(categories: Iterable, used: Counter) -> list:
    """The categories that are classes, one for each name, by ascending id.

    - Of several categories with one name, one that has objects is taken, else one that is no parent.
    - A category without objects that another category names as its `supercategory` is a mere parent, as
      Roboflow writes one, and is left out.
    """
    categories = list(categories)
    parents = {id(c) for c in categories if not used[str(c.id)] and _is_parent(c, categories)}
    chosen = [
        min(group, key=lambda c: (not used[str(c.id)], id(c) in parents))
        for group in _by_name(categories).values()
    ]
    return sorted((c for c in chosen if id(c) not in parents), key=_order)


def _is_parent(category, categories):
    return any(c is not category and c.supercategory == category.name for c in categories)


def _by_name(categories):
    groups = {}
    for category in sorted(categories, key=_order):
        groups.setdefault(category.name, []).append(category)
    return groups


def _order(category):
    """Numbers by their value, also those written as text, then texts."""
    text = str(category.id)
    return (0, int(text), "") if text.isdecimal() and text.isascii() and len(text) < 20 else (1, 0, text)
