"""Reads Keras' weight files by layer name: `.keras`, `.weights.h5` and the `.h5` of Keras 2.

Keras itself assigns the weights of the first two formats by the position of the layers. Reading by name makes
a file useful to a model that shares only some of its layers. Links to other files are refused.
"""

import io
import math
import mmap
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from ...messages import one_line

WEIGHTS_MEMBER = "model.weights.h5"
ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
    *(OSError, EOFError, ValueError, KeyError, OverflowError),
)
HDF5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, UnicodeError)
HEAP = b"GCOL\x01\x00\x00\x00"
MAX_FILE = 4 << 30
MAX_ARRAY = 2 << 30
MAX_RATIO = 20  # weights hardly compress; data that expands more than this is an attack on the memory
MAX_DEPTH = 16  # of nested layers
MAX_LAYERS = 10_000


class LayoutError(ValueError):
    """Describes what is wrong with the content. `read_keras` adds the path of the file."""


def read_keras(path):
    """Reads the weights of a Keras file.

    Args:
        path: path of a `.keras` archive, a `.weights.h5` file (Keras 3), or an `.h5` file (Keras 2: weights
            or a whole model).

    Returns:
        {layer name: [array, ...]}, without the layers that have no weights. The arrays are in the order of
        `layer.get_weights()`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is cut off, damaged, or has another layout.
    """
    try:
        with _hdf5(path) as file:
            layers = _layers(file)
            _check_sizes(layers, Path(path).stat().st_size)
            layers = {name: [_numbers(dataset) for dataset in layer] for name, layer in layers.items()}
    except LayoutError as error:
        raise ValueError(f"{path}: expected Keras weights, found {error}") from None
    except HDF5_ERRORS as error:
        if not Path(path).is_file():
            raise
        reason = one_line(" ".join(str(error).split()), 200)
        raise ValueError(f"{path}: expected Keras weights, found a damaged HDF5 file: {reason}") from None
    if not layers:
        raise ValueError(f"{path}: expected Keras weights, found no layer with weights")
    return layers


@contextmanager
def _hdf5(path):
    """Opens the HDF5 file, or the one inside a `.keras` archive."""
    with Path(path).open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
        if zipped:
            content = _member(path)
            _check_heaps(content)
            source = io.BytesIO(content)
        else:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                _check_heaps(content)
            source = path
    with h5py.File(source, "r") as file:
        yield file


