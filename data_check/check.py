"""`check_dataset`: what is wrong with a data set, before hours of training are spent on it."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..networks import named_anchors
from .anchor_fit import suggest_anchors
from .boxes import box_findings, size_findings
from .classes import class_findings, count_classes
from .coverage import measure_coverage
from .findings import KINDS, Finding
from .images import duplicate_findings, image_findings, inspect_images, kind_findings
from .objects import collect_objects, summarize
from .report import CheckReport


def check_dataset(sets, classes=None, anchors=None, output=None, workers=None, progress=True):
    """Checks annotations, images, boxes, classes and the anchors' fit of a data set.

    Reads and decodes every file. `findings.KINDS` lists what is looked for.

    Args:
        sets: {name of a split: its annotations}. These are an iterable of `Annotation`, or a function that
            takes `on_error` and `progress` and returns one, such as
            `functools.partial(scan_voc, "VOCdevkit", [("2007", "train")])`; annotations that it cannot read
            then become findings.
        classes: names of the classes; None takes the names that occur.
        anchors: an `AnchorSpec`, or a name such as "ssd300" (see `coverage.NAMED_ANCHORS`), to see how well
            they meet the objects and whether others would do better; or None.
        output: folder to write the report to, or None.
        workers: threads that decode images; None takes one for each core, at most 8.
        progress: whether to show a progress bar.

    Returns:
        `CheckReport`: print it, or see its `findings`, `statistics`, `coverage`, `suggested_anchors`.

    Raises:
        OSError: if a split cannot be read at all, or the report not be written.
        ValueError: likewise, for classes that are no sequence of names, unknown names of anchors, and if
            there is nothing to check.
    """
    if isinstance(classes, str | set):  # a string is a sequence of letters, a set has no order
        raise ValueError(f"check_dataset: classes must be a sequence of names, got {classes!r}")
    spec = named_anchors(anchors) if isinstance(anchors, str) else anchors
    if output is not None:
        Path(output).mkdir(parents=True, exist_ok=True)  # what cannot be written should fail early
    items, findings = [], []
    for split, source in sets.items():
        items += inspect_images(split, _annotations(split, source, findings, progress), workers)
    if not items and not findings:
        raise ValueError(f"check_dataset: no images in {', '.join(sets) or 'no splits'}")
    names = tuple(classes or sorted({name for item in items for name in item.annotation.names}))
    objects = collect_objects(items)
    counts = count_classes(items, sets, names)
    findings += _findings(items, objects, names, counts, spec)
    coverage = suggestion = None
    if spec is not None and len(trained := objects.where(np.isin(objects.names, names))):
        coverage = measure_coverage(trained, spec, progress)
        findings += coverage.findings()
        suggestion = suggest_anchors(coverage, progress=progress)
    rank = {kind: i for i, kind in enumerate(KINDS)}
    findings.sort(key=lambda finding: rank[finding.kind])
    statistics = {**summarize(items, objects, sets), "class_counts": counts}
    report = CheckReport(findings, statistics, objects, names, classes is None, coverage, suggestion)
    if output is not None:
        report.save(output)
    return report


def _annotations(split, source, findings, progress):
    """The annotations of a split; those that cannot be read go to the findings."""

    def on_error(error):
        kind = "missing-file" if isinstance(error, FileNotFoundError) else "unreadable-annotation"
        findings.append(Finding(kind, str(error), split))

    if callable(source):
        return source(on_error=on_error, progress=progress)
    return tqdm(source, desc=split, unit=" images", disable=not progress, leave=False)


def _findings(items, objects, names, counts, spec):
    found = []
    for item in items:
        found += image_findings(item) + box_findings(item)
    found += duplicate_findings(items) + class_findings(items, names, counts)
    return found + kind_findings(items) + size_findings(objects, spec)
