"""Damaged weight files of other projects, read as arrays, and the archives in which they are published."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
from foreign_files import (
    bundle_entry,
    frozen_graph,
    integer,
    message,
    number,
    numbers,
    onnx_model,
    onnx_tensor,
    state_dict,
    table,
    tensor,
    tflite,
    torch_legacy,
    varint,
    write_caffemodel,
    write_checkpoint,
    write_pth,
)

from multibox.weights.archive import extract_member
from multibox.weights.formats.caffe import read_caffe
from multibox.weights.formats.onnx_file import read_onnx
from multibox.weights.formats.tensorflow_checkpoint import read_checkpoint
from multibox.weights.formats.tensorflow_graph import read_tensorflow_graph
from multibox.weights.formats.tflite import read_tflite
from multibox.weights.formats.torch_file import read_torch

from .case import Case, Either, Refused, Result, Target
from .damage import WRONG_FILES
from .weight_files import in_any_format, put

TORCH = Target("weights torch", lambda folder: _listed(read_torch(folder / "w.pth")), "w.pth")
LEGACY = Target("weights torch, older", lambda folder: _listed(read_torch(folder / "w.pt")), "w.pt")
CAFFE = Target(
    "weights Caffe",
    lambda folder: {n: _listed(dict(enumerate(b))) for n, b in read_caffe(folder / "w.caffemodel").items()},
    "w.caffemodel",
)
TFLITE = Target(
    "weights TensorFlow Lite",
    lambda folder: {n: t.values().tolist() for n, t in read_tflite(folder / "w.tflite").items()},
    "w.tflite",
)
ONNX = Target("weights ONNX", lambda folder: _listed(read_onnx(folder / "w.onnx")), "w.onnx")
GRAPH = Target(
    "weights TensorFlow graph", lambda folder: _listed(read_tensorflow_graph(folder / "w.pb")), "w.pb"
)
CHECKPOINT = Target(
    "weights TensorFlow checkpoint", lambda folder: _listed(read_checkpoint(folder / "w.index")), "w.index"
)
MEMBER = Target(
    "archive of weights",
    lambda folder: extract_member(folder / "a.zip", "w.tflite", 1000).read_bytes(),
    "a.zip",
)


def _listed(arrays):
    return {name: array.tolist() for name, array in arrays.items()}


def cases() -> Iterator[Case]:
    yield from _torch()
    yield from _caffe()
    yield from _tflite()
    yield from _onnx()
    yield from _graph()
    yield from _checkpoint()
    yield from _members()
    for target, content in (
        (TORCH, torch_content),
        (LEGACY, legacy_content),
        (CAFFE, caffe_content),
        (TFLITE, tflite),
        (ONNX, onnx_content),
        (GRAPH, graph_content),
    ):
        yield from in_any_format(target, partial(put, target.file, content))


STATE = {"a.weight": np.arange(24, dtype=np.float32).reshape(4, 6), "a.bias": np.arange(4, dtype=np.float32)}


def _written(write):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "x")
        return (Path(folder) / "x").read_bytes()


@cache
def torch_content():
    return _written(lambda path: write_pth(path, STATE))


@cache
def legacy_content():
    return _written(lambda path: torch_legacy(path, state_dict(w=tensor())))


def _torch_zip(program, data=bytes(96), **members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", members.get("byteorder", b"little"))
        if data is not None:
            archive.writestr("archive/data/0", data)
    return out.getvalue()


PROGRAMS = {
    "empty": b"",
    "no dictionary": b"\x80\x02K\x07.",
    "a list": b"\x80\x02].",
    "nothing": b"\x80\x02N.",
    "an empty dictionary": b"\x80\x02}.",
    "the system": b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.",
    "eval": b"\x80\x02cbuiltins\neval\n(X\x01\x00\x00\x001tR.",
    "a pop of nothing": b"\x80\x020.",
    "a mark without end": b"\x80\x02(((((",
    "an unknown operation": b"\x80\x02\xfe.",
    "a text beyond the end": b"\x80\x02X\xff\xff\xff\x7fabc.",
    "a number of a gigabyte": b"\x80\x02\x8b\xff\xff\xff\x3f.",
    "a memo beyond": b"\x80\x02j\xff\xff\xff\xff.",
    "100000 lists": b"\x80\x02" + b"]" * 100_000 + b".",
    "100000 tuples": b"\x80\x02" + b")" + b"\x85" * 100_000 + b".",
    "a dictionary in itself": b"\x80\x02}q\x00h\x00h\x00s.",
    "no stop": b"\x80\x02" + state_dict(w=tensor()),
    "protocol 99": b"\x80\x63" + state_dict(w=tensor()) + b".",
    "a reduce of a text": b"\x80\x02X\x01\x00\x00\x00a)R.",
}
TENSORS = {
    "an unknown storage": {"storage": "StringStorage"},
    "a storage of too few": {"count": 3},
    "a storage of too many": {"count": 10**6},
    "a storage of negative numbers": {"count": -1},
    "an offset beyond the end": {"offset": 10**6},
    "a negative offset": {"offset": -1},
    "a size beyond the end": {"size": (400, 600)},
    "a negative size": {"size": (-4, 6)},
    "a stride beyond the end": {"stride": (10**6, 1)},
    "a negative stride": {"stride": (-6, 1)},
    "a stride too few": {"stride": (6,)},
    "a huge view of one number": {"size": (2**15, 2**15), "stride": (0, 0)},
    "33 dimensions": {"size": (1,) * 33, "stride": (1,) * 33},
    "a key that is not there": {"key": "7"},
    "a key upwards": {"key": "../../x"},
}


def _torch():
    yield Case(TORCH, "sound", partial(put, "w.pth", torch_content), Result(_listed(STATE)))
    sound = {"w": np.zeros((4, 6), np.float32).tolist()}
    program = b"\x80\x02" + state_dict(w=tensor()) + b"."
    yield Case(TORCH, "sound program", partial(put, "w.pth", _torch_zip(program)), Result(sound))
    for kind, pickled in PROGRAMS.items():
        yield Case(TORCH, f"program {kind}", partial(put, "w.pth", _torch_zip(pickled)), Refused())
    for kind, changes in TENSORS.items():
        pickled = b"\x80\x02" + state_dict(w=tensor(**changes)) + b"."
        yield Case(TORCH, f"tensor with {kind}", partial(put, "w.pth", _torch_zip(pickled)), Refused())
        if "storage of" not in kind:
            legacy = partial(_legacy, state_dict(w=tensor(**changes)))
            yield Case(LEGACY, f"tensor with {kind}", legacy, Refused())
    for kind, data in {"missing": None, "empty": b"", "too short": bytes(95), "too long": bytes(97)}.items():
        yield Case(TORCH, f"data {kind}", partial(put, "w.pth", _torch_zip(program, data)), Refused())
    big = _torch_zip(program, byteorder=b"big")
    yield Case(TORCH, "big-endian", partial(put, "w.pth", big), Refused(("big-endian",)))
    yield Case(
        TORCH,
        "of an unknown byte order",
        partial(put, "w.pth", _torch_zip(program, byteorder=b"x")),
        Refused(),
    )
    for kind, items in {"a number as tensor": number(7), "a tuple as tensor": numbers((1, 2))}.items():
        pickled = b"\x80\x02" + state_dict(w=tensor(), other=items) + b"."
        yield Case(TORCH, kind, partial(put, "w.pth", _torch_zip(pickled)), Result(sound))


def _legacy(content, folder):
    torch_legacy(folder / "w.pt", content)


BLOBS = {"conv": [np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), np.arange(2, dtype=np.float32)]}


@cache
def caffe_content():
    return _written(lambda path: write_caffemodel(path, BLOBS))


def _caffe():
    sound = {n: _listed(dict(enumerate(blobs))) for n, blobs in BLOBS.items()}
    yield Case(CAFFE, "sound", partial(put, "w.caffemodel", caffe_content), Result(sound))

    def layer(blob, name=b"conv"):
        return message(100, message(1, name) + message(2, b"Convolution") + message(7, blob))

    data = np.arange(4, dtype="<f4").tobytes()
    shape = message(7, message(1, b"\x02\x02\x01\x01"))
    for kind, content in {
        "no blobs": message(100, message(1, b"conv")),
        "a blob without data": layer(shape),
        "a blob without shape": layer(message(5, data)),
        "data too short": layer(shape + message(5, data[:-4])),
        "data too long": layer(shape + message(5, data + data)),
        "data of five bytes": layer(shape + message(5, b"12345")),
        "a dimension of 2**40": layer(message(7, message(1, varint(2**40))) + message(5, data)),
        "a dimension of 2**63": layer(message(7, message(1, varint(2**63))) + message(5, data)),
        "40 dimensions": layer(message(7, message(1, b"\x01" * 40)) + message(5, data)),
        "data as a number": layer(shape + integer(5, 7)),
        "shape as a number": layer(integer(7, 7) + message(5, data)),
        "a layer as a number": integer(100, 7),
        "a field beyond the end": message(100, b"abc")[:-1] + b"\xff",
        "two layers with one name": layer(shape + message(5, data)) * 2,
        "an unknown field": layer(shape + message(5, data)) + message(77, b"abc"),
        "wire type 3": b"\x0b" + layer(shape + message(5, data)),
        "a varint of eleven bytes": b"\xff" * 11,
        "a name not UTF-8": layer(message(5, b"1"), name=b"\xff\xfe"),
    }.items():
        yield Case(CAFFE, kind, partial(put, "w.caffemodel", content), Refused())


def _tflite():
    sound = {"kernel": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]}
    yield Case(TFLITE, "sound", partial(put, "w.tflite", tflite), Result(sound))
    for kind, changes in {
        "a shape too large": {"shape": (200, 300)},
        "a shape too small": {"shape": (2, 2)},
        "a shape of 2**31": {"shape": (2**31 - 1, 2**31 - 1)},
        "a negative shape": {"shape": (-2, 3)},
        "an unknown type": {"kind": 77},
        "two scales for three": {
            "kind": 3,
            "data": bytes(6),
            "scales": [1, 2],
            "zero_points": [0, 0],
            "axis": 1,
        },
        "an axis beyond": {"kind": 3, "data": bytes(6), "scales": [1, 2], "zero_points": [0, 0], "axis": 9},
        "zero points missing": {"kind": 3, "data": bytes(6), "scales": [1, 2], "zero_points": [0], "axis": 0},
        "version 9": {"version": 9},
        "no graph": {"graphs": 0},
        "a buffer that is not there": {"buffer": 77},
        "a tensor twice": {"count": 2},
        "data of five bytes": {"data": b"12345"},
    }.items():
        yield Case(TFLITE, kind, partial(put, "w.tflite", partial(tflite, **changes)), Refused())
    content = tflite()
    for place in range(0, len(content) - 4, 4):
        changed = content[:place] + b"\xff\xff\xff\x7f" + content[place + 4 :]
        if content[place : place + 4].strip(b"\0") and not _is_free(content, place):
            # Some numbers are not read.
            expected = Either((Refused(), Result(sound)))
            yield Case(TFLITE, f"2**31 - 1 at byte {place}", partial(put, "w.tflite", changed), expected)


@cache
def onnx_content():
    return onnx_model(*(onnx_tensor(name, array) for name, array in STATE.items()))


def _onnx():
    yield Case(ONNX, "sound", partial(put, "w.onnx", onnx_content), Result(_listed(STATE)))
    named = message(8, b"w") + integer(2, 1)
    data = message(9, bytes(24))
    for kind, one in {
        "a shape too large": named + integer(1, 7) + data,
        "a shape too small": named + integer(1, 5) + data,
        "a dimension of 2**63": named + integer(1, 2**63) + data,
        "two dimensions of 2**40": named + integer(1, 2**40) * 2 + data,
        "negative dimensions": named + integer(1, 2**64 - 2) + integer(1, 2**64 - 3) + data,
        "40 dimensions": named + integer(1, 1) * 40 + data,
        "a shape as a fixed number": named + varint(1 << 3 | 5) + bytes(4) + data,
        "data of five bytes": named + integer(1, 1) + message(9, b"12345"),
        "data as a number": named + integer(1, 1) + integer(9, 7),
        "numbers of five bytes": named + integer(1, 1) + message(4, b"12345"),
        "no data": named + integer(1, 6),
        "an unknown type": message(8, b"w") + integer(2, 77) + integer(1, 6) + data,
        "a name not UTF-8": message(8, b"\xff\xfe") + integer(2, 1) + integer(1, 6) + data,
        "data in another file": named + integer(1, 6) + message(13, b"") + integer(14, 1),
    }.items():
        yield Case(ONNX, kind, partial(put, "w.onnx", onnx_model(one)), Refused())
    for kind, content in {
        "no initializers": onnx_model(),
        "a tensor twice": onnx_model(*[onnx_tensor("w", STATE["a.bias"])] * 2),
        "an unknown field": onnx_content() + message(77, b"abc"),
        "a graph as a number": integer(1, 8) + integer(7, 7),
    }.items():
        yield Case(ONNX, kind, partial(put, "w.onnx", content), Refused())


@cache
def graph_content():
    return frozen_graph(STATE)


def _graph():
    yield Case(GRAPH, "sound", partial(put, "w.pb", graph_content), Result(_listed(STATE)))

    def shape(*dims):
        return message(2, b"".join(message(2, integer(1, n)) for n in dims))

    floats, data = integer(1, 1), message(4, bytes(24))
    for kind, one in {
        "a shape too large": floats + shape(7) + data,
        "a shape too small": floats + shape(5) + data,
        "a dimension of 2**63": floats + shape(2**63) + data,
        "a dimension of -1": floats + shape(2**64 - 1) + data,
        "one number for 2**30": floats + shape(2**30) + message(5, bytes(4)),
        "one number for 2**60": floats + shape(2**30, 2**30) + message(5, bytes(4)),
        "40 dimensions": floats + shape(*[1] * 40) + message(4, bytes(4)),
        "a dimension as text": floats + message(2, message(2, message(1, b"2"))) + data,
        "data of five bytes": floats + shape(1) + message(4, b"12345"),
        "data as a number": floats + shape(1) + integer(4, 7),
        "numbers of five bytes": floats + shape(1) + message(5, b"12345"),
        "no data": floats + shape(6),
        "a type as text": message(1, b"1") + shape(6) + data,
    }.items():
        content = frozen_graph({"w": one, "kernel": STATE["a.weight"]})
        yield Case(GRAPH, kind, partial(put, "w.pb", content), Refused())
    for kind, content in {
        "no constants": frozen_graph({}),
        "only text": frozen_graph({"w": integer(1, 7) + shape(1) + message(8, b"text")}),
        "a constant twice": graph_content() * 2,
        "an unknown field": graph_content() + message(77, b"abc"),
        "a name not UTF-8": message(1, message(1, b"\xff\xfe") + message(2, b"Const")),
        "a node as a number": graph_content() + integer(1, 7),
        "a tensor as a number": graph_content()
        + message(1, message(2, b"Const") + message(5, message(1, b"value") + message(2, integer(8, 1)))),
    }.items():
        yield Case(GRAPH, kind, partial(put, "w.pb", content), Refused())


def _write_checkpoint(folder, **fields):
    write_checkpoint(folder / "w", STATE, **fields)


def _write_index(folder, entries):
    _write_checkpoint(folder)
    (folder / "w.index").write_bytes(table(entries))


def _checkpoint():
    yield Case(CHECKPOINT, "sound", _write_checkpoint, Result(_listed(dict(sorted(STATE.items())))))
    for kind, fields in {
        "a shape too large": {"shape": (5,)},
        "a dimension of 2**63": {"shape": (2**63,)},
        "40 dimensions": {"shape": (1,) * 40},
        "another data file": {"shard": 7},
        "a size of 2**63": {"size": 2**63},
        "an unknown type": {"kind": 77},
    }.items():
        yield Case(CHECKPOINT, kind, partial(_write_checkpoint, **fields), Refused())
    bias = STATE["a.bias"]
    head, entry = (b"", integer(1, 1)), bundle_entry(bias, 0)
    for kind, entries in {
        "no variables": [head],
        "no header": [(b"w", entry)],
        "a hundred variables of one place": [head, *((b"w%03d" % i, entry) for i in range(100))],
        "an offset of 2**62": [head, (b"w", bundle_entry(bias, 2**62))],
        "a variable in parts": [head, (b"w", entry + message(7, b""))],
        "a name not UTF-8": [head, (b"\xff", entry)],
        "no protobuf": [head, (b"w", b"\xff" * 20)],
        "big-endian": [(b"", integer(1, 1) + integer(2, 1)), (b"w", entry)],
    }.items():
        yield Case(CHECKPOINT, kind, partial(_write_index, entries=entries), Refused())
    yield from in_any_format(CHECKPOINT, _write_checkpoint)


def _is_free(content, place):
    """Whether numbers or the name stand there, which may be anything."""
    values, name = content.index(np.arange(1, 6, dtype="<f4").tobytes()), content.index(b"kernel")
    return values - 4 <= place < values + 20 or name - 4 < place < name + 6


def _members():
    def archive(**members):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in members.items():
                zipped.writestr(name, content)
        return out.getvalue()

    sound = archive(**{"w.tflite": b"abc", "../x": b"x"})
    yield Case(MEMBER, "sound", partial(put, "a.zip", sound), Result(b"abc"))
    crc = sound.replace(struct.pack("<I", zlib.crc32(b"abc")), b"\0\0\0\0")
    encrypted = bytearray(sound)
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    for kind, content in {
        "member missing": archive(**{"x.tflite": b"abc"}),
        "member too large": archive(**{"w.tflite": bytes(2000)}),
        "a bomb": archive(**{"w.tflite": bytes(10**8)}),
        "a wrong checksum": crc,
        "encrypted": bytes(encrypted),
        **{f"cut to {n} bytes": sound[:n] for n in range(10, len(sound), 12)},
        **WRONG_FILES,
    }.items():
        yield Case(MEMBER, kind, partial(put, "a.zip", content), Refused())
