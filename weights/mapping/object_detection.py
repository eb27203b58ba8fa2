"""Maps SSD MobileNets of the TensorFlow Object Detection API, of TensorFlow 1 and TensorFlow Lite."""

import re
from pathlib import Path

import numpy as np

from ...anchors import pipeline_anchors
from ...files import is_file
from .mapped import Mapped
from .mobilenet import UNIT_PIXELS, norm_name

EXTRAS = ("extra1", "extra2", "extra3", "extra4")
# First layer of a network, its name, and the maps with heads.
NETWORKS = {
    "conv1": ("SSD MobileNet v1", ("conv_pw_11", "conv_pw_13", *EXTRAS)),
    "Conv1": ("SSD MobileNet v2", ("c4", "c5", *EXTRAS)),
}
PARTS = {"depthwise": "dw", "pointwise": "pw"}
LAYER = re.compile(
    r"(?:^|/)(?:"
    r"(?P<stem_v1>Conv2d_0)"
    r"|Conv2d_(?P<block_v1>\d{1,2})_(?P<part_v1>depthwise|pointwise)"
    r"|MobilenetV2/(?:(?P<stem_v2>Conv)|(?P<last_v2>Conv_1))"
    r"|expanded_conv(?:_(?P<block_v2>\d{1,2}))?/(?P<part_v2>expand|depthwise|project)"
    r"|(?:Conv2d_13_pointwise|layer_19)_[12]_Conv2d_(?P<extra>[2-5])_(?P<size>1x1|3x3)_(?:s2_)?\d{1,5}"
    r"(?P<extra_depthwise>_depthwise)?"
    r"|BoxPredictor_(?P<level>\d)/(?P<head>BoxEncoding|Class)Predictor(?P<head_depthwise>_depthwise)?"
    r")/"
)
# What the variables of a layer are called: by TF-Slim, and by TensorFlow's tool that folds BatchNorm.
LEAVES = {
    **dict.fromkeys(("weights", "depthwise_weights", "Conv2D_weights"), "kernel"),
    **dict.fromkeys(("biases", "Conv2D_bn_offset", "depthwise_bn_offset"), "bias"),
    **{f"BatchNorm/{name}": name for name in ("gamma", "beta", "moving_mean", "moving_variance")},
}
NORM = ("gamma", "beta", "moving_mean", "moving_variance")
RANKS = {"kernel": 4}  # of arrays; the others have one axis
HEAD = re.compile(r"head(\d)(_mbox_.*)")
SHARED = "WeightSharedConvolutionalBoxPredictor"


def from_tflite(tensors):
    """Maps a model of TensorFlow Lite, whose BatchNorm is folded."""
    parts, unused = {}, []
    for theirs, tensor in tensors.items():
        found = LAYER.search(theirs)
        if found is None or tensor.stored.ndim not in (1, 4):
            unused.append(theirs)
            continue
        is_kernel = tensor.stored.ndim == 4
        array = tensor.values()
        add_part(
            parts,
            _our_name(found),
            "kernel" if is_kernel else "bias",
            array.transpose(1, 2, 3, 0) if is_kernel else array,
        )
    return as_mapped("of TensorFlow Lite", parts, unused)


def from_tensorflow(arrays):
    """Maps a frozen graph or a checkpoint of TensorFlow 1, with BatchNorm or with folded BatchNorm."""
    refuse_shared_heads(arrays, SHARED)
    parts, unused = {}, []
    for theirs, array in arrays.items():
        found = LAYER.search(theirs)
        leaf = LEAVES.get(theirs[found.end() :]) if found else None
        if leaf is None:
            unused.append(theirs)
        else:
            add_part(parts, _our_name(found), leaf, array)
    return as_mapped("of the TensorFlow Object Detection API", parts, unused)


def read_config(mapped, path):
    """Takes the anchors from the `pipeline.config` of the file, if there is one.

    It lies beside the file, in archives of TensorFlow 2 beside the folder "checkpoint".
    """
    folder = Path(path).absolute().parent
    config = (folder.parent if folder.name == "checkpoint" else folder) / "pipeline.config"
    if is_file(config):
        mapped.anchors, mapped.config = pipeline_anchors(config), config


