"""Tables as text, CSV and Markdown. The names in them come from files and are only data."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...files import atomic
from ...messages import printable

# Longer names are cut.
_LONGEST = 1000
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")
# What makes a cell a formula in a spreadsheet.
_FORMULA = ("=", "+", "-", "@")


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[Any]], means: tuple[str, Sequence[float], str]
) -> str:
    """Columns of a name, numbers of three decimals and two counts; the last line has means and a remark."""
    name, values, remark = means
    width = max(map(len, [header[0], name, *(row[0] for row in rows)]))
    *numbers, objects, detections = header[1:]
    lines = [
        "  ".join(
            [f"{header[0]:<{width}}", *(f"{n:>6}" for n in numbers), f"{objects:>7}", f"{detections:>10}"]
        )
    ]
    for first, *cells, objects, detections in rows:
        cells = [_number(cell) for cell in cells]
        lines.append("  ".join([f"{first:<{width}}", *cells, f"{objects:7d}", f"{detections:10d}"]))
    last = [f"{name:<{width}}", *(f"{value:6.3f}" for value in values)]
    return "\n".join([*lines, "  ".join([*last, *[remark] * bool(remark)])])


def save_csv_table(rows: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], overwrite: bool) -> None:
    """Writes dictionaries as lines of a CSV file; the first one has all columns. NaN is an empty cell."""
    with atomic(Path(path), overwrite) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(rows[0])
        table.writerows([_cell(row.get(column)) for column in rows[0]] for row in rows)


def to_markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Dictionaries as a table of Markdown; the first one has all columns. NaN is a dash."""
    return markdown_table(list(rows[0]), [[row.get(column) for column in rows[0]] for row in rows])


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of Markdown: the first column to the left, the others to the right. NaN is a dash."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, rule, *([_markdown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def safe_cell(text: str) -> str:
    """Text for a cell of a CSV file: no formula of a spreadsheet, no control characters."""
    shown = printable(text, _LONGEST)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def markdown_text(text: str) -> str:
    """Text that is shown as it is in Markdown, on one line."""
    return _MARKDOWN.sub(r"\\\1", printable(text, _LONGEST))


def _missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def _number(value):
    return "     -" if _missing(value) else f"{value:6.3f}"


def _cell(value):
    if _missing(value):
        return ""
    return safe_cell(value) if isinstance(value, str) else value


def _markdown(value):
    if _missing(value):
        return "-"
    if isinstance(value, str):
        return markdown_text(value)
    return str(value) if isinstance(value, int) else f"{value:.3f}"
