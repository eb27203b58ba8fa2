"""`check_dataset`: finds what is wrong with a data set before hours of training are spent on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..anchors import AnchorSpec
from ..arguments import checked
from ..class_names import name_tuple
from ..data_generator.dataset import DetectionDataset
from ..data_generator.formats.annotation import Annotation, annotation_of
from ..limits import WORKERS
from ..messages import printable
from ..networks import named_anchors
from .anchor_fit import suggest_anchors
from .boxes import box_findings, relative_findings, size_findings
from .classes import class_findings, count_classes, label_findings, split_findings
from .coverage import measure_coverage
from .findings import KINDS, Finding
from .images import duplicate_findings, image_findings, kind_findings
from .inspection import inspect_images
from .objects import collect_objects, summarize
from .report import CheckReport

# The images of a split.
Images = DetectionDataset | Iterable[Annotation] | Callable[..., Iterable[Annotation]]


@checked(workers=(1, WORKERS[1]))
def check_dataset(
    data: Images | Mapping[str, Images],
    *,
    classes: Sequence[str] | None = None,
    anchors: AnchorSpec | str | None = None,
    output: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> CheckReport:
    """Checks annotations, images, boxes, classes and the fit of the anchors of a data set.

    Reads and decodes every image. `data_check.findings.KINDS` lists the checks.

    Example:

    ```python
    train, val = mb.load_voc("my_data", "train"), mb.load_voc("my_data", "val")
    report = mb.check_dataset({"train": train, "val": val}, anchors="ssd300", output="report")
    print(report)
    ```

    Args:
        data: a `DetectionDataset`, or {name of a split: its images}. The images of a split are:

            - a `DetectionDataset`. It has no bad boxes: its reader has clipped or dropped them.
            - an iterable of `Annotation`, which holds boxes as they are in the file.
            - a function that takes `on_error` and `progress` and returns such an iterable, for example
              `functools.partial(scan_voc, "VOCdevkit", [("2007", "train")])`. Annotations that it cannot
              read become findings.
        classes: class names. None takes those of the data sets, or else the names that occur.
        anchors: an `AnchorSpec` or a name such as "ssd300" (see `networks.named_anchors`), to check how well
            these anchors match the objects and to search better ones; or None.
        output: folder for the report, or None.
        workers: number of threads that decode images; None takes one for each core, at most 8.
        progress: whether to show a progress bar.

    Returns:
        `CheckReport`: print it, or see its `findings`, `statistics`, `coverage` and `suggested_anchors`.

    Raises:
        OSError: if a split cannot be read at all, or if the report cannot be written.
        TypeError: if `data` or the images of a split are of another kind.
        ValueError: if a split cannot be read at all or there are no images, if `classes` is not a sequence of
            names, and for unknown names of anchors.
    """
    splits = _splits(data)
    listed = {
        split: source.class_names for split, source in splits.items() if isinstance(source, DetectionDataset)
    }
    if classes is None:
        known = tuple(dict.fromkeys(name for names in listed.values() for name in names))
    else:
        known = name_tuple(classes, "check_dataset: classes")
    spec = named_anchors(anchors) if isinstance(anchors, str) else anchors
    if output is not None:
        Path(output).mkdir(parents=True, exist_ok=True)  # an output that cannot be written fails early
    items, findings = [], label_findings(listed)
    for split, source in splits.items():
        items += inspect_images(split, _annotations(split, source, findings, progress), workers)
    if not items and not findings:
        raise ValueError(f"check_dataset: no images in {', '.join(splits) or 'no splits'}")
    names = known or tuple(sorted({name for item in items for name in item.annotation.names}))
    report = _report(items, findings, tuple(splits), names, not known, spec, progress)
    if output is not None:
        report.save(output)
    return report


def _splits(data):
    if isinstance(data, DetectionDataset):
        return {data.name: data}
    if not isinstance(data, Mapping):
        raise TypeError(
            "check_dataset: data must be a DetectionDataset or a dictionary of splits, "
            f"got {type(data).__name__}"
        )
    return data


def _annotations(split, source, findings, progress):
    """The annotations of a split; those that cannot be read are added to the findings."""

    def on_error(error):
        kind = "missing-file" if isinstance(error, FileNotFoundError) else "unreadable-annotation"
        findings.append(Finding(kind, str(error), split))

    if isinstance(source, DetectionDataset):
        source = [annotation_of(record, source.class_names) for record in source]
    elif callable(source):
        return _check_kinds(split, source(on_error=on_error, progress=progress))
    bar = tqdm(source, desc=printable(split), unit=" images", disable=not progress, leave=False)
    return _check_kinds(split, bar)


def _check_kinds(split, annotations):
    for annotation in annotations:
        if not isinstance(annotation, Annotation):
            raise TypeError(
                f"check_dataset: {split!r} must be a DetectionDataset, Annotations or a function that "
                f"returns these, but it has a {type(annotation).__name__}"
            )
        yield annotation


def _report(items, findings, splits, names, names_found, spec, progress):
    objects = collect_objects(items)
    counts = count_classes(items, splits, names)
    findings = findings + relative_findings(items) + _image_by_image(items)
    findings += duplicate_findings(items) + split_findings(items, splits)
    findings += class_findings(items, names, counts)
    findings += kind_findings(items) + size_findings(objects, spec)
    coverage = suggestion = None
    if spec is not None and len(trained := objects.where(np.isin(objects.names, names))):
        coverage = measure_coverage(trained, spec, progress)
        findings += coverage.findings()
        suggestion = suggest_anchors(coverage, progress=progress)
    rank = {kind: i for i, kind in enumerate(KINDS)}
    findings.sort(key=lambda finding: rank[finding.kind])
    statistics = {**summarize(items, objects, splits), "class_counts": counts}
    return CheckReport(findings, statistics, objects, names, names_found, coverage, suggestion)


def _image_by_image(items):
    return [finding for item in items for finding in (*image_findings(item), *box_findings(item))]
