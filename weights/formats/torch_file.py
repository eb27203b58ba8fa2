"""Reads the `state_dict` of torch's `.pth` and `.pt` files, without torch and without running code.

Both formats of `torch.save` are read: the zip archive (torch 1.6 and later) and the older sequence of
pickles.
"""

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...files import check_regular, read_bytes
from ...messages import one_line
from .limits import MAX_FILE
from .plain_pickle import Global, PickleError, integers, read_plain_pickle

STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
MAX_PICKLE = 64 << 20
MAX_DIMENSIONS = 32
MAX_COUNT = 1 << 60  # numbers in a tensor: with eight bytes each, the size still fits into 64 bits
WRAPPERS = ("state_dict", "model_state_dict", "model", "ema")
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
    *(OSError, EOFError, ValueError, KeyError, OverflowError),
)


class Storage(NamedTuple):
    """A block of numbers in the file."""

    dtype: str
    key: str
    count: int


class Tensor(NamedTuple):
    """A view of a storage."""

    storage: Storage
    offset: int
    size: tuple
    stride: tuple


def read_torch(path):
    """Reads the tensors of a file that `torch.save` wrote from a `state_dict`.

    In a checkpoint, the `state_dict` is found under "state_dict", "model_state_dict", "model" or "ema". The
    prefix "module." of torch's DataParallel is removed.

    Args:
        path: path of the file.

    Returns:
        {name: array} in the order of the file. All floating point types become float32, all integers int64.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is cut off, damaged or larger than 4 GiB, contains anything but tensors and
            plain containers, or has no tensors.
    """
    check_regular(path)
    with Path(path).open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    # In memory, reading past the end is harmless: a damaged file may ask for any size.
    legacy = None if zipped else io.BytesIO(read_bytes(path, MAX_FILE))
    try:
        return _read_zip(path) if zipped else _read_legacy(legacy)
    except PickleError as error:
        fault = str(error)
    except DAMAGE as error:
        kind = "zip archive" if zipped else "file in torch's older format"
        fault = f"a damaged {kind}: {one_line(error, 200)}"
    raise ValueError(f"{path}: expected a torch file with a state_dict, found {fault}")


def _read_zip(path):
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
        total, size = sum(info.compress_size for info in members.values()), Path(path).stat().st_size
        if total > size:
            raise PickleError(f"members of {total} bytes in a zip archive of {size}: they overlap")
        names = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
        if len(names) != 1:
            raise PickleError(f"{len(names)} members data.pkl in the zip archive instead of one")
        folder = names[0].removesuffix("data.pkl")

        def member(name, limit):
            return _member(archive, members, folder + name, limit)

        if f"{folder}byteorder" in members and member("byteorder", 16) != b"little":
            raise PickleError("big-endian numbers; save the file on a little-endian machine")
        content = _unpickle(member("data.pkl", MAX_PICKLE))

        def numbers(storage):
            return member(f"data/{storage.key}", _bytes(storage))

        return _state_dict(content, numbers)


def _member(archive, members, name, limit):
    """The bytes of a member. torch does not compress members, so none can be larger than the file."""
    if name not in members:
        raise PickleError(f"no member {one_line(name)} in the zip archive")
    info = members[name]
    if info.compress_type != zipfile.ZIP_STORED:
        raise PickleError(f"the member {one_line(name)} compressed, which torch.save does not do")
    if not info.file_size == info.compress_size <= limit:
        raise PickleError(f"the member {one_line(name)} of {info.file_size} bytes instead of at most {limit}")
    return archive.read(info)


def _read_legacy(file):
    """Reads five pickles (magic number, version, machine, content, storage keys), then the numbers."""
    if read_plain_pickle(file, {}, _no_storage) != LEGACY_MAGIC:
        raise PickleError("another file: neither a zip archive nor torch's older format")
    if read_plain_pickle(file, {}, _no_storage) != LEGACY_PROTOCOL:
        raise PickleError("an unknown version of torch's older format")
    machine = read_plain_pickle(file, {}, _no_storage)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise PickleError("big-endian numbers; save the file on a little-endian machine")
    storages = {}
    content = _unpickle(file, storages)
    keys = read_plain_pickle(file, {}, _no_storage)
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in storages for key in keys):
        raise PickleError("a damaged list of storages")
    raw = {}
    for key in keys:
        size = _bytes(storages[key])
        count = int.from_bytes(file.read(8), "little")
        if count != storages[key].count:
            raise PickleError(f"storage {one_line(key)} of {count} numbers instead of {storages[key].count}")
        raw[key] = file.read(size)
        if len(raw[key]) < size:
            raise PickleError(
                f"storage {one_line(key)} of {size} bytes where {len(raw[key])} are left: cut off"
            )

    def numbers(storage):
        if storage.key not in raw:
            raise PickleError(f"no storage {one_line(storage.key)}")
        return raw[storage.key]

    return _state_dict(content, numbers)


