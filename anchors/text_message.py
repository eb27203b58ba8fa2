"""Protobuf's text format, read without a schema, such as a `pipeline.config`."""

from __future__ import annotations

import re

from ..messages import one_line

MAX_DEPTH = 64  # of nested messages
BLANK = re.compile(r"(?:\s|#[^\n]*(?:\n|$))*")
TOKEN = re.compile(
    r"""(?:\s|\#[^\n]*(?:\n|$))*(?:(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<word>[A-Za-z0-9_.+-]+)|(?P<mark>[{}<>\[\]:,;]))"""
)


def parse_text_message(text: str) -> dict[str, list]:
    """{field: [values]}: texts as they stand there, and messages as such dicts.

    Raises:
        ValueError: for text in another form; names the line.
    """
    root: dict[str, list] = {}
    stack, name, in_list, position = [root], None, False, 0
    end = len(text.rstrip())
    while position < end:
        found = TOKEN.match(text, position)
        if found is None:
            if BLANK.fullmatch(text, position):
                break
            raise _error(text, position, "not a field of a text message")
        token, mark = found[found.lastgroup], found["mark"]
        if mark and mark in "{<" and name is not None and len(stack) < MAX_DEPTH:
            child: dict[str, list] = {}
            stack[-1].setdefault(name, []).append(child)
            stack.append(child)
            name = name if in_list else None
        elif mark and mark in "}>" and len(stack) > 1 and name is None:
            stack.pop()
        elif mark and mark in "[]" and name is not None:
            name, in_list = (name, True) if mark == "[" else (None, False)
        elif mark and mark in ":,;":
            pass
        elif mark or (name is None and found["word"] is None):
            raise _error(text, found.start(found.lastgroup), f"unexpected {one_line(token)!r}")
        elif name is None:
            name = token
        else:
            stack[-1].setdefault(name, []).append(token.strip("\"'") if found["string"] else token)
            name = name if in_list else None
        position = found.end()
    if len(stack) > 1 or name is not None:
        raise _error(text, len(text), "the end inside a message")
    return root


def _error(text, position, what):
    return ValueError(f"line {text.count(chr(10), 0, position) + 1}: {what}")