def _check_heaps(data):
    """Refuses files whose global heaps are damaged: the HDF5 library would follow their objects forever.

    A heap has a header of 16 bytes, with the heap's size in the second half. Its objects follow: number
    (2 bytes), references (2), reserved (4), size (8), content padded to a multiple of 8. Object number 0 is
    free space; its size includes its header.
    """
    start = data.find(HEAP)
    while start >= 0:
        end = start + int.from_bytes(data[start + 8 : start + 16], "little")
        position = start + 16
        while position + 16 <= min(end, len(data)):
            size = int.from_bytes(data[position + 8 : position + 16], "little")
            used = int.from_bytes(data[position : position + 2], "little")
            position += 16 + -(-size // 8) * 8 if used else size
            if not used and not size:
                raise LayoutError(f"a damaged heap of strings at byte {start}")
        if max(position, end) > len(data) or position > end:
            raise LayoutError(f"a damaged heap of strings at byte {start}")
        start = data.find(HEAP, start + 1)


def _member(path):
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(WEIGHTS_MEMBER)
            if info.file_size > min(MAX_FILE, MAX_RATIO * Path(path).stat().st_size):
                raise LayoutError(f"{WEIGHTS_MEMBER} of {info.file_size} bytes in the archive")
            return archive.read(info)
    except LayoutError:
        raise
    except ZIP_ERRORS as error:
        raise LayoutError(f"a damaged archive: {one_line(error, 200)}") from None


def _layers(file):
    """{layer name: [dataset, ...]}."""
    if "layer_names" in file.attrs or "layer_names0" in file.attrs:
        return _keras2(file)
    if "model_weights" in file:
        return _keras2(_child(file, "model_weights", h5py.Group))
    if "layers" in file or "_layer_checkpoint_dependencies" in file:
        layers = {}
        _keras3(file, layers, 0)
        return layers
    listed = one_line(", ".join(list(file)[:5]), 200) or "nothing"
    raise LayoutError(f'neither "layers" (Keras 3) nor the attribute "layer_names" (Keras 2), but {listed}')


def _keras2(group):
    """Keras 2: one group per layer; attributes list the layers and their arrays in order."""
    layers = {}
    for name in _string_list(group, "layer_names"):
        layer = _child(group, name, h5py.Group)
        datasets = [_dataset(layer, weight) for weight in _string_list(layer, "weight_names")]
        if datasets:
            layers[name] = datasets
    return layers


def _string_list(group, attribute):
    """Reads a list of names. Keras splits lists that are too long for HDF5 over attributes 0, 1, ..."""
    if attribute in group.attrs:
        values = group.attrs[attribute]
    else:
        values, i = [], 0
        while f"{attribute}{i}" in group.attrs:
            values.extend(group.attrs[f"{attribute}{i}"])
            i += 1
        if not i:
            raise LayoutError(f"group {one_line(group.name)} without the attribute {attribute}")
    names = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    if len(set(names)) != len(names):
        raise LayoutError(f"group {one_line(group.name)} with repeated {attribute}")
    return names


def _keras3(group, layers, depth):
    """Keras 3: groups named by class and number. A layer's name is an attribute of its group `vars`.

    The arrays in `vars` are named 0, 1, ...
    """
    if depth > MAX_DEPTH or len(layers) > MAX_LAYERS:
        raise LayoutError(f"more than {MAX_DEPTH} nested layers, or more than {MAX_LAYERS} layers")
    for key in group:
        if key == "optimizer" and depth == 0:
            continue
        if group.get(key, getclass=True) is not h5py.Group:
            continue
        child = _child(group, key, h5py.Group)
        if key != "vars":
            _keras3(child, layers, depth + 1)
        elif len(child):
            if "name" not in child.attrs:
                raise LayoutError(
                    f"group {one_line(child.name)} without the layer's name, as older versions of Keras 3 "
                    "wrote it: load it with keras.Model.load_weights and save it again"
                )
            name = str(child.attrs["name"])
            if name in layers:
                raise LayoutError(f"two layers '{one_line(name)}'")
            layers[name] = [_dataset(child, str(i)) for i in range(len(child))]


def _child(group, path, kind):
    """Returns a group or array below a group. Soft and external links are refused."""
    parts = path.split("/")
    for i, part in enumerate(parts):
        link = group.get(part, getlink=True) if part in group else None
        if link is None:
            raise LayoutError(f"no '{one_line(path)}' in group {one_line(group.name)}")
        if not isinstance(link, h5py.HardLink):
            place = one_line(f"{group.name}/{part}")
            raise LayoutError(f"a link to another place in {place}, which is refused")
        child = group[part]
        expected = kind if i == len(parts) - 1 else h5py.Group
        if not isinstance(child, expected):
            raise LayoutError(f"no {expected.__name__.lower()} in {one_line(f'{group.name}/{part}')}")
        group = child
    return group


def _dataset(group, path):
    """Returns an array of the file, after comparing its declared size with the bytes that are stored."""
    dataset = _child(group, path, h5py.Dataset)
    name, stored = one_line(dataset.name), dataset.id.get_storage_size()
    if dataset.external or dataset.is_virtual:
        raise LayoutError(f"an array kept in another file: {name}")
    if dataset.dtype.kind not in "fiub" and not _is_bfloat16(dataset):
        raise LayoutError(f"an array of type {one_line(dataset.dtype)} in {name}")
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    plain = dataset.chunks is None
    if size > MAX_ARRAY or (plain and stored != size):
        raise LayoutError(f"the array {name} of shape {one_line(dataset.shape)}, but {stored} bytes for it")
    return dataset


def _check_sizes(layers, file_size):
    """Refuses arrays that need far more memory than the file has bytes, before any of them is read.

    A chunk that is compressed, or not stored at all, can expand from a few bytes to any size. Two sizes are
    limited:

    * the total of all arrays, because several names may refer to one array,
    * each chunk, because a chunk is always expanded as a whole.
    """
    total = 0
    for dataset in (dataset for layer in layers.values() for dataset in layer):
        width = max(dataset.dtype.itemsize, 4)  # they become float32
        total += math.prod(dataset.shape) * width
        chunk = math.prod(dataset.chunks or ()) * width
        if max(total, chunk) > MAX_RATIO * file_size:
            raise LayoutError(
                f"arrays of {max(total, chunk)} bytes or more in a file of {file_size} bytes (counted up to "
                f"{one_line(dataset.name)} of shape {one_line(dataset.shape)})"
            )


def _is_bfloat16(dataset):
    return dataset.dtype.kind == "V" and dataset.attrs.get("dtype") == "bfloat16"


def _numbers(dataset):
    """Reads a dataset as a float32 array."""
    if _is_bfloat16(dataset):  # the upper half of a float32
        return (dataset[()].view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.asarray(dataset[()], np.float32)
