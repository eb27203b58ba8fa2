"""Messages about files from outside.

The names in a file are anything its writer wanted: they must not begin lines of their own, control a terminal
or fill it.
"""


def one_line(text, limit=80):
    """Text from a file for an error message: ASCII, control characters escaped, cut at the limit."""
    return _cut(ascii(str(text)[: limit + 1])[1:-1], limit)


def printable(text, limit=80):
    """Text from a file for a report: letters of every script stay, control characters are escaped.

    Invisible characters, such as those that change the direction of writing, are escaped too.
    """
    start = str(text)[: limit + 1]
    return _cut("".join(c if c.isprintable() else ascii(c)[1:-1] for c in start), limit)


def _cut(line, limit):
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
