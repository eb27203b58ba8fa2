"""Writes weight files in the formats of other projects, field by field, without those projects."""

import pickle
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


# ONNX: protobuf -----------------------------------------------------------------------------------------

ONNX_HEAD = integer(1, 8) + message(2, b"pytorch") + message(3, b"2.4.0")  # version, producer, its version
ONNX_TAIL = message(8, message(1, b"") + integer(2, 17))  # set of operators


def onnx_tensor(name, array):
    """An initializer, as torch's exporter writes it."""
    kind = {"f4": 1, "f2": 10, "f8": 11, "i8": 7, "i4": 6, "i1": 3}[array.dtype.str[1:]]
    dims = b"".join(integer(1, n) for n in array.shape)
    return dims + integer(2, kind) + message(8, name.encode()) + message(9, array.tobytes())


def onnx_model(*tensors):
    node = message(1, b"input") + message(2, b"output") + message(4, b"Identity")
    graph = message(1, node) + message(2, b"main_graph") + b"".join(message(5, t) for t in tensors)
    return ONNX_HEAD + message(7, graph) + ONNX_TAIL


def write_onnx(path, state):
    """Writes {name: array} as the initializers of a model."""
    path.write_bytes(onnx_model(*(onnx_tensor(name, array) for name, array in state.items())))
    return path


# TensorFlow: a frozen graph, protobuf --------------------------------------------------------------------


def graph_tensor(array):
    """A TensorProto, as `tf.make_tensor_proto` writes it."""
    kind = {"f4": 1, "f8": 2, "f2": 19, "i4": 3, "i8": 9}[array.dtype.str[1:]]
    shape = b"".join(message(2, integer(1, n)) for n in array.shape)
    return integer(1, kind) + message(2, shape) + message(4, array.tobytes())


def graph_node(name, operation, *inputs, **attributes):
    entries = (message(5, message(1, k.encode()) + message(2, v)) for k, v in attributes.items())
    head = message(1, name.encode()) + message(2, operation.encode())
    return message(1, head + b"".join(message(3, i.encode()) for i in inputs) + b"".join(entries))


def frozen_graph(state):
    """{name: array, or the bytes of a TensorProto} as constants, each with the node that reads it."""
    nodes = [graph_node("image_tensor", "Placeholder", dtype=integer(6, 4))]
    for name, tensor in state.items():
        tensor = tensor if isinstance(tensor, bytes) else graph_tensor(tensor)
        nodes.append(graph_node(name, "Const", dtype=integer(6, 1), value=message(8, tensor)))
        nodes.append(graph_node(f"{name}/read", "Identity", name, T=integer(6, 1)))
    return b"".join(nodes) + message(4, integer(1, 26))  # versions


# TensorFlow: a checkpoint, a table of LevelDB and a file of numbers -------------------------------------


def _block(entries):
    """A block: each key shares what it can with the one before it, except at the restart points."""
    data, restarts, last = b"", [], b""
    for i, (key, value) in enumerate(entries):
        shared = 0
        if i % 16 == 0:
            restarts.append(len(data))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        data += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return data + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def table(entries, per_block=20):
    """A table of sorted (key, value), in several blocks."""
    data, handles = b"", []
    for i in range(0, len(entries), per_block):
        part = entries[i : i + per_block]
        block = _block(part)
        handles.append((part[-1][0], varint(len(data)) + varint(len(block))))
        data += block + bytes(5)  # not compressed; a checksum, which readers may leave alone
    blocks = [_block([]), _block(handles)]
    footer = b""
    for block in blocks:
        footer += varint(len(data)) + varint(len(block))
        data += block + bytes(5)
    return data + footer.ljust(40, b"\0") + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


def bundle_entry(array, offset, shape=None, **fields):
    kind = {"f4": 1, "f8": 2, "f2": 19, "i4": 3, "i8": 9}[array.dtype.str[1:]]
    dims = b"".join(message(2, integer(1, n)) for n in (array.shape if shape is None else shape))
    entry = integer(1, fields.get("kind", kind)) + message(2, dims)
    entry += b"".join(integer(number, value) for number, value in ((3, fields.get("shard", 0)), (4, offset)))
    return entry + integer(5, fields.get("size", array.nbytes)) + varint(6 << 3 | 5) + bytes(4)


