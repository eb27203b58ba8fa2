"""Examples at the end of a command's help."""


def examples(*lines: str) -> str:
    """The epilog of a command: one example a line."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
