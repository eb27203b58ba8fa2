"""Damaged weight files of Keras, read into a model."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from functools import cache, partial

import h5py
import numpy as np
from foreign_files import keras2

import multibox as mb

from .case import Case, Refused, Result, Target
from .weight_files import in_any_format


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


def cases() -> Iterator[Case]:
    yield from _keras3()
    yield from _keras2()
    yield from _archives()
    for target, write in ((KERAS3, write_keras3), (KERAS2, write_keras2), (ARCHIVE, write_archive)):
        yield from in_any_format(target, write)


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
