"""Runs all cases and sums them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from guarded import run_guarded

from . import (
    coco,
    csv_files,
    foreign_weights,
    hdf5,
    images,
    keras_weights,
    labelme,
    others,
    shards,
    tfrecord,
    voc,
    yolo,
)
from .case import Case, run_case

MODULES = (
    voc,
    labelme,
    coco,
    csv_files,
    yolo,
    tfrecord,
    hdf5,
    shards,
    images,
    keras_weights,
    foreign_weights,
    others,
)
MEMORY = 256 << 20  # bytes by which a small bad file may make the program grow
COLUMNS = {
    "traceback": "tracebacks",
    "hang": "hangs",
    "death": "deaths",
    "silently wrong": "silently wrong",
    "error without file name": "without file name",
    "unclear error": "unclear errors",
    "wrongly refused": "wrongly refused",
    "another warning": "other warnings",
    "memory": "memory",
}


@dataclass(frozen=True)
class Row:
    """What one case did, in the API or in the command."""

    case: Case
    by_command: bool
    verdict: str
    text: str
    seconds: float
    grown: int

    @property
    def target(self):
        return f"{self.case.target.name}{', command' * self.by_command}"

    def __str__(self):
        took = f"{self.seconds:.3f} s, {self.grown / 2**20:.1f} MB"
        text = "" if self.verdict == "as expected" else f": {self.text}"
        return ascii(f"{self.target} | {self.case.kind} | {self.verdict} | {took}{text}")[1:-1]


def all_cases() -> list[Case]:
    return [case for module in MODULES for case in module.cases()]


def run_cases(cases: Sequence[Case]) -> Iterator[Row]:
    """Yields a `Row` for each case, and another one where a command reads the same."""
    tasks = [(case, False) for case in cases if not case.only_command]
    tasks += [(case, True) for case in cases if case.command and case.target.command]
    for ran in run_guarded(lambda i: run_case(*tasks[i]), range(len(tasks))):
        verdict, text = (ran.value.verdict, ran.value.text) if ran.value else (ran.ended, ran.ended)
        if verdict == "as expected" and ran.grown > MEMORY:
            verdict, text = "memory", f"more than {MEMORY >> 20} MB"
        yield Row(*tasks[ran.number], verdict.partition(" (")[0], text, ran.seconds, ran.grown)


def summary(rows: Sequence[Row]) -> str:
    """The closing table: a line for each target, and the sum."""
    counts: dict[str, Counter] = {}
    for row in rows:
        for key in (row.target, "all"):
            counts.setdefault(key, Counter())[row.verdict] += 1
    counts["all"] = counts.pop("all", Counter())
    lines = [["target", "cases", *COLUMNS.values()]]
    lines += [[name, str(c.total()), *(str(c[column]) for column in COLUMNS)] for name, c in counts.items()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in rows)
