"""history.csv: the log of a run, which follows from the rows in its checkpoint."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ..files import atomic


def write_log(path: Path, rows: list[dict[str, float]]) -> None:
    """Writes the rows of all finished epochs, whole or not at all.

    A column that some epochs lack, such as a validation every second epoch, is `NA` there.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="NA", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8")


def number_of_epochs(path: Path) -> int:
    """The number of rows in a log, 0 without one."""
    if not path.exists():
        return 0
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return sum(1 for _ in csv.DictReader(file))
