"""Classes: unknown, without objects, spelled in two ways, unbalanced, listed differently by two splits."""

from collections import Counter, defaultdict

from ..class_names import similar_names
from .findings import Finding, finding_in

IMBALANCE = 10  # ratio of the most frequent class to the rarest


def count_classes(items, splits, classes):
    """{split: {class name: number of annotated objects, without crowd regions}}, in the given order."""
    totals = {split: Counter() for split in splits}
    for item in items:
        a = item.annotation
        totals[item.split].update(name for name, crowd in zip(a.names, a.crowd, strict=True) if not crowd)
    return {split: {name: total[name] for name in classes} for split, total in totals.items()}


def class_findings(items, classes, counts):
    """Findings about class names and their frequency.

    Args:
        items: list of `CheckedImage`.
        classes: names.
        counts: what `count_classes` returns.
    """
    total = Counter()
    for of_split in counts.values():
        total.update(of_split)
    return _unknown(items, classes) + _similar(items, classes) + _absent(counts, total) + _imbalance(total)


def split_findings(items, splits):
    """Findings about splits without any object, or without one that an evaluation counts.

    Args:
        items: list of `CheckedImage`.
        splits: names of the splits.
    """
    found = []
    for split in splits:
        annotations = [item.annotation for item in items if item.split == split]
        objects = sum(int((~a.crowd).sum()) for a in annotations)
        difficult = sum(int((a.difficult & ~a.crowd).sum()) for a in annotations)
        if annotations and not objects:
            message = f"none of {len(annotations)} images has an object"
            found.append(Finding("no-objects-at-all", message, split))
        elif objects and difficult == objects:
            found.append(Finding("all-difficult", f"all {objects} objects", split, count=objects))
    return found


def label_findings(class_names):
    """One finding for each split whose labels 1, 2, ... mean other classes than those of the first.

    Args:
        class_names: {split: class names in the order of the labels}.
    """
    found = []
    for split, names in class_names.items():
        first = next(iter(class_names))
        if names != class_names[first]:
            message = f"{', '.join(names)}; in {first}: {', '.join(class_names[first])}"
            detail = {"classes": list(names), "other_split": first, "other": list(class_names[first])}
            found.append(Finding("different-classes", message, split, detail=detail))
    return found


def _unknown(items, classes):
    known, images = set(classes), defaultdict(list)  # name -> the image of each object
    for item in items:
        for name in item.annotation.names:
            if name not in known:
                images[name].append(item)
    found = []
    for name, where in sorted(images.items(), key=lambda pair: -len(pair[1])):
        a, count = where[0].annotation, len(where)
        boxes = [box.tolist() for box, n in zip(where[0].boxes, a.names, strict=True) if n == name]
        message = f"{name!r}, {count} object{'s' * (count > 1)}, first in this image"
        detail = {"name": name, "boxes": boxes}
        found.append(
            finding_in(where[0], "unknown-class", message, in_annotation=True, count=count, **detail)
        )
    return found


def _similar(items, classes):
    names = (*classes, *(name for item in items for name in item.annotation.names))
    return [
        Finding("similar-names", ", ".join(map(repr, group)), detail={"names": list(group)})
        for group in similar_names(names)
    ]


def _absent(counts, total):
    found = []
    for name, count in total.items():
        if not count:
            found.append(Finding("absent-class", f"{name!r} has no objects", detail={"name": name}))
            continue
        for split in (split for split, of_split in counts.items() if not of_split[name]):
            message = f"{name!r} has no objects in {split}"
            found.append(Finding("absent-class", message, split, detail={"name": name}))
    return found


def _imbalance(total):
    present = Counter({name: count for name, count in total.items() if count})
    if len(present) < 2:
        return []
    (most, high), (least, low) = present.most_common()[0], present.most_common()[-1]
    if high < IMBALANCE * low:
        return []
    message = f"{most!r} has {high} objects, {least!r} has {low}: {high / low:.0f} times as many"
    return [Finding("imbalance", message, detail={"most": most, "least": least, "ratio": high / low})]
