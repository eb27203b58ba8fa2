"""Messages about files from outside."""


def one_line(text: object, limit: int = 80) -> str:
    """What a file says, as it may stand in a message: ASCII, control characters escaped, cut at the limit.

    The names in a file are anything its writer wanted: they must not begin lines of their own, steer a
    terminal or fill it.
    """
    escaped = ascii(str(text)[: limit + 1])[1:-1]
    return escaped if len(escaped) <= limit else f"{escaped[: limit - 3]}..."
