"""Messages about files from outside.

The names in a file are anything its writer wanted: they must not begin lines of their own, control a terminal
or fill it.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 80  # characters of a name that are compared; the time grows with their square


def one_line(text: object, limit: int = 80) -> str:
    """Text from a file for an error message: ASCII, control characters escaped, cut at the limit."""
    return _cut(ascii(str(text)[: limit + 1])[1:-1], limit)


def printable(text: object, limit: int = 80) -> str:
    """Text from a file for a report: letters of every script stay, control characters are escaped.

    Invisible characters, such as those that change the direction of writing, are escaped too.
    """
    start = str(text)[: limit + 1]
    return _cut("".join(c if c.isprintable() else ascii(c)[1:-1] for c in start), limit)


def quoted(value: object, limit: int = 80) -> str:
    """A value from a file for a message, as Python writes it: in quotes if it is a text. See `printable`."""
    try:
        text = repr(value[: limit + 1] if isinstance(value, str) else value)
    except ValueError:  # Python writes no number of more than 4300 digits
        text = f"a large {type(value).__name__}"
    return printable(text, limit)


def _cut(line, limit):
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def did_you_mean(name: str, known: Iterable[object]) -> str:
    """The end of a message about a name that is not in a known list: `; did you mean 'dog'?`, or nothing.

    Upper case is ignored, and so are values of `known` that are no strings.
    """
    names = {other.casefold(): other for other in known if isinstance(other, str)}
    found = get_close_matches(name[:_LONGEST].casefold(), names, n=1)
    return f"; did you mean '{printable(names[found[0]])}'?" if found else ""
