"""Class names of a model and of its data: the same order, or an error that says what differs."""

from __future__ import annotations

import warnings


def align_classes(dataset, class_names, owner):
    """The data set with its labels in the order of a model's classes.

    Args:
        dataset: a `DetectionDataset`.
        class_names: the model's class names in the order of its labels. With None nothing is compared.
        owner: name of the calling function, for messages.

    Returns:
        The data set itself. If both have the same names in another order: a data set with the model's labels;
        a warning reports the change.

    Raises:
        ValueError: if the names differ; lists the differences.
    """
    if class_names is None or tuple(class_names) == dataset.class_names:
        return dataset
    if set(class_names) == set(dataset.class_names):
        warnings.warn(
            f"{owner}: the data set has the model's classes in another order; its labels are changed to the "
            f"model's order: {', '.join(class_names)}",
            stacklevel=4,  # beyond the `checked` caller
        )
        return dataset.subset(classes=class_names)
    raise ValueError(
        f"{owner}: {class_difference('the model', class_names, 'the data set', dataset.class_names)}; load "
        "the data with classes=class_names_of(model), or change the model's classes with "
        "sample_classes(model, dataset.class_names)"
    )


def class_difference(a, names_a, b, names_b):
    """How the class names of `a` and `b` differ, in words."""
    only = [
        f"only {part} has {', '.join(map(repr, names))}"
        for part, mine, other in ((a, names_a, names_b), (b, names_b, names_a))
        if (names := [n for n in mine if n not in other and n is not None])
    ]
    if only:
        return f"the class names differ: {'; '.join(only)}"
    label = next(i for i, (x, y) in enumerate(zip(names_a, names_b, strict=False)) if x != y)
    return (
        f"the class names are the same in another order: {a} has {names_a[label]!r} as label {label + 1}, "
        f"{b} has {names_b[label]!r}; reorder one of them with `subset(classes)`"
    )
