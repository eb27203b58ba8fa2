"""Loads the trained SSD MobileNet v1 of the reference data into our model, independently of its readers."""

import json

import numpy as np

import multibox as mb

FOLDER = "ssd_mobilenet_v1_coco"
SOURCES = ("conv_pw_11", "conv_pw_13", "extra1", "extra2", "extra3", "extra4")


def trained_model(golden, **options):
    """`SSDMobileNet` with the stored weights: folded BatchNorm, alpha 0.75, 90 classes."""
    model = mb.SSDMobileNet(90, alpha=0.75, batch_norm=False, **options)
    for name, arrays in stored_weights(golden / FOLDER).items():
        model.get_layer(name).set_weights(arrays)
    return model


def stored_weights(folder):
    """{name of our layer: [kernel, bias]}, dequantized, in Keras' layout and our order of coordinates."""
    layer_map = json.loads((folder / "layer_map.json").read_text())
    data = (folder / layer_map["file"]).read_bytes()
    weights = {}
    for layer in layer_map["layers"]:
        kernel, bias = (_dequantized(data, layer[part]) for part in ("kernel", "bias"))
        kernel = kernel.transpose(1, 2, 3, 0)
        if layer["layer"].endswith("BoxEncodingPredictor"):
            kernel, bias = _xywh(kernel), _xywh(bias)
        weights[our_name(layer["layer"])] = [kernel, bias]
    return weights


def our_name(theirs):
    if theirs.startswith("BoxPredictor_"):
        level, kind = theirs.removeprefix("BoxPredictor_").split("/")
        return f"{SOURCES[int(level)]}_mbox_{'loc' if kind.startswith('Box') else 'conf'}"
    parts = theirs.split("_")
    if theirs.startswith("Conv2d_13_pointwise_"):  # extra layer 1: Conv2d_13_pointwise_1_Conv2d_2_1x1_256
        return f"extra{int(parts[5]) - 1}_{'reduce' if parts[6] == '1x1' else 'expand'}"
    if theirs == "Conv2d_0":
        return "conv1"
    return f"conv_{'dw' if parts[2] == 'depthwise' else 'pw'}_{parts[1]}"


def _dequantized(data, tensor):
    raw = np.frombuffer(
        data, tensor["dtype"], count=int(np.prod(tensor["shape"])), offset=tensor["byte_offset"]
    )
    real = np.float32(tensor["scale"]) * (raw.astype(np.int64) - tensor["zero_point"]).astype(np.float32)
    assert abs(real.sum(dtype=np.float64) - tensor["float_sum"]) <= 1e-6 * tensor["float_abs_sum"]
    return real.reshape(tensor["shape"])


def _xywh(array):
    """Reorders the channels of each anchor from y, x, h, w to x, y, w, h."""
    return array.reshape(*array.shape[:-1], -1, 4)[..., [1, 0, 3, 2]].reshape(array.shape)
