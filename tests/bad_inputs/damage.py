"""Values that are wrong in every format: texts that are no numbers, JSON of other types, names, bytes."""

from __future__ import annotations

import json

# What a reader must not take for a number.
NOT_NUMBERS = {
    "a word": "abc",
    "nan": "nan",
    "NaN with sign": "-NaN",
    "inf": "inf",
    "minus infinity": "-Infinity",
    "beyond double": "1e999",
    "1e308": "1e308",
    "a million": "1000000",
    "minus a million": "-1000000",
    "digits with _": "1_0",
    "fullwidth digits": "\uff11\uff10",
    "arabic digits": "\u0661\u0660",
    "superscript": "10²",
    "hexadecimal": "0x1F",
    "with a unit": "10px",
    "per cent": "10%",
    "decimal comma": "10;5",
    "two numbers": "10 20",
    "two signs": "--10",
    "two dots": "1.0.0",
    "a sum": "5+5",
    "None": "None",
    "null": "null",
    "a list": "[10]",
    "zero-width space inside": "1\u200b0",
    "5000 digits": "9" * 5000,
    "minus sign of typography": "\u221210",
}

# Other ways to write a number: `{}` is the number.
SAME_NUMBERS = {
    "spaces around": "  {}  ",
    "with a plus": "+{}",
    "as a decimal": "{}.0",
    "with an exponent": "{}e0",
    "with zeros in front": "000{}",
    "with a tab": "\t{}",
}

# JSON in place of a number, as text, since some of them are no JSON.
NOT_JSON_NUMBERS = {
    "null": "null",
    "a text": '"abc"',
    "a number as text": '"10"',
    "empty text": '""',
    "a list": "[10]",
    "an empty list": "[]",
    "an object": '{"value": 10}',
    "true": "true",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "beyond double": "1e999",
    "1e308": "1e308",
    "a million": "1000000",
    "minus a million": "-1000000",
    "5000 digits": "9" * 5000,
    "hexadecimal": "0x1F",
    "digits with _": "1_0",
    "with a plus": "+10",
    "a bare dot": "10.",
}

# Those of them that are no JSON: the message cannot name the field.
NO_JSON = ("NaN", "Infinity", "hexadecimal", "digits with _", "with a plus", "a bare dot")
NO_JSON += ("quote never closed", "a lone surrogate", "a broken escape", "bytes that are not UTF-8")

NOT_JSON_TEXTS = {
    "null": "null",
    "a number": "10",
    "a list": '["cat"]',
    "an empty list": "[]",
    "an object": '{"name": "cat"}',
    "true": "true",
    "quote never closed": '"cat',
    "a lone surrogate": '"\\ud800"',
    "a broken escape": '"\\x"',
    "bytes that are not UTF-8": '"\udcff"',  # written with surrogateescape
}

NOT_JSON_LISTS = {
    "null": "null",
    "a number": "1",
    "a text": '"abc"',
    "an object": "{}",
    "a list of null": "[null]",
    "a list of numbers": "[1, 2]",
    "a list of texts": '["a"]',
    "a list of lists": "[[]]",
    "a list of empty objects": "[{}]",
}

# Letters that files of text and terminals cannot hold.
CONTROL_NAMES = {
    "NUL": "ca\0t",
    "escape sequence": "ca\x1b[31mt",
    "bell": "ca\x07t",
    "delete": "ca\x7ft",
    "next line": "ca\x85t",
    "line separator": "ca\u2028t",
    "newline": "ca\nt",
}

# Names that are unusual and right.
UNUSUAL_NAMES = {
    "dollar signs": "a$b_{c$",
    "spaces": "cat and dog",
    "quote": "cat's",
    "percent": "100%",
    "umlaut": "Kätzchen",
    "chinese": "猫",
    "emoji": "🐱",
    "right to left": "חתול",
    "a number": "7",
    "a path": "../cat",
    "a formula": "=1+1",
    "nan": "nan",
    "null": "null",
    "very long": "c" * 300,
    "a template": "{0}{name}%s",
    "backslash": "a\\b",
}

# Names of images that are no path in the folder.
BAD_PATHS = {
    "empty": "",
    "dot": ".",
    "dots": "..",
    "the folder above": "../outside.png",
    "deep above": "../../../../../../etc/passwd",
    "absolute": "/etc/passwd",
    "a device": "/dev/zero",
    "a drive": "C:\\none.png",
    "a share": "\\\\host\\none.png",
    "an address": "http://127.0.0.1/none.png",
    "a file address": "file:///etc/passwd",
    "a home": "~/none.png",
    "a variable": "$HOME/none.png",
    "a pattern": "*.png",
    "very long": "n" * 5000 + ".png",
    "many folders": "n/" * 2000 + "none.png",
    "there is none": "none.png",
}

# Whole files of another kind, or damaged as a whole.
WRONG_FILES = {
    "empty": b"",
    "one zero byte": b"\0",
    "zero bytes": bytes(5000),
    "a login page": b"<!DOCTYPE html><html><body>please log in</body></html>",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4,
    "an archive": b"PK\x03\x04" + bytes(100),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(range(100)),
    "an error message": b'{"message": "Not Found"}',
    "random bytes": bytes((i * 7919 + i // 3) % 256 for i in range(3000)),
    "UTF-16": "cat\n1 2 3\n".encode("utf-16"),
}


def cuts(content: bytes, count: int = 12) -> dict[str, bytes]:
    """The beginnings of a file, at even distances. The end of a text may be only its last line break."""
    ends = sorted({len(content) * i // count for i in range(1, count)})
    return {f"cut after {end} of {len(content)} bytes": content[:end] for end in ends}


def json_with(content, path: tuple, raw: str | None) -> bytes:
    """The JSON of a content in which the value at a path is this text; None deletes it."""
    content = json.loads(json.dumps(content))
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    if raw is None:
        del parent[path[-1]]
    else:
        parent[path[-1]] = "@raw@"
    return json.dumps(content).replace('"@raw@"', raw or "").encode("utf-8", "surrogateescape")
