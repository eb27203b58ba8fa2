"""Tables as plain text."""

from __future__ import annotations

from collections.abc import Sequence

Rows = Sequence[Sequence[str]]


def text_table(head: Sequence[str], rows: Rows) -> str:
    """A table for a terminal: the first column to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(_text_line(line, widths) for line in lines)


def _text_line(line, widths):
    first = f"{line[0]:<{widths[0]}}"
    cells = (f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True))
    return "  ".join((first, *cells)).rstrip()
