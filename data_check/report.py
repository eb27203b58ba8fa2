"""`CheckReport`: the result of `check_dataset`, to print and to save."""

from __future__ import annotations

import json
import os
import textwrap
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from ..anchors import AnchorSpec
from ..files import atomic
from ..messages import printable
from .anchor_fit import Suggestion
from .coverage import Coverage
from .findings import ERROR, KINDS, SEVERITIES, WARNING, Finding
from .objects import Objects

WIDTH = 110  # characters of a line
MAX_WEAK = 1000  # objects with one anchor only that the file lists
_INDENT = " " * 18
_EXAMPLES = 3  # of each kind of finding
_COVERAGE_NOTE = """\
  size: area at the model's input; small is below 32x32 pixels, large is 96x96 and above.
  one anchor only: the best IoU is below 0.5; the object trains its best anchor and no other.
  no anchor: every anchor it overlaps is taken by another object."""
_SUGGESTION_NOTE = """\
Pass it to the model function: anchors=anchors.
- Compare the anchors per object, too: if more objects reach an IoU of 0.5, others may get fewer anchors.
- Weights of pretrained heads fit only the anchors they were trained with.
- Augmentation shows objects larger and smaller than they are counted here."""


@dataclass(frozen=True, eq=False)
class CheckReport:
    """The result of `check_dataset`; `print` shows it as tables.

    Attributes:
        findings: list of `Finding`, errors first.
        statistics: see `objects.summarize`, and "class_counts": {split: {class: objects}}.
        objects: the `Objects` that are trained on.
        classes: class names.
        classes_found: whether no class names were given, so that `classes` are those that occur.
        coverage: `Coverage` of the anchors that were checked, or None.
        suggestion: `Suggestion` of better anchors, or None.
    """

    findings: list[Finding]
    statistics: dict[str, Any]
    objects: Objects
    classes: tuple[str, ...]
    classes_found: bool
    coverage: Coverage | None
    suggestion: Suggestion | None

    @property
    def is_clean(self) -> bool:
        """Whether there are no errors and no warnings."""
        return not any(finding.severity in (ERROR, WARNING) for finding in self.findings)

    @property
    def suggested_anchors(self) -> AnchorSpec | None:
        """A better `AnchorSpec` for the same heads, or None."""
        return self.suggestion and self.suggestion.anchors

    def counts(self) -> dict[str, int]:
        """{severity: number of findings}."""
        of_each = Counter(finding.severity for finding in self.findings)
        return {severity: of_each[severity] for severity in SEVERITIES}

    def __str__(self):
        return report_text(self)

    def to_dict(self) -> dict[str, Any]:
        """All findings and statistics as plain JSON."""
        return {
            "version": 1,
            "counts": self.counts(),
            "classes": list(self.classes),
            "findings": [finding.to_dict() for finding in self.findings],
            "statistics": self.statistics,
            "coverage": self.coverage
            and {**_figures(self.coverage), "one_anchor_only": self._weak_objects()},
            "suggestion": self.suggestion
            and {**_figures(self.suggestion.coverage), "code": self.suggestion.code},
        }

    def _weak_objects(self):
        """The objects of `Coverage.weak` as plain JSON."""
        objects = self.coverage.objects
        return [
            {
                "split": objects.items[objects.image[i]].split,
                "image_id": objects.items[objects.image[i]].annotation.image_id,
                "object": int(objects.index[i]),
                "name": objects.names[i],
                "box": objects.boxes[i].tolist(),
                "best_iou": float(self.coverage.best_iou[i]),
            }
            for i in self.coverage.weak[:MAX_WEAK]
        ]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes `report.json`, `report.txt` and the pictures `findings.png`, `boxes.png`, `anchors.png`.

        A picture without content is not written, and is removed if an earlier run wrote it. Each file is
        written under a temporary name and renamed.

        Args:
            folder: created if it does not exist.

        Raises:
            OSError: if the files cannot be written.
        """
        from .pictures import plot_anchors, plot_boxes, plot_findings

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False)
        for name, content in (("report.json", text), ("report.txt", self)):
            with atomic(folder / name) as partial:
                partial.write_text(f"{content}\n", encoding="utf-8")
        for name, plot in (("findings", plot_findings), ("boxes", plot_boxes), ("anchors", plot_anchors)):
            _save_figure(folder / f"{name}.png", plot(self))


def _figures(coverage):
    return {"anchors": coverage.anchors.get_config(), "by_size": coverage.rows()}


def _save_figure(path, figure):
    if figure is None:
        path.unlink(missing_ok=True)
        return
    import matplotlib.pyplot as plt

    with atomic(path) as partial:
        figure.savefig(partial, dpi=110)
    plt.close(figure)


def report_text(report):
    """The whole report as text. Names from files are made `printable`."""
    parts = [_head_text(report)]
    if report.findings:
        parts.append(_findings_text(report.findings))
    parts += [_classes_text(report), _statistics_text(report.statistics)]
    if report.coverage is not None:
        parts.append(_coverage_text(report))
    return "\n\n".join(parts)


def _head_text(report):
    splits = report.statistics["splits"]
    lines = [
        f"{printable(split)}: {s['images']} images, {s['objects']} objects"
        + (f", {s['crowd']} crowd regions" if s["crowd"] else "")
        for split, s in splits.items()
    ]
    counts = ", ".join(f"{severity} {n}" for severity, n in report.counts().items() if n)
    return "\n".join([*lines, f"Findings: {counts or 'none'}"])


def _findings_text(findings):
    lines = [f"{'severity':9}{'count':>7}  finding"]
    for kind, group in groupby(findings, key=lambda finding: finding.kind):
        group = list(group)
        lines.append(f"{KINDS[kind].severity:9}{sum(f.count for f in group):7}  {kind}: {KINDS[kind].what}")
        for finding in group[:_EXAMPLES]:
            lines += textwrap.wrap(
                _example(finding), WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT
            )
        if len(group) > _EXAMPLES:
            lines.append(f"{_INDENT}...")
    return "\n".join(lines)


def _example(finding):
    where = "/".join(filter(None, (finding.split, finding.image_id)))
    message = printable(finding.message, limit=500)
    return f"{printable(where, limit=200)}: {message}" if where else message


def _classes_text(report):
    counts = report.statistics["class_counts"]
    note = " (no class names given; these occur)" if report.classes_found else ""
    rows = [[printable(name), *(of_split[name] for of_split in counts.values())] for name in report.classes]
    return f"Objects of each class{note}\n{_table(['class', *map(printable, counts)], rows)}"


def _statistics_text(statistics):
    sizes = statistics["image_size"]
    lines = ["Statistics"]
    if sizes["distinct"]:
        low, middle, high = ("{:g}x{:g}".format(*sizes[key]) for key in ("min", "median", "max"))
        lines.append(f"  image size         {low} to {high}, median {middle}, {sizes['distinct']} different")
    for title, key, form in (
        ("objects per image", "objects_per_image", "{:.0f}"),
        ("box size", "box_size", "{:.3f}"),
        ("box width / height", "aspect_ratio", "{:.2f}"),
    ):
        quantiles = statistics[key]["quantiles"]
        if quantiles:
            values = ", ".join(f"{name} {form.format(value)}" for name, value in quantiles.items())
            lines.append(f"  {title:18} {values}")
    lines.append("  (box size: square root of box area / image area)")
    return "\n".join(lines)


def _coverage_text(report):
    coverage, suggestion = report.coverage, report.suggestion
    height, width = coverage.anchors.image_size
    title = f"images resized to {width}x{height} pixels, {coverage.anchors.num_anchors} anchors"
    parts = [f"Anchor coverage: {title}\n{_coverage_table(coverage)}\n{_COVERAGE_NOTE}"]
    if suggestion is None:
        parts.append("No scales and aspect ratios with clearly better coverage were found.")
    else:
        parts.append(f"Better coverage with heads of the same shape:\n{_coverage_table(suggestion.coverage)}")
        parts.append(f"from multibox import AnchorSpec\n\nanchors = {suggestion.code}")
        parts.append(_SUGGESTION_NOTE)
    return "\n\n".join(parts)


def _coverage_table(coverage):
    """Columns: (title, key in a row of `Coverage.rows`, format)."""
    columns = (
        ("objects", "objects", "{}"),
        ("IoU >= 0.5", "share_iou_50", "{:.1%}"),
        ("mean best IoU", "mean_best_iou", "{:.3f}"),
        ("one anchor only", "one_anchor_only", "{}"),
        ("no anchor", "no_anchor", "{}"),
        ("anchors per object", "mean_positives", "{:.1f}"),
    )
    rows = [
        [name, *(form.format(row[key]) if key in row else "-" for _, key, form in columns)]
        for name, row in coverage.rows().items()
    ]
    return _table(["size", *(title for title, _, _ in columns)], rows)


def _table(head, rows):
    """Text in columns; the first column is aligned to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        right = (f"  {cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        lines.append(f"  {first:{widths[0]}}{''.join(right)}")
    return "\n".join(lines)
