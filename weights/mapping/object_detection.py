"""Maps SSD MobileNet v1 of the TensorFlow Object Detection API, from TensorFlow Lite and frozen graphs."""

import re
from pathlib import Path

import numpy as np

from ...anchors import pipeline_anchors
from ...files import is_file
from .mapped import Mapped
from .mobilenet import UNIT_PIXELS

V1_SOURCES = ("conv_pw_11", "conv_pw_13", "extra1", "extra2", "extra3", "extra4")
V1_LAYER = re.compile(
    r"(?:^|/)(?:"
    r"(?P<stem>Conv2d_0)"
    r"|Conv2d_(?P<block>\d+)_(?P<kind>depthwise|pointwise)"
    r"|Conv2d_13_pointwise_[12]_Conv2d_(?P<extra>[2-5])_(?P<size>1x1|3x3)_(?:s2_)?\d+"
    r"|BoxPredictor_(?P<level>\d)/(?P<head>BoxEncoding|Class)Predictor"
    r")/"
)
# What the variables of a layer are called: by TF-Slim, and by TensorFlow's tool that folds BatchNorm.
LEAVES = {
    **dict.fromkeys(("weights", "depthwise_weights", "Conv2D_weights"), "kernel"),
    **dict.fromkeys(("biases", "Conv2D_bn_offset", "depthwise_bn_offset"), "bias"),
    **{f"BatchNorm/{name}": name for name in ("gamma", "beta", "moving_mean", "moving_variance")},
}
NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def from_tflite(tensors):
    """Maps a model of TensorFlow Lite, whose BatchNorm is folded."""
    parts, unused = {}, []
    for theirs, tensor in tensors.items():
        name = _v1_name(theirs)
        if name is None or tensor.stored.ndim not in (1, 4):
            unused.append(theirs)
            continue
        is_kernel = tensor.stored.ndim == 4
        array = tensor.values()
        _add(
            parts,
            name,
            "kernel" if is_kernel else "bias",
            array.transpose(1, 2, 3, 0) if is_kernel else array,
        )
    return _mapped("SSD MobileNet v1 of TensorFlow Lite", parts, unused)


def from_tensorflow(arrays):
    """Maps a frozen graph, with BatchNorm or with folded BatchNorm."""
    parts, unused = {}, []
    for theirs, array in arrays.items():
        name, found = _v1_name(theirs), V1_LAYER.search(theirs)
        leaf = LEAVES.get(theirs[found.end() :]) if found else None
        if name is None or leaf is None:
            unused.append(theirs)
        else:
            _add(parts, name, leaf, array)
    return _mapped("SSD MobileNet v1 of the TensorFlow Object Detection API", parts, unused)


def read_config(mapped, path):
    """Takes the anchors from a `pipeline.config` beside the file, if there is one."""
    config = Path(path).with_name("pipeline.config")
    if is_file(config):
        mapped.anchors = pipeline_anchors(config)


def _add(parts, name, leaf, array):
    if leaf in parts.setdefault(name, {}):
        raise ValueError(f"expected one {leaf} for {name}, found another")
    parts[name][leaf] = array


def _mapped(origin, parts, unused):
    """Pixels are -1..1. The box heads predict y, x, h, w; ours predict x, y, w, h."""
    layers = {}
    for name, arrays in parts.items():
        kernel, bias = arrays.get("kernel"), arrays.get("bias")
        if kernel is None or (bias is None and "beta" not in arrays):
            raise ValueError(f"expected a kernel and a bias for {name}, found only one of them")
        layers[name] = [kernel] if bias is None else [kernel, bias]
        if name.endswith("_mbox_loc"):
            layers[name] = [_xywh(array) for array in layers[name]]
        if "beta" in arrays:
            layers[f"{name}_bn"] = _norm(name, arrays)
    if "conv1" not in layers:
        raise ValueError(
            "expected SSD MobileNet v1, whose tensors are named .../MobilenetV1/Conv2d_0/... (for another "
            "network pass names)"
        )
    return Mapped(origin, layers, unused, pixels=UNIT_PIXELS, first="conv1", anchors="SSD_MOBILENET_V1")


def _norm(name, arrays):
    """The arrays of a BatchNorm. TF-Slim has no gamma unless it is told to."""
    arrays = {"gamma": np.ones_like(arrays["beta"]), **arrays}
    if missing := [part for part in NORM if part not in arrays]:
        raise ValueError(f"expected the BatchNorm of {name}, found it without {', '.join(missing)}")
    return [arrays[part] for part in NORM]


def _v1_name(theirs):
    found = V1_LAYER.search(theirs)
    if found is None:
        return None
    if found["stem"]:
        return "conv1"
    if found["block"]:
        return f"conv_{'dw' if found['kind'] == 'depthwise' else 'pw'}_{found['block']}"
    if found["extra"]:
        return f"extra{int(found['extra']) - 1}_{'reduce' if found['size'] == '1x1' else 'expand'}"
    if int(found["level"]) >= len(V1_SOURCES):
        return None
    return f"{V1_SOURCES[int(found['level'])]}_mbox_{'conf' if found['head'] == 'Class' else 'loc'}"


def _xywh(array):
    if array.shape[-1] % 4:
        raise ValueError(f"expected four coordinates for each box, found {array.shape[-1]} channels")
    return array.reshape(*array.shape[:-1], -1, 4)[..., [1, 0, 3, 2]].reshape(array.shape)
