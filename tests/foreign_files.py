"""Writes weight files in the formats of other projects, field by field, without those projects."""

import struct
import zipfile

import h5py
import numpy as np

# Caffe: protobuf ----------------------------------------------------------------------------------------


def varint(value):
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def message(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def integer(number, value):
    return varint(number << 3) + varint(value)


def write_caffemodel(path, layers):
    """Writes {layer: [blob, ...]} in the current form of a Caffe network."""
    with path.open("wb") as file:
        for name, blobs in layers.items():
            fields = message(1, name.encode()) + message(2, b"Convolution")
            for blob in blobs:
                shape = message(1, b"".join(map(varint, blob.shape)))
                fields += message(7, message(7, shape) + message(5, blob.astype("<f4").tobytes()))
            file.write(message(100, fields))
    return path


# Keras 2: HDF5 with names in attributes -----------------------------------------------------------------


def keras2(path, layers, inside=None, encode=str.encode, chunks=None, **options):
    """Writes {layer: {weight name: array}} as Keras 2 does, at the root or in a group."""
    with h5py.File(path, "w") as file:
        root = file.create_group(inside) if inside else file
        _attribute(root, "layer_names", [encode(name) for name in layers], chunks)
        for name, arrays in layers.items():
            group = root.create_group(name)
            _attribute(group, "weight_names", [encode(weight) for weight in arrays], chunks)
            for weight, array in arrays.items():
                group.create_dataset(weight, data=array, **options)
    return path


def _attribute(group, name, values, chunks):
    if chunks is None:
        group.attrs[name] = values
        return
    for i in range(0, max(len(values), 1), chunks):
        group.attrs[f"{name}{i // chunks}"] = values[i : i + chunks]


# torch: a pickle program and the numbers, in a ZIP archive ----------------------------------------------


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(storage="FloatStorage", count=24, offset=0, size=(4, 6), stride=(6, 1), key="0"):
    identity = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu")
    identity += number(count) + b"tQ"
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + identity
        + number(offset)
        + numbers(size)
        + numbers(stride)
        + hooks
        + b"tR"
    )


def state_dict(**entries):
    items = b"".join(text(name) + value for name, value in entries.items())
    return b"ccollections\nOrderedDict\n)R(" + items + b"u}" + text("_metadata") + b"}sb"


def write_pth(path, state):
    """Writes {name: float32 array} as torch saves a state_dict."""
    keys = {name: str(i) for i, name in enumerate(state)}
    entries = {}
    for name, array in state.items():
        stride = [int(np.prod(array.shape[i + 1 :])) for i in range(array.ndim)]
        entries[name] = tensor(count=array.size, size=array.shape, stride=stride, key=keys[name])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + state_dict(**entries) + b".")
        archive.writestr("archive/byteorder", b"little")
        for name, array in state.items():
            archive.writestr(f"archive/data/{keys[name]}", array.astype("<f4").tobytes())
    return path
