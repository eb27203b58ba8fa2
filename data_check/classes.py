"""Classes: unknown, absent, spelt in two ways, out of balance."""

from collections import Counter, defaultdict

from .findings import Finding

IMBALANCE = 10  # times as many objects of the most frequent class as of the rarest
_SEPARATORS = str.maketrans("", "", " _-")


def count_classes(items, splits, classes):
    """{split: {class name: number of annotated objects, without crowd regions}}, in the order given."""
    totals = {split: Counter() for split in splits}
    for item in items:
        a = item.annotation
        totals[item.split].update(name for name, crowd in zip(a.names, a.crowd, strict=True) if not crowd)
    return {split: {name: total[name] for name in classes} for split, total in totals.items()}


def class_findings(items, classes, counts):
    """Findings about class names and how often they occur.

    Args:
        items: list of `CheckedImage`.
        classes: names.
        counts: what `count_classes` returns.
    """
    total = Counter()
    for of_split in counts.values():
        total.update(of_split)
    return _unknown(items, classes) + _similar(items, classes) + _absent(counts, total) + _imbalance(total)


def _unknown(items, classes):
    known, annotations = set(classes), defaultdict(list)  # name -> the annotation of each object of it
    for item in items:
        for name in item.annotation.names:
            if name not in known:
                annotations[name].append(item)
    found = []
    for name, where in sorted(annotations.items(), key=lambda pair: -len(pair[1])):
        a, count = where[0].annotation, len(where)
        boxes = [box.tolist() for box, n in zip(where[0].boxes, a.names, strict=True) if n == name]
        detail = {"name": name, "boxes": boxes}
        message = f"{name!r}, objects: {count}, first here"
        found.append(
            Finding("unknown-class", message, where[0].split, a.image_id, a.where, a.image, detail, count)
        )
    return found


def _similar(items, classes):
    spellings = defaultdict(dict)
    for name in (*classes, *(name for item in items for name in item.annotation.names)):
        spellings[name.casefold().translate(_SEPARATORS)][name] = None
    return [
        Finding("similar-names", ", ".join(map(repr, names)), detail={"names": list(names)})
        for names in spellings.values()
        if len(names) > 1
    ]


def _absent(counts, total):
    found = []
    for name, count in total.items():
        if not count:
            found.append(Finding("absent-class", f"{name!r} never occurs", detail={"name": name}))
            continue
        for split in (split for split, of_split in counts.items() if not of_split[name]):
            message = f"{name!r} never occurs in {split}"
            found.append(Finding("absent-class", message, split, detail={"name": name}))
    return found


def _imbalance(total):
    present = Counter({name: count for name, count in total.items() if count})
    if len(present) < 2:
        return []
    (most, high), (least, low) = present.most_common()[0], present.most_common()[-1]
    if high < IMBALANCE * low:
        return []
    message = f"{most!r} has {high} objects, {least!r} {low}: {high / low:.0f} times"
    return [Finding("imbalance", message, detail={"most": most, "least": least, "ratio": high / low})]
