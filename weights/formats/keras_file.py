"""Reads Keras' weight files by layer name: `.keras`, `.weights.h5` and the `.h5` of Keras 2.

Keras itself assigns the weights of the first two formats by the position of the layers. Reading by name makes
a file useful to a model that shares only some of its layers. Links to other files are refused.
"""

import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np

from ...files import check_regular
from ...messages import one_line
from ...untrusted_hdf5 import (
    HDF5_ERRORS,
    MAX_RATIO,
    LayoutError,
    check_sizes,
    child,
    dataset,
    is_bfloat16,
    open_hdf5,
    text_attribute,
    texts_attribute,
)
from .limits import MAX_FILE

WEIGHTS_MEMBER = "model.weights.h5"
ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
    *(OSError, EOFError, ValueError, KeyError, OverflowError),
)
MAX_DEPTH = 16  # of nested layers
MAX_LAYERS = 10_000


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
            check_sizes((array for layer in layers.values() for array in layer), Path(path).stat().st_size)
            layers = {name: [_numbers(array) for array in layer] for name, layer in layers.items()}
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


def _hdf5(path):
    """Opens the HDF5 file, or the one inside a `.keras` archive."""
    check_regular(path)
    with Path(path).open("rb") as file:
        zipped = file.read(4) == b"PK\x03\x04"
    return open_hdf5(_member(path) if zipped else path)


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
        return _keras2(child(file, "model_weights", h5py.Group))
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
        layer = child(group, name, h5py.Group)
        arrays = [dataset(layer, weight) for weight in _string_list(layer, "weight_names")]
        if arrays:
            layers[name] = arrays
    return layers


def _string_list(group, attribute):
    """Reads a list of names. Keras splits lists that are too long for HDF5 over attributes 0, 1, ..."""
    if attribute in group.attrs:
        names = texts_attribute(group, attribute)
    else:
        names, i = [], 0
        while f"{attribute}{i}" in group.attrs:
            names += texts_attribute(group, f"{attribute}{i}")
            i += 1
        if not i:
            raise LayoutError(f"group {one_line(group.name)} without the attribute {attribute}")
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
        inner = child(group, key, h5py.Group)
        if key != "vars":
            _keras3(inner, layers, depth + 1)
        elif len(inner):
            if "name" not in inner.attrs:
                raise LayoutError(
                    f"group {one_line(inner.name)} without the layer's name, as older versions of Keras 3 "
                    "wrote it: load it with keras.Model.load_weights and save it again"
                )
            name = text_attribute(inner, "name")
            if name in layers:
                raise LayoutError(f"two layers '{one_line(name)}'")
            layers[name] = [dataset(inner, str(i)) for i in range(len(inner))]


def _numbers(array):
    """Reads an array of the file as float32."""
    if is_bfloat16(array):  # the upper half of a float32
        return (array[()].view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.asarray(array[()], np.float32)