def write_checkpoint(prefix, state, **fields):
    """Writes {name: array} as TensorFlow does; returns the path of the index."""
    entries, data = [(b"", integer(1, 1) + message(3, integer(1, 1)))], b""
    for name, array in sorted(state.items()):
        entries.append((name.encode(), bundle_entry(array, len(data), **fields)))
        data += array.tobytes()
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    path = prefix.with_name(f"{prefix.name}.index")
    path.write_bytes(table(entries))
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


LEGACY_HEADER = (
    0x1950A86A20F9469CFC6C,
    1001,
    {"protocol_version": 1001, "little_endian": True, "type_sizes": {}},
)


def torch_legacy(path, content, keys=("0",), data=None, count=24):
    head = b"".join(pickle.dumps(x, 2) for x in LEGACY_HEADER)
    raw = np.arange(24, dtype=np.float32).tobytes() if data is None else data
    # A reference has a sixth entry there: None, or a view of the storage.
    content = content.replace(b"tQ", b"NtQ")
    tail = pickle.dumps(list(keys), 2) + struct.pack("<q", count) + raw
    path.write_bytes(head + b"\x80\x02" + content + b"." + tail)
    return path


# TensorFlow Lite: FlatBuffers, written back to front as they are read front to back --------------------


class _FlatBuffer:
    """Appends parts and patches the distances to them afterwards."""

    def __init__(self):
        self.data = bytearray(b"\x00\x00\x00\x00TFL3")

    def reserve(self, content):
        self.data += bytes(-len(self.data) % 8)
        position = len(self.data)
        self.data += content
        return position

    def point(self, position, target):
        self.data[position : position + 4] = struct.pack("<I", target - position)

    def table(self, *fields):
        """fields: None, bytes (a number), or a function that makes the part pointed to."""
        sizes = [0 if f is None else 4 for f in fields]
        places = [4 + sum(sizes[:i]) if size else 0 for i, size in enumerate(sizes)]
        vtable = struct.pack(f"<HH{len(fields)}H", 4 + 2 * len(fields), 4 + sum(sizes), *places)
        start = self.reserve(vtable)
        body = self.reserve(b"\x00" * (4 + sum(sizes)))
        self.data[body : body + 4] = struct.pack("<i", body - start)
        for field, place in zip(fields, places, strict=True):
            if isinstance(field, bytes):
                self.data[body + place : body + place + len(field)] = field
            elif field is not None:
                self.point(body + place, field())
        return body

    def vector(self, content, item=1):
        return self.reserve(struct.pack("<I", len(content) // item) + content)

    def tables(self, makers):
        start = self.reserve(struct.pack("<I", len(makers)) + bytes(4 * len(makers)))
        for i, maker in enumerate(makers):
            self.point(start + 4 + 4 * i, maker())
        return start


def tflite(shape=(2, 3), kind=0, data=None, scales=None, zero_points=None, axis=0, version=3, **extra):
    w, names = _FlatBuffer(), iter(extra.get("names", [extra.get("name", b"kernel")] * extra.get("count", 1)))
    data = np.arange(6, dtype=np.float32).tobytes() if data is None else data

    def quantization():
        return w.table(
            None,
            None,
            lambda: w.vector(np.asarray(scales, "<f4").tobytes(), 4),
            None if zero_points is None else lambda: w.vector(np.asarray(zero_points, "<i8").tobytes(), 8),
            extra.get("details"),
            None,
            struct.pack("<i", axis),
        )

    def tensor():
        return w.table(
            lambda: w.vector(np.asarray(shape, "<i4").tobytes(), 4),
            bytes([kind]),
            struct.pack("<I", extra.get("buffer", 1)),
            lambda: w.vector(next(names)),
            None if scales is None else quantization,
            None,
            extra.get("sparsity"),
        )

    def graph():
        return w.table(lambda: w.tables([tensor] * extra.get("count", 1)))

    def buffers():
        return w.tables([lambda: w.table(), lambda: w.table(lambda: w.vector(data))])

    root = w.table(
        struct.pack("<I", version), None, lambda: w.tables([graph] * extra.get("graphs", 1)), None, buffers
    )
    w.point(0, root)
    return bytes(w.data)
