"""Damages the content of files. Every mutator is a function (random.Random, bytes) -> bytes.

Those that know a format change its parts and write it again, so that the damage gets past the first check.
"""

from __future__ import annotations

import copy
import io
import json
import pickletools
import random
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from xml.etree import ElementTree

import h5py
import numpy as np
from bad_inputs.samples import record
from foreign_files import varint

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


# Bytes --------------------------------------------------------------------------------------------------


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


# Text ---------------------------------------------------------------------------------------------------


def change_text(rng: random.Random, data: bytes) -> bytes:
    """Replaces, deletes, repeats or moves words and lines."""
    parts = re.findall(r"\n|[^\S\n]+|\w+|[^\w\s]", data.decode("utf-8", "replace")) or [""]
    if rng.random() < 0.3:
        parts = "".join(parts).splitlines(keepends=True) or [""]
    return "".join(_changed_list(rng, parts, lambda: rng.choice(WORDS))).encode("utf-8", "surrogatepass")


def _changed_list(rng, items, new):
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


# JSON and XML -------------------------------------------------------------------------------------------


def change_json(rng: random.Random, data: bytes) -> bytes:
    """Changes one value or key."""
    try:
        content = json.loads(data)
    except ValueError:
        return change_text(rng, data)
    places = list(_json_places(content))
    if not places:
        return json.dumps(rng.choice(VALUES)).encode()
    parent, key = rng.choice(places)
    kind = rng.randrange(7)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent.insert(key, parent[key])
    elif kind == 2:
        parent[key] = [parent[key]]
    elif kind == 3:
        other, name = rng.choice(places)
        parent[key] = json.loads(json.dumps(other[name]))
    elif kind == 4 and isinstance(parent, dict):
        parent[rng.choice((key.upper(), "x", ""))] = parent.pop(key)
    else:
        parent[key] = rng.choice(VALUES)
    return json.dumps(content, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _json_places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _json_places(inner)


def change_xml(rng: random.Random, data: bytes) -> bytes:
    """Changes one element: its text, its name, its place."""
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        return change_text(rng, data)
    parents = [element for element in root.iter() if len(element)]
    if not parents:
        return change_text(rng, data)
    parent = rng.choice(parents)
    place, kind = rng.randrange(len(parent)), rng.randrange(6)
    element = parent[place]
    if kind == 0:
        parent.remove(element)
    elif kind == 1:
        parent.insert(place, copy.deepcopy(element))
    elif kind == 2:
        element.tag = rng.choice(
            (element.tag.upper(), "x", "{n}" + element.tag, *(e.tag for e in root.iter()))
        )
    elif kind == 3:
        rng.choice(parents).append(copy.deepcopy(element))
    else:
        element.text = rng.choice([word for word in WORDS if word not in ("\0", "\x1b[31m")])
    return ElementTree.tostring(root, encoding="unicode").encode("utf-8", "surrogatepass")


# Protobuf and TFRecord ----------------------------------------------------------------------------------


def change_protobuf(rng: random.Random, data: bytes, depth: int = 0) -> bytes:
    """Changes one field, at any depth; what holds it gets the right length."""
    fields = _wire_fields(data)
    if not fields or rng.random() < 0.1:
        return change_bytes(rng, data)
    place = rng.randrange(len(fields))
    number, wire, value = fields[place]
    if wire == 2 and depth < 8 and rng.random() < 0.75:
        fields[place] = (number, wire, change_protobuf(rng, value, depth + 1))
    else:
        fields = _changed_list(rng, fields, lambda: _new_field(rng, number, wire, value))
    return b"".join(_written(*field) for field in fields)


def _wire_fields(data):
    """[(number, wire type, value)], or nothing if these bytes are no message."""
    fields, place = [], 0
    try:
        while place < len(data):
            tag, place = _varint(data, place)
            wire = tag & 7
            if wire == 0:
                value, place = _varint(data, place)
            else:
                size, place = _varint(data, place) if wire == 2 else ({1: 8, 5: 4}[wire], place)
                value, place = data[place : place + size], place + size
            if place > len(data) or not tag >> 3:
                return []
            fields.append((tag >> 3, wire, value))
    except (IndexError, KeyError):
        return []
    return fields


def _varint(data, place):
    value = shift = 0
    while True:
        byte = data[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place


def _new_field(rng, number, wire, value):
    kind = rng.randrange(4)
    if kind == 0:
        number = rng.choice((1, 2, 3, number + 1, 100, 2**29 - 1))
    elif kind == 1:
        wire = rng.choice((0, 1, 2, 3, 5, 6))
        value = rng.choice(INTEGERS) if wire == 0 else rng.randbytes(8)
    elif wire == 0:
        value = rng.choice(INTEGERS)
    else:
        value = rng.choice((b"", change_bytes(rng, value), rng.randbytes(len(value)), value + value[:1]))
    return number, wire, value


def _written(number, wire, value):
    if wire == 0:
        return varint(number << 3) + varint(value if isinstance(value, int) else 0)
    value = value if isinstance(value, bytes) else b"\1" * 8
    if wire == 2:
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3 | wire) + value[: {1: 8, 5: 4}.get(wire, 8)]


def change_tfrecord(rng: random.Random, data: bytes) -> bytes:
    """Changes one record, whose checksums are right again."""
    records, place = [], 0
    while place + 12 <= len(data):
        (size,) = struct.unpack_from("<Q", data, place)
        if place + 16 + size > len(data):
            break
        records.append(data[place + 12 : place + 12 + size])
        place += 16 + size
    if not records:
        return change_bytes(rng, data)
    number = rng.randrange(len(records))
    records[number] = change_protobuf(rng, records[number])
    return b"".join(map(record, records))


# HDF5 ---------------------------------------------------------------------------------------------------


def change_hdf5(rng: random.Random, data: bytes) -> bytes:
    """Changes one array, attribute, group or link."""
    memory = io.BytesIO(data)
    try:
        with warnings.catch_warnings(), h5py.File(memory, "r+") as file:
            warnings.simplefilter("ignore")
            names: list[str] = []
            file.visit(names.append)
            rng.choice((_change_attribute, _change_object))(rng, file, ["/", *names])
    except Exception:  # what is damaged already cannot be changed by name
        return change_bytes(rng, data)
    return memory.getvalue()


def _change_attribute(rng, file, names):
    owners = [file[name] for name in names if len(file[name].attrs)]
    owner = rng.choice(owners)
    name = rng.choice(list(owner.attrs))
    del owner.attrs[name]
    if rng.random() < 0.8:
        owner.attrs[name] = rng.choice(_new_values(rng))


def _change_object(rng, file, names):
    name = rng.choice(names[1:])
    old = file[name][()] if isinstance(file[name], h5py.Dataset) else np.zeros(3, np.float32)
    kind = rng.randrange(9)
    del file[name]
    if kind == 0:
        file[name] = h5py.SoftLink(rng.choice(names))
    elif kind == 1:
        file[name] = h5py.ExternalLink("/etc/passwd", "/")
    elif kind == 2:
        file.create_group(name)
    elif kind == 3:
        file.create_dataset(name, (rng.choice((1 << 20, 1 << 40)),), np.float32, chunks=(1 << 10,))
    elif kind == 4:
        file.create_dataset(name, data=old, chunks=True, compression="gzip") if np.ndim(old) else None
    elif kind == 5:
        file[name] = old[:-1] if np.ndim(old) else old
    elif kind == 6:
        file[name] = np.asarray(old).astype(rng.choice(("f8", "f2", "i8", "u1", "S3")))
    elif kind == 7:
        file[name] = rng.choice(_new_values(rng))


def _new_values(rng):
    vlen = np.empty(1, object)
    vlen[0] = np.arange(3)
    return (
        *(0, -1, 1.5, float("nan"), "x", "", "é\n", b"\xff", [1, 2], ["a", "b"], [], np.zeros((2, 2))),
        *(np.zeros(3, [("a", "i4")]), h5py.Empty("f4"), np.bytes_("abc"), True, 2**62, rng.random()),
    )


# Archives and pickles -----------------------------------------------------------------------------------


def change_archive(inner: Mutator, member: str) -> Mutator:
    """Changes members of a ZIP archive; those whose name ends so by another mutator."""

    def mutate(rng, data):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = [(info.filename, archive.read(info)) for info in archive.infolist()]
        except Exception:  # zipfile raises many kinds for a damaged archive
            return change_bytes(rng, data)
        if rng.random() < 0.7:
            change = (inner(rng, c) if n.endswith(member) else c for n, c in members)
            members = [(n, c) for (n, _), c in zip(members, change, strict=True)]
        elif members:
            members = _changed_list(
                rng, members, lambda: (rng.choice(("x", "../x", "a/" * 50)), rng.randbytes(9))
            )
        out = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(out, "w", rng.choice((0, 8))) as archive:
            warnings.simplefilter("ignore")
            for name, content in members:
                archive.writestr(name, content)
        return out.getvalue()

    return mutate


def change_pickle(rng: random.Random, data: bytes) -> bytes:
    """Changes one operation of the program."""
    try:
        starts = [place for _, _, place in pickletools.genops(data)]
    except Exception:  # pickletools raises many kinds
        return change_bytes(rng, data)
    end = starts[-1] + 1
    parts = [data[a:b] for a, b in zip(starts, [*starts[1:], end], strict=True)]
    new = (
        b"N",
        b"K\x05",
        b"J\xff\xff\xff\xff",
        b"]",
        b"}",
        b")",
        b"0",
        b"R",
        b"b",
        b"s",
        b"u",
        b"Q",
        b"t",
        b"(",
    )
    parts = _changed_list(rng, parts, lambda: rng.choice((*new, change_bytes(rng, rng.choice(parts)))))
    return b"".join(parts) + data[end:]


# Images -------------------------------------------------------------------------------------------------


def change_png(rng: random.Random, data: bytes) -> bytes:
    """Changes one chunk, whose checksum is right again."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, place)
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += 12 + size
    if not chunks:
        return change_bytes(rng, data)
    chunks = _changed_list(rng, chunks, lambda: _new_chunk(rng, *rng.choice(chunks)))
    parts = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return data[:8] + b"".join(parts)


def _new_chunk(rng, kind, content):
    if kind == b"IDAT" and rng.random() < 0.5:
        return kind, zlib.compress(rng.randbytes(rng.choice((0, 10, 7000))))
    return rng.choice((kind, kind, b"tRNS", b"eXIf", b"acTL", b"PLTE")), change_bytes(rng, content)


def change_head(rng: random.Random, data: bytes) -> bytes:
    """Changes bytes among the first 200, where the sizes and types are."""
    return change_bytes(rng, data[:200]) + data[200:]
