"""`CheckReport`: what `check_dataset` found, to print and to save."""

import json
import textwrap
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ..files import atomic
from .anchor_fit import Suggestion
from .coverage import Coverage
from .findings import ERROR, KINDS, SEVERITIES, WARNING
from .objects import Objects

WEAK_LISTED = 1000  # of the objects with one anchor only, in the file


@dataclass(frozen=True, eq=False)
class CheckReport:
    """The result of `check_dataset`; `print` shows it as tables.

    Attributes:
        findings: list of `Finding`, errors first.
        statistics: see `summary.summarize`, and "class_counts": {split: {class: objects}}.
        objects: the `Objects` that are trained on.
        classes: names of the classes.
        classes_found: whether these are the names that occur, as none were given.
        coverage: `Coverage` by the anchors asked for, or None.
        suggestion: `Suggestion` of better anchors, or None.
    """

    findings: list
    statistics: dict
    objects: Objects
    classes: tuple[str, ...]
    classes_found: bool
    coverage: Coverage | None
    suggestion: Suggestion | None

    @property
    def is_clean(self):
        """Whether there is no error and no warning; what is worth knowing only does not count."""
        return not any(finding.severity in (ERROR, WARNING) for finding in self.findings)

    @property
    def suggested_anchors(self):
        """A better `AnchorSpec` for the same heads, or None."""
        return self.suggestion and self.suggestion.anchors

    def counts(self):
        """{severity: number of findings}."""
        of_each = Counter(finding.severity for finding in self.findings)
        return {severity: of_each[severity] for severity in SEVERITIES}

    def __str__(self):
        return report_text(self)

    def to_dict(self):
        """All findings and statistics as plain JSON."""
        return {
            "version": 1,
            "counts": self.counts(),
            "classes": list(self.classes),
            "findings": [finding.to_dict() for finding in self.findings],
            "statistics": self.statistics,
            "coverage": self.coverage and {**_figures(self.coverage), "one_anchor_only": self._weak()},
            "suggestion": self.suggestion
            and {**_figures(self.suggestion.coverage), "code": self.suggestion.code},
        }

    def _weak(self):
        """The objects that only the bipartite step gives an anchor, worst first."""
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
            for i in self.coverage.weak()[:WEAK_LISTED]
        ]

    def save(self, folder):
        """Writes `report.json`, `report.txt` and the pictures `findings.png`, `boxes.png`, `anchors.png`.

        A picture of nothing is left out, and removed if an earlier run wrote it.

        Args:
            folder: is made if it does not exist.

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


WIDTH = 110
INDENT = " " * 18
EXAMPLES = 3
COVERAGE_NOTE = """\
  small: below 32x32 of these pixels; large: from 96x96. one anchor only: the best IoU is below 0.5, and the
  object trains no other anchor than its best one. no anchor: others took all anchors it overlaps."""
SUGGESTION_NOTE = """\
Pass it to the model function as anchors=anchors. Compare anchors per object, too: where more objects are
reached, others may get fewer. Heads of pretrained weights expect the anchors they were
trained with. Crops and zoom-out of the training show objects larger and smaller than counted here."""


def report_text(report):
    """The whole report, lines of about `WIDTH` characters."""
    parts = [_head(report)]
    if report.findings:
        parts.append(_findings(report.findings))
    parts += [_classes(report), _statistics(report.statistics)]
    if report.coverage is not None:
        parts.append(_coverage(report))
    return "\n\n".join(parts)


def _head(report):
    splits = report.statistics["splits"]
    lines = [
        f"{split}: {s['images']} images, {s['objects']} objects"
        + (f", {s['crowd']} crowd regions" if s["crowd"] else "")
        for split, s in splits.items()
    ]
    counts = ", ".join(f"{n} of severity {severity}" for severity, n in report.counts().items() if n)
    return "\n".join([*lines, f"Findings: {counts or 'none'}"])


def _findings(findings):
    lines = [f"{'severity':9}{'count':>7}  finding"]
    for kind, group in groupby(findings, key=lambda finding: finding.kind):
        group = list(group)
        lines.append(f"{KINDS[kind].severity:9}{sum(f.count for f in group):7}  {kind}: {KINDS[kind].what}")
        for finding in group[:EXAMPLES]:
            lines += textwrap.wrap(_example(finding), WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
        if len(group) > EXAMPLES:
            lines.append(f"{INDENT}...")
    return "\n".join(lines)


def _example(finding):
    where = "/".join(filter(None, (finding.split, finding.image_id)))
    return f"{where}: {finding.message}" if where else finding.message


def _classes(report):
    counts = report.statistics["class_counts"]
    title = "Objects of each class" + (
        " (no classes given: those that occur)" if report.classes_found else ""
    )
    rows = [[name, *(of_split[name] for of_split in counts.values())] for name in report.classes]
    return f"{title}\n{_table(['class', *counts], rows)}"


def _statistics(statistics):
    sizes = statistics["image_size"]
    lines = ["Statistics"]
    if sizes["distinct"]:
        low, middle, high = ("{:g}x{:g}".format(*sizes[key]) for key in ("min", "median", "max"))
        lines.append(f"  image sizes        {low} to {high}, median {middle}, {sizes['distinct']} different")
    for title, key, form in (
        ("objects per image", "objects_per_image", "{:.0f}"),
        ("box size relative", "box_size", "{:.3f}"),
        ("box width / height", "aspect_ratio", "{:.2f}"),
    ):
        quantiles = statistics[key]["quantiles"]
        if quantiles:
            values = ", ".join(f"{name} {form.format(value)}" for name, value in quantiles.items())
            lines.append(f"  {title:18} {values}")
    lines.append("  (box size: square root of its share of the image's area)")
    return "\n".join(lines)


def _coverage(report):
    coverage, suggestion = report.coverage, report.suggestion
    height, width = coverage.anchors.image_size
    title = f"whole images stretched to {width}x{height} pixels, {coverage.anchors.num_anchors} anchors"
    parts = [f"Anchor coverage: {title}\n{_coverage_table(coverage)}\n{COVERAGE_NOTE}"]
    if suggestion is None:
        parts.append("No scales and aspect ratios with a clearly better coverage were found.")
    else:
        parts.append(f"Better coverage with heads of the same shape:\n{_coverage_table(suggestion.coverage)}")
        parts.append(f"from multibox import AnchorSpec\n\nanchors = {suggestion.code}")
        parts.append(SUGGESTION_NOTE)
    return "\n\n".join(parts)


def _coverage_table(coverage):
    head = [
        "size",
        "objects",
        "IoU >= 0.5",
        "mean best IoU",
        "one anchor only",
        "no anchor",
        "anchors per object",
    ]
    rows = [
        [name, 0, *["-"] * 5]
        if not row["objects"]
        else [
            name,
            row["objects"],
            f"{row['share_iou_50']:.1%}",
            f"{row['mean_best_iou']:.3f}",
            row["one_anchor_only"],
            row["no_anchor"],
            f"{row['mean_positives']:.1f}",
        ]
        for name, row in coverage.rows().items()
    ]
    return _table(head, rows)


def _table(head, rows):
    """Columns as wide as their widest cell; the first to the left, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        right = (f"  {cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        lines.append(f"  {first:{widths[0]}}{''.join(right)}")
    return "\n".join(lines)
