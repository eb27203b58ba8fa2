"""What the mutators have in common: unusual numbers, words and values."""

from __future__ import annotations

import random
from collections.abc import Callable

Mutator = Callable[[random.Random, bytes], bytes]

MAX_BYTES = 1 << 20  # repeated repeats grow without end
INTEGERS = (
    0,
    1,
    2,
    3,
    127,
    128,
    255,
    256,
    32767,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**63,
    2**64 - 1,
)
WORDS = (
    *(
        "",
        " ",
        "0",
        "1",
        "-1",
        "1e999",
        "nan",
        "inf",
        "1_0",
        "9" * 400,
        "0x1F",
        "null",
        "true",
        "no",
        "~",
        "''",
    ),
    *(
        "\0",
        "\x1b[31m",
        "\u2028",
        "\ufeff",
        "\ud800",
        "é",
        "猫",
        "$a$",
        "%s",
        "{0}",
        "../x",
        "/etc/passwd",
        "a" * 300,
    ),
    *(
        ",",
        ";",
        "\t",
        "|",
        '"',
        "'",
        "\\",
        "\n",
        "\r",
        "#",
        "- ",
        ": ",
        "&a",
        "*a",
        "!!int ",
        "[",
        "]",
        "{",
        "}",
        "<",
        ">",
    ),
)
VALUES = (
    *(None, True, False, 0, 1, -1, 1.5, 1e308, 10**6, 2**63, 2**64, "", " ", "x", "1", "a.png", "../b.png"),
    *(
        [],
        {},
        [[]],
        [None],
        {"a": 1},
        "\0",
        "\x1b[31m",
        "\ud800",
        "é",
        "$a$",
        "n" * 5000,
        [1, 2],
        [1, 2, 3, 4],
    ),
)


def several(*mutators: Mutator, most: int = 3) -> Mutator:
    """One to `most` times one of these."""

    def mutate(rng, data):
        for _ in range(rng.randint(1, most)):
            data = rng.choice(mutators)(rng, data)[:MAX_BYTES]
        return data

    return mutate