def _no_storage(_):
    raise PickleError("a storage out of place")


def _unpickle(source, storages=None):
    """Returns the pickled content; adds its storages to the dict `storages` by key."""
    storages = {} if storages is None else storages

    def persistent(identity):
        # ("storage", class, key, device, count); the older format appends a view of the storage.
        if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
            raise PickleError("a reference that is not a storage")
        kind, key, count = identity[1], identity[2], identity[4]
        if len(identity) == 6 and identity[5] is not None:
            raise PickleError(
                "a view of a storage, as torch before version 0.4 wrote it: load the file with torch and "
                "save it again"
            )
        if not isinstance(kind, Global) or kind.name not in STORAGES:
            raise PickleError("a storage of an unknown type")
        if not isinstance(key, str) or type(count) is not int or not 0 <= count < MAX_COUNT:
            raise PickleError("a damaged storage")
        storage = Storage(STORAGES[kind.name], key, count)
        if storages.setdefault(key, storage) != storage:
            raise PickleError(f"two different storages {one_line(key)}")
        return storage

    functions = {("torch", name): None for name in STORAGES}
    functions["collections", "OrderedDict"] = _ordered_dict
    functions["torch._utils", "_rebuild_tensor"] = _tensor
    functions["torch._utils", "_rebuild_tensor_v2"] = _tensor
    functions["torch._utils", "_rebuild_parameter"] = _parameter
    return read_plain_pickle(source, functions, persistent)


def _ordered_dict(items=()):
    if type(items) not in (list, tuple):
        raise PickleError("an OrderedDict that is not made from a list")
    if any(type(item) not in (list, tuple) or len(item) != 2 or type(item[0]) is not str for item in items):
        raise PickleError("an OrderedDict that is not made from (name, value) pairs")
    return dict(items)


def _tensor(storage, offset, size, stride, *_):
    size, stride = integers(size), integers(stride)
    if not isinstance(storage, Storage) or type(offset) is not int:
        raise PickleError("a tensor without a storage")
    # Python refuses to print numbers that have too many digits.
    if max(map(abs, (offset, *size, *stride))) >= MAX_COUNT:
        raise PickleError(f"a tensor with an offset, size or stride of {MAX_COUNT} or more")
    if len(size) != len(stride) or len(size) > MAX_DIMENSIONS or min((offset, *size, *stride)) < 0:
        raise PickleError(f"a tensor of size {one_line(size)} and stride {one_line(stride)}")
    # NumPy also checks the other sizes of an empty tensor.
    if math.prod(max(n, 1) for n in size) >= MAX_COUNT:
        raise PickleError(f"a tensor of size {one_line(size)}, {MAX_COUNT} numbers or more")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # With stride 0 a tensor repeats its numbers, so its size would have no limit.
    if count and (last >= storage.count or count > storage.count):
        raise PickleError(
            f"a tensor of size {one_line(size)}, stride {one_line(stride)} and offset {offset} in a storage "
            f"of {storage.count} numbers"
        )
    return Tensor(storage, offset, size, stride)


def _parameter(data, *_):
    if not isinstance(data, Tensor):
        raise PickleError("a parameter without a tensor")
    return data


def _state_dict(content, numbers):
    """{name: array} from the pickled content; the function `numbers` returns the bytes of a storage."""
    for _ in WRAPPERS:
        inner = [
            content[key] for key in WRAPPERS if isinstance(content, dict) and type(content.get(key)) is dict
        ]
        content = inner[0] if inner else content
    tensors = {}
    if isinstance(content, dict):
        tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors or not all(isinstance(name, str) for name in tensors):
        keys = ", ".join(map(str, list(content)[:5])) if isinstance(content, dict) else None
        found = "no dict" if keys is None else f"the keys {one_line(keys, 200)}"
        raise PickleError(f"{found}, and no tensors")
    loaded = {}
    for tensor in tensors.values():
        if tensor.storage.key not in loaded:
            loaded[tensor.storage.key] = _array(tensor.storage, numbers(tensor.storage))
    prefix = "module." if all(name.startswith("module.") for name in tensors) else ""
    return {name.removeprefix(prefix): _view(tensor, loaded) for name, tensor in tensors.items()}


def _bytes(storage):
    return storage.count * (2 if storage.dtype == "bfloat16" else np.dtype(storage.dtype).itemsize)


def _array(storage, raw):
    if len(raw) != _bytes(storage):
        raise PickleError(f"storage {one_line(storage.key)} of {len(raw)} bytes instead of {_bytes(storage)}")
    if storage.dtype == "bfloat16":
        # A bfloat16 is the upper half of a float32.
        return (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
    array = np.frombuffer(raw, storage.dtype)
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64, copy=False)


def _view(tensor, loaded):
    flat = loaded[tensor.storage.key][tensor.offset :]
    strides = [step * flat.itemsize for step in tensor.stride]
    return np.lib.stride_tricks.as_strided(flat, tensor.size, strides, writeable=False)
