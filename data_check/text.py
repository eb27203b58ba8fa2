"""The report as text."""

import textwrap
from itertools import groupby

from .findings import KINDS

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
