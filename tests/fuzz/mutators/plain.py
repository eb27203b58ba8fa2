"""Damages any file: bytes and lines."""

from __future__ import annotations

import random
import re

from .values import INTEGERS, WORDS


def change_bytes(rng: random.Random, data: bytes) -> bytes:
    """Changes bits, bytes or numbers in place, cuts, repeats or inserts."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not content:
            return bytes(rng.randbytes(rng.randrange(20)))
        rng.choice(_BYTE_CHANGES)(rng, content)
    return bytes(content)


def _place(rng, content):
    """A place, rather not in a run of zeros."""
    place = rng.randrange(len(content))
    for _ in range(20):
        if content[place] or rng.random() < 0.3:
            break
        place = rng.randrange(len(content))
    return place


def _flip(rng, content):
    content[_place(rng, content)] ^= 1 << rng.randrange(8)


def _set(rng, content):
    content[_place(rng, content)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _number(rng, content):
    width, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
    value = rng.choice((*INTEGERS, len(content), rng.randrange(1 << 16))) % (1 << 8 * width)
    place = _place(rng, content)
    content[place : place + width] = value.to_bytes(width, order)


def _cut(rng, content):
    del content[_place(rng, content) :]


def _delete(rng, content):
    place = _place(rng, content)
    del content[place : place + rng.choice((1, 2, 4, 8, 64))]


def _repeat(rng, content):
    place = _place(rng, content)
    part = content[place : place + rng.choice((1, 2, 4, 8, 64, 512))]
    content[place:place] = part * rng.choice((1, 1, 2, 20))


def _insert(rng, content):
    place = _place(rng, content)
    content[place:place] = rng.randbytes(rng.choice((1, 2, 4, 16)))


_BYTE_CHANGES = (_flip, _flip, _set, _set, _number, _number, _cut, _delete, _repeat, _insert)


def change_text(rng: random.Random, data: bytes) -> bytes:
    """Replaces, deletes, repeats or moves words and lines."""
    parts = re.findall(r"\n|[^\S\n]+|\w+|[^\w\s]", data.decode("utf-8", "replace")) or [""]
    if rng.random() < 0.3:
        parts = "".join(parts).splitlines(keepends=True) or [""]
    return "".join(changed_list(rng, parts, lambda: rng.choice(WORDS))).encode("utf-8", "surrogatepass")


def changed_list(rng, items, new):
    """A list in which an item is replaced, deleted, repeated, moved or added."""
    items, place, kind = list(items), rng.randrange(len(items)), rng.randrange(6)
    if kind == 0:
        del items[place]
    elif kind == 1:
        items[place:place] = [items[place]] * rng.choice((1, 1, 3, 200))
    elif kind == 2:
        other = rng.randrange(len(items))
        items[place], items[other] = items[other], items[place]
    elif kind == 3:
        items.insert(place, new())
    else:
        items[place] = new()
    return items
