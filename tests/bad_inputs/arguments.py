"""Wrong arguments of the public functions, by the table of `wrong_arguments`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from guarded import run_guarded
from wrong_arguments import accepted_lines, outcomes

from .case import Case, Result, Target
from .table import Row

# Values that some arguments take, each with a reason; `test_wrong_arguments` compares them, too.
ACCEPTED = Path(__file__).parents[1] / "accepted_arguments.txt"
_SECONDS = 600  # all calls; those that build models take their time


def argument_rows() -> list[Row]:
    """A `Row` for each call of each function with one wrong argument."""
    (ran,) = run_guarded(_outcomes, [0], seconds=_SECONDS, memory=8 << 30)
    known = set(ACCEPTED.read_text().splitlines())
    rows = []
    for (name, argument, value), result in (ran.value or {("all", "", ""): ran.ended}).items():
        verdict, text = "as expected", result
        if result == "accepted":
            lines = (line for line in known if line.startswith(f"{name} {argument}: "))
            accepted = any(value in line.partition(": ")[2].split(", ") for line in lines)
            verdict = "as expected" if accepted else "silently wrong"
        elif result != "named":
            documented = result.startswith(("TypeError", "ValueError", "FileNotFoundError"))
            verdict = "unclear error" if documented else "traceback" if ran.value else ran.ended
        case = Case(Target("arguments", None, ""), f"{name} {argument}={value}", None, Result(None))
        rows.append(Row(case, False, verdict, text, ran.seconds / max(1, len(ran.value or ())), 0))
    return rows


def _outcomes(_):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        found = outcomes(Path(folder))
    assert accepted_lines(found)
    return found
