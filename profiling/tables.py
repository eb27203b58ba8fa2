"""Tables as plain text and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from ..eval_utils.metrics.tables import markdown_text

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


def markdown_table(head: Sequence[str], rows: Rows) -> str:
    """A table in Markdown, aligned as `text_table`. The cells may hold names from files."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, rule, *([markdown_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