def refuse_shared_heads(names, part):
    """Refuses the FPN-lite models, whose names of heads have this part."""
    if any(part in name for name in names):
        raise ValueError(
            "expected a head for each feature map, found the shared heads of an FPN-lite model: no model "
            "here has them; for a network of your own pass names"
        )


def add_part(parts, name, leaf, array):
    """Adds an array to {our name of a layer, "head0_mbox_loc" for a head: {leaf: array}}.

    Raises:
        ValueError: if the layer has such an array, or for an array of another rank.
    """
    if leaf in parts.setdefault(name, {}):
        raise ValueError(f"expected one {leaf} for {name}, found another")
    if array.ndim != RANKS.get(leaf, 1):
        raise ValueError(
            f"expected {RANKS.get(leaf, 1)} axes of the {leaf} of {name}, found the shape {array.shape}"
        )
    parts[name][leaf] = array


def as_mapped(project, parts, unused):
    """`Mapped` of the parts. Pixels are -1..1. The box heads predict y, x, h, w; ours predict x, y, w, h."""
    first = next((first for first in NETWORKS if first in parts), None)
    if first is None:
        raise ValueError(
            "expected SSD MobileNet v1 or v2, whose tensors are named .../MobilenetV1/Conv2d_0/..., "
            ".../MobilenetV2/Conv/... or .../_feature_extractor/classification_backbone/... (for another "
            "network pass names)"
        )
    network, sources = NETWORKS[first]
    layers = {}
    for name, arrays in parts.items():
        if head := HEAD.fullmatch(name):
            name = _source(int(head[1]), sources) + head[2]
        if "kernel" not in arrays or not {"bias", "beta"} & set(arrays):
            raise ValueError(f"expected a kernel and a bias for {name}, found {' and '.join(arrays)}")
        layers[name] = [arrays[leaf] for leaf in ("kernel", "bias") if leaf in arrays]
        if name.endswith("_mbox_loc"):
            layers[name] = [_xywh(array) for array in layers[name]]
        if set(NORM) & set(arrays):
            layers[norm_name(name)] = _norm(name, arrays)
    return Mapped(
        f"{network} {project}", layers, unused, pixels=UNIT_PIXELS, first=first, anchors="SSD_MOBILENET_V1"
    )


def _source(level, sources):
    """The name of a level; one that our network does not have keeps its number and so does not fit."""
    return sources[level] if level < len(sources) else f"head{level}"


def _norm(name, arrays):
    """The arrays of a BatchNorm. TF-Slim has no gamma unless it is told to."""
    arrays = {"gamma": np.ones_like(arrays["beta"]), **arrays} if "beta" in arrays else arrays
    if missing := [part for part in NORM if part not in arrays]:
        raise ValueError(f"expected the BatchNorm of {name}, found it without {', '.join(missing)}")
    return [arrays[part] for part in NORM]


def _our_name(found):
    """Our name of the layer that `LAYER` has found."""
    if found["stem_v1"] or found["stem_v2"]:
        return "conv1" if found["stem_v1"] else "Conv1"
    if found["last_v2"]:
        return "Conv_1"
    if found["part_v1"]:
        return f"conv_{PARTS[found['part_v1']]}_{found['block_v1']}"
    if found["part_v2"]:
        block = f"block_{found['block_v2']}" if found["block_v2"] else "expanded_conv"
        return f"{block}_{found['part_v2']}"
    if found["extra"]:
        part = "depthwise" if found["extra_depthwise"] else {"1x1": "reduce", "3x3": "expand"}[found["size"]]
        return f"extra{int(found['extra']) - 1}_{part}"
    kind = "conf" if found["head"] == "Class" else "loc"
    return f"head{found['level']}_mbox_{kind}{found['head_depthwise'] or ''}"


def _xywh(array):
    if array.shape[-1] % 4:
        raise ValueError(f"expected four coordinates for each box, found {array.shape[-1]} channels")
    boxes = array.reshape(*array.shape[:-1], array.shape[-1] // 4, 4)
    return boxes[..., [1, 0, 3, 2]].reshape(array.shape)
