"""Reads TensorFlow's checkpoints and variables of a SavedModel: an `.index` file and data files beside it.

The index is a sorted table in the form of LevelDB (`table_format.txt`): blocks of keys that share prefixes.
Its values are protobuf messages (`tensor_bundle.proto`) that say where in the data files a tensor is.
"""

import math
import re
from pathlib import Path

import numpy as np

from ...files import read_bytes
from ...messages import one_line
from ...protobuf import BYTES, VARINT, WireError, read_varint, wire_fields
from .limits import MAX_FILE
from .message_fields import expect
from .tensorflow_graph import TYPES, shape_of

MAGIC = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
FOOTER, TRAILER = 48, 5  # bytes; a block has a byte for its compression and a checksum behind it
MAX_INDEX = 64 << 20  # bytes; that of a large detector has 100,000
MAX_TENSORS = 100_000
MAX_KEY = 4096
HEADER_SHARDS, HEADER_ENDIANNESS = 1, 2
DTYPE, SHAPE, SHARD, OFFSET, SIZE, SLICES = 1, 2, 3, 4, 5, 7
# What TensorFlow 2 appends to the path of a variable.
VARIABLE = re.compile(r"/\.ATTRIBUTES/VARIABLE_VALUE$")


def read_checkpoint(path):
    """Reads the variables of a checkpoint.

    Args:
        path: path of the `.index` file. The data files lie beside it: `model.ckpt.data-00000-of-00001`
            belongs to `model.ckpt.index`.

    Returns:
        {name of the variable: array}, in the order of the names. The layout is TensorFlow's: kernels (rows,
        columns, in, out), depthwise ones (rows, columns, channels, 1).

    Raises:
        OSError: if a file cannot be read.
        ValueError: if a file is missing, cut off, damaged or too large, or if there are no variables.
    """
    table = read_bytes(path, MAX_INDEX)
    try:
        entries = dict(_table(table))
        shards = _shards(entries.pop(b"", b""))
        arrays, data = {}, _Data(Path(path), shards)
        for key, entry in entries.items():
            name = VARIABLE.sub("", _text(key))
            array = _array(name, memoryview(entry), data)
            if name in arrays:
                raise WireError(f"two variables '{one_line(name)}'")
            if array is not None:
                arrays[name] = array
    except WireError as error:
        raise ValueError(f"{path}: expected the index of a TensorFlow checkpoint, found {error}") from None
    if not arrays:
        raise ValueError(f"{path}: expected the index of a TensorFlow checkpoint, found no variables")
    return arrays


def _table(table):
    """(key, value) of all entries."""
    if len(table) < FOOTER or not table.endswith(MAGIC):
        raise WireError("another file, or one that was cut off")
    footer, position = table[-FOOTER:], 0
    for _ in range(2):  # of the block of statistics, which is not read
        _, position = read_varint(footer, position)
    total = 0
    for _, handle in _block(table, *_handle(footer, position)):
        offset, size = _handle(handle, 0)
        total += size
        if total > len(table):
            raise WireError("blocks that overlap")
        yield from _block(table, offset, size)


def _handle(data, position):
    offset, position = read_varint(data, position)
    size, _ = read_varint(data, position)
    return offset, size


def _block(table, offset, size):
    """(key, value) of a block. A key has the first bytes of the one before it."""
    if offset + size + TRAILER > len(table) or size < 4:
        raise WireError(f"a block at byte {offset} of {len(table)}: cut off or damaged")
    if table[offset + size]:
        raise WireError("a compressed block, which TensorFlow does not write")
    block = table[offset : offset + size]
    end = size - 4 - 4 * int.from_bytes(block[-4:], "little")  # of the entries; restart points follow
    position, key, count = 0, b"", 0
    while position < end:
        shared, position = read_varint(block, position)
        more, position = read_varint(block, position)
        length, position = read_varint(block, position)
        if shared > len(key) or shared + more > MAX_KEY or position + more + length > end:
            raise WireError("a damaged entry")
        key = key[:shared] + block[position : position + more]
        yield key, block[position + more : position + more + length]
        position, count = position + more + length, count + 1
        if count > MAX_TENSORS:
            raise WireError(f"more than {MAX_TENSORS} entries in a block")


def _shards(header):
    """The number of data files."""
    shards = 0
    for number, wire, value in wire_fields(memoryview(header)):
        if number == HEADER_SHARDS:
            shards = expect(value, wire, VARINT, "a number of files")
        elif number == HEADER_ENDIANNESS and value:
            raise WireError("big-endian numbers")
    return shards


def _array(name, entry, data):
    """Reads one BundleEntryProto and its numbers; None for text and the like."""
    fields = {DTYPE: 0, SHARD: 0, OFFSET: 0, SIZE: 0}
    dims = []
    for number, wire, value in wire_fields(entry):
        if number in fields:
            fields[number] = expect(value, wire, VARINT, f"a field of '{one_line(name)}'")
        elif number == SHAPE:
            dims = shape_of(expect(value, wire, BYTES, "a shape"))
        elif number == SLICES:
            raise WireError(f"'{one_line(name)}' in parts, which is not supported")
    if fields[DTYPE] not in TYPES:
        return None
    stored, dtype = TYPES[fields[DTYPE]]
    start, size = fields[OFFSET], fields[SIZE]
    if math.prod(dims) * np.dtype(stored).itemsize != size:
        raise WireError(f"'{one_line(name)}' of shape {one_line(dims)} with {size} bytes")
    raw = data.part(name, fields[SHARD], start, size)
    with np.errstate(over="ignore"):  # a double becomes infinite, which `load_weights` refuses
        return np.frombuffer(raw, stored).astype(dtype, copy=False).reshape(dims)


class _Data:
    """The data files, each read once. All tensors together have at most their bytes."""

    def __init__(self, index, shards):
        self.index, self.shards = index, shards
        self.files = {}
        self.left = {}

    def part(self, name, shard, start, size):
        if shard >= self.shards:
            raise WireError(f"data file {shard} of {self.shards}")
        if shard not in self.files:
            self._read(shard)
        self.left[shard] -= size
        if start + size > len(self.files[shard]) or self.left[shard] < 0:
            raise WireError(f"'{one_line(name)}' beyond the end of its data file: cut off or damaged")
        return self.files[shard][start : start + size]

    def _read(self, shard):
        name = f"{self.index.name.removesuffix('.index')}.data-{shard:05}-of-{self.shards:05}"
        try:
            self.files[shard] = memoryview(read_bytes(self.index.with_name(name), MAX_FILE))
        except FileNotFoundError:
            raise WireError(f"no file {one_line(name)} beside it") from None
        self.left[shard] = len(self.files[shard])


def _text(key):
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise WireError("a name that is not text") from None
