"""Damaged weight files: of Keras into a model, and of other projects as arrays."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache, partial

import h5py
import numpy as np
from foreign_files import (
    integer,
    keras2,
    message,
    number,
    numbers,
    state_dict,
    tensor,
    tflite,
    torch_legacy,
    varint,
    write_caffemodel,
    write_pth,
)

import multibox as mb
from multibox.weights.archive import extract_member
from multibox.weights.formats.caffe import read_caffe
from multibox.weights.formats.tflite import read_tflite
from multibox.weights.formats.torch_file import read_torch

from .case import Case, Either, Refused, Result, Target
from .damage import WRONG_FILES
from .special import special_files


@cache
def model():
    """A small model; `sound_arrays` are its sound weights."""
    return mb.SSD7(2, image_size=(64, 64))


@cache
def sound_arrays() -> dict[str, list[np.ndarray]]:
    arrays = {}
    for place, layer in enumerate(layer for layer in model().layers if layer.weights):
        shapes = [tuple(weight.shape) for weight in layer.weights]
        arrays[layer.name] = [np.full(s, place + i / 8, np.float32) for i, s in enumerate(shapes)]
    return arrays


def load(name, folder):
    """ "sound" if all weights of the model are the sound ones afterwards, None if they are as before."""
    for layer in model().layers:
        layer.set_weights([np.full(weight.shape, -1, np.float32) for weight in layer.weights])
    try:
        mb.load_weights(model(), folder / name)
    finally:
        changed = {n: model().get_layer(n).get_weights() for n in sound_arrays()}
        untouched = all((array == -1).all() for arrays in changed.values() for array in arrays)
    if all(
        np.array_equal(a, b)
        for n, arrays in changed.items()
        for a, b in zip(arrays, sound_arrays()[n], strict=True)
    ):
        return "sound"
    return None if untouched else "other weights"


SOUND = Result("sound")
KERAS3 = Target("weights Keras 3", partial(load, "w.weights.h5"), "w.weights.h5")
KERAS2 = Target("weights Keras 2", partial(load, "w.h5"), "w.h5")
ARCHIVE = Target("weights .keras", partial(load, "w.keras"), "w.keras")
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
MEMBER = Target(
    "archive of weights",
    lambda folder: extract_member(folder / "a.zip", "w.tflite", 1000).read_bytes(),
    "a.zip",
)


def _listed(arrays):
    return {name: array.tolist() for name, array in arrays.items()}


def cases() -> Iterator[Case]:
    yield from _keras3()
    yield from _keras2()
    yield from _archives()
    yield from _torch()
    yield from _caffe()
    yield from _tflite()
    yield from _members()
    for target, write in (
        (KERAS3, write_keras3),
        (KERAS2, write_keras2),
        (ARCHIVE, write_archive),
        (TORCH, partial(_put, "w.pth", torch_content)),
        (LEGACY, partial(_put, "w.pt", legacy_content)),
        (CAFFE, partial(_put, "w.caffemodel", caffe_content)),
        (TFLITE, partial(_put, "w.tflite", tflite)),
    ):
        for share in range(1, 20):
            yield Case(
                target, f"cut after {share * 5} %", partial(_cut, target.file, write, share), Refused()
            )
        for kind, content in WRONG_FILES.items():
            yield Case(target, f"file {kind}", partial(_bytes, target.file, content), Refused())
        yield from special_files(target, write, target.file)
        yield Case(target, "of numbers in text", partial(_bytes, target.file, b"1 2 3\n" * 99), Refused())


def _bytes(name, content, folder):
    (folder / name).write_bytes(content)


def _put(name, content, folder):
    (folder / name).write_bytes(content())


def _cut(name, write, share, folder):
    write(folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) * share // 20])


# Keras --------------------------------------------------------------------------------------------------


def write_keras3(folder, change=None):
    with h5py.File(folder / "w.weights.h5", "w") as file:
        for place, (name, arrays) in enumerate(sound_arrays().items()):
            group = file.create_group(f"layers/layer_{place}/vars")
            group.attrs["name"] = name
            for i, array in enumerate(arrays):
                group[str(i)] = array
        if change:
            change(file)


FIRST = "layers/layer_0/vars"


def replaced(path, value, **options):
    def change(file):
        old = file[path][()]
        del file[path]
        file.create_dataset(path, data=value(old) if callable(value) else value, **options)

    return change


def _keras3():
    def deleted(path):
        return lambda file: file.__delitem__(path)

    def attribute(value):
        def change(file):
            del file[FIRST].attrs["name"]
            if value is not None:
                file[FIRST].attrs["name"] = value

        return change

    def linked(path, link):
        def change(file):
            del file[path]
            file[path] = link

        return change

    def lists(file):
        del file[FIRST].attrs["name"]
        value = np.empty(1, object)
        value[0] = np.arange(3, dtype=np.int32)
        file[FIRST].attrs.create("name", value, dtype=h5py.vlen_dtype(np.int32))

    for kind, change in {
        "an array missing": deleted(f"{FIRST}/0"),
        "a layer missing": deleted("layers/layer_0"),
        "all layers missing": deleted("layers"),
        "name missing": attribute(None),
        "name a number": attribute(7),
        "name an array": attribute(np.arange(3)),
        "name a list": attribute(["a", "b"]),
        "name empty": attribute(h5py.Empty("f4")),
        "name of lists": lists,
        "name not UTF-8": attribute(b"\xff\xfe"),
        "name of another layer": attribute("conv2"),
        "name unknown": attribute("other"),
        "name an escape sequence": attribute("\x1b[31mconv1"),
        "an array of texts": replaced(f"{FIRST}/0", np.array([b"a"])),
        "an array of pairs": replaced(f"{FIRST}/0", np.zeros(3, [("a", "i4")])),
        "an array without shape": replaced(f"{FIRST}/0", h5py.Empty("f4")),
        "an array a number": replaced(f"{FIRST}/0", 7.0),
        "an array empty": replaced(f"{FIRST}/0", np.zeros(0, np.float32)),
        "an array of NaN": replaced(f"{FIRST}/0", lambda old: old * np.nan),
        "an array of infinity": replaced(f"{FIRST}/0", lambda old: old + np.inf),
        "one NaN": replaced(
            f"{FIRST}/0", lambda old: np.where(np.arange(old.size).reshape(old.shape) == 0, np.nan, old)
        ),
        "an array of double beyond float": replaced(f"{FIRST}/0", lambda old: np.full(old.shape, 1e300)),
        "an array of complex numbers": replaced(f"{FIRST}/0", lambda old: old.astype(np.complex64)),
        "an array transposed": replaced(f"{FIRST}/0", lambda old: old.T),
        "an array of another size": replaced(f"{FIRST}/0", lambda old: old[..., :-1]),
        "an array too many": lambda file: file.create_dataset(f"{FIRST}/7", data=np.zeros(3)),
        "an array a group": lambda file: (file.__delitem__(f"{FIRST}/0"), file.create_group(f"{FIRST}/0")),
        "an array a soft link": linked(f"{FIRST}/0", h5py.SoftLink(f"/{FIRST}/1")),
        "an array a link to itself": linked(f"{FIRST}/0", h5py.SoftLink(f"/{FIRST}/0")),
        "an array in another file": linked(f"{FIRST}/0", h5py.ExternalLink("/etc/passwd", "/")),
        "a group in another file": linked("layers/layer_0", h5py.ExternalLink("/etc/passwd", "/")),
        "a group a link to the root": linked("layers/layer_0", h5py.SoftLink("/")),
        "an array declared of 2**40": lambda file: (
            file.__delitem__(f"{FIRST}/0"),
            file.create_dataset(f"{FIRST}/0", (1 << 40,), "f4", chunks=(1 << 16,)),
        ),
        "an array declared of 2**28": lambda file: (
            file.__delitem__(f"{FIRST}/0"),
            file.create_dataset(f"{FIRST}/0", (1 << 28,), "f4", chunks=(1 << 28,), compression="gzip"),
        ),
        "a layer in itself": lambda file: file["layers/layer_0"].__setitem__("again", file["layers"]),
        "100 groups deep": lambda file: file.create_group("layers" + "/a" * 100),
    }.items():
        yield Case(KERAS3, kind, partial(write_keras3, change=change), Refused())
    for kind, change in {
        "sound": None,
        "arrays of double": replaced(f"{FIRST}/0", lambda old: old.astype(np.float64)),
        "arrays of half": replaced(f"{FIRST}/0", lambda old: old.astype(np.float16)),
        "arrays compressed": replaced(f"{FIRST}/0", lambda old: old, chunks=True, compression="gzip"),
        "big-endian": replaced(f"{FIRST}/0", lambda old: old.astype(">f4")),
        "an optimizer": lambda file: file.create_dataset("optimizer/vars/0", data=7),
        "other attributes": lambda file: file.attrs.__setitem__("x", np.arange(3)),
        "empty groups": lambda file: file.create_group("layers/none/vars"),
    }.items():
        yield Case(KERAS3, kind, partial(write_keras3, change=change), SOUND)


def write_keras2(folder, change=None):
    named = {n: {f"{n}/{i}:0": array for i, array in enumerate(a)} for n, a in sound_arrays().items()}
    keras2(folder / "w.h5", named)
    if change:
        with h5py.File(folder / "w.h5", "r+") as file:
            change(file)


def _keras2():
    def attribute(owner, name, value):
        def change(file):
            del file[owner].attrs[name]
            if value is not None:
                file[owner].attrs[name] = value

        return change

    for owner, name in (("/", "layer_names"), ("conv1", "weight_names")):
        for kind, value in {
            "missing": None,
            "a number": 7,
            "a text": "conv1",
            "numbers": np.arange(3),
            "two dimensions": np.array([[b"a", b"b"]]),
            "empty": h5py.Empty("f4"),
            "unknown": [b"nothing"],
            "not UTF-8": [b"\xff\xfe"],
            "twice": [b"conv1", b"conv1"],
            "a path upwards": [b"../conv1"],
        }.items():
            change = attribute(owner, name, value)
            yield Case(KERAS2, f"{name} {kind}", partial(write_keras2, change=change), Refused())
    yield Case(KERAS2, "sound", write_keras2, SOUND)


def write_archive(folder, members=None, method=zipfile.ZIP_STORED):
    write_keras3(folder)
    sound = {
        "metadata.json": b"{}",
        "config.json": b"{}",
        "model.weights.h5": (folder / "w.weights.h5").read_bytes(),
    }
    with zipfile.ZipFile(folder / "w.keras", "w", method) as archive:
        for name, content in (sound if members is None else members).items():
            archive.writestr(name, content)


def _archives():
    yield Case(ARCHIVE, "sound", write_archive, SOUND)
    # These weights are constant: they compress as only a bomb does.
    yield Case(
        ARCHIVE, "compressed a hundredfold", partial(write_archive, method=zipfile.ZIP_DEFLATED), Refused()
    )
    for kind, members in {
        "empty": {},
        "without weights": {"config.json": b"{}"},
        "weights empty": {"model.weights.h5": b""},
        "weights a text": {"model.weights.h5": b"abc" * 99},
        "weights in a folder": {"x/model.weights.h5": b"abc"},
        "weights with another name": {"Model.weights.h5": b"abc"},
    }.items():
        yield Case(ARCHIVE, kind, partial(write_archive, members=members), Refused())
    yield Case(ARCHIVE, "a member that declares 2**31 bytes", _declared_member, Refused())


def _declared_member(folder):
    write_archive(folder)
    content = bytearray((folder / "w.keras").read_bytes())
    place = content.rindex(b"PK\x01\x02")
    struct.pack_into("<II", content, place + 20, 1 << 31, 1 << 31)
    (folder / "w.keras").write_bytes(content)


# Others -------------------------------------------------------------------------------------------------

STATE = {"a.weight": np.arange(24, dtype=np.float32).reshape(4, 6), "a.bias": np.arange(4, dtype=np.float32)}


def _written(write):
    import tempfile
    from pathlib import Path

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
    yield Case(TORCH, "sound", partial(_put, "w.pth", torch_content), Result(_listed(STATE)))
    sound = {"w": np.zeros((4, 6), np.float32).tolist()}
    program = b"\x80\x02" + state_dict(w=tensor()) + b"."
    yield Case(TORCH, "sound program", partial(_bytes, "w.pth", _torch_zip(program)), Result(sound))
    for kind, pickled in PROGRAMS.items():
        yield Case(TORCH, f"program {kind}", partial(_bytes, "w.pth", _torch_zip(pickled)), Refused())
    for kind, changes in TENSORS.items():
        pickled = b"\x80\x02" + state_dict(w=tensor(**changes)) + b"."
        yield Case(TORCH, f"tensor with {kind}", partial(_bytes, "w.pth", _torch_zip(pickled)), Refused())
        if "storage of" not in kind:
            legacy = partial(_legacy, state_dict(w=tensor(**changes)))
            yield Case(LEGACY, f"tensor with {kind}", legacy, Refused())
    for kind, data in {"missing": None, "empty": b"", "too short": bytes(95), "too long": bytes(97)}.items():
        yield Case(TORCH, f"data {kind}", partial(_bytes, "w.pth", _torch_zip(program, data)), Refused())
    big = _torch_zip(program, byteorder=b"big")
    yield Case(TORCH, "big-endian", partial(_bytes, "w.pth", big), Refused(("big-endian",)))
    yield Case(
        TORCH,
        "of an unknown byte order",
        partial(_bytes, "w.pth", _torch_zip(program, byteorder=b"x")),
        Refused(),
    )
    for kind, items in {"a number as tensor": number(7), "a tuple as tensor": numbers((1, 2))}.items():
        pickled = b"\x80\x02" + state_dict(w=tensor(), other=items) + b"."
        yield Case(TORCH, kind, partial(_bytes, "w.pth", _torch_zip(pickled)), Result(sound))


def _legacy(content, folder):
    torch_legacy(folder / "w.pt", content)


BLOBS = {"conv": [np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), np.arange(2, dtype=np.float32)]}


@cache
def caffe_content():
    return _written(lambda path: write_caffemodel(path, BLOBS))


def _caffe():
    sound = {n: _listed(dict(enumerate(blobs))) for n, blobs in BLOBS.items()}
    yield Case(CAFFE, "sound", partial(_put, "w.caffemodel", caffe_content), Result(sound))

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
        yield Case(CAFFE, kind, partial(_bytes, "w.caffemodel", content), Refused())


def _tflite():
    sound = {"kernel": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]}
    yield Case(TFLITE, "sound", partial(_put, "w.tflite", tflite), Result(sound))
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
        yield Case(TFLITE, kind, partial(_put, "w.tflite", partial(tflite, **changes)), Refused())
    content = tflite()
    for place in range(0, len(content) - 4, 4):
        changed = content[:place] + b"\xff\xff\xff\x7f" + content[place + 4 :]
        if content[place : place + 4].strip(b"\0") and not _is_free(content, place):
            # Some numbers are not read.
            expected = Either((Refused(), Result(sound)))
            yield Case(TFLITE, f"2**31 - 1 at byte {place}", partial(_bytes, "w.tflite", changed), expected)


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
    yield Case(MEMBER, "sound", partial(_bytes, "a.zip", sound), Result(b"abc"))
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
        yield Case(MEMBER, kind, partial(_bytes, "a.zip", content), Refused())
