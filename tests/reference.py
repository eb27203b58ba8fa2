"""Rebuilds the deterministic weights with which the reference numbers were computed."""

import json
import zlib

import numpy as np

from multibox.weights.mapping.mapped import adapt_pixels


def normal(key, shape):
    return np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)


def caffe_weights(folder, variant):
    """{layer: [blob, ...]} of SSD300 in Caffe's layout. The CRC of each blob is checked."""
    record = json.loads((folder / "ssd300_weights.json").read_text())["layers"]
    return {name: [_blob(name, i, b, variant) for i, b in enumerate(blobs)] for name, blobs in record.items()}


def _blob(name, i, blob, variant):
    x = normal(f"{name}/{i}", blob["shape"])
    if blob["kind"] == "conv_weight":
        fan_in = np.prod(blob["shape"][1:])
        x = x * (np.sqrt(2.0 / fan_in) * blob["gain"])
    elif blob["kind"] == "conv_bias":
        x = blob[f"bias_std_{variant}"] * x
    else:
        x = np.full(blob["shape"], 20.0) if variant == "plain" else 20.0 + 4.0 * x
    x = np.ascontiguousarray(x.astype(np.float32))
    assert zlib.crc32(x.tobytes()) == blob.get("crc32", blob.get(f"crc32_{variant}")), (name, i)
    return x


def torchvision_state(folder, tag):
    """The state_dict {name: array} of a torchvision model, by the rule in the reference data's README."""
    shapes = json.loads((folder / f"{tag}_state.json").read_text())
    state = {}
    for name, shape in shapes.items():
        stem, leaf = name.rsplit(".", 1)
        if leaf == "num_batches_tracked":
            continue
        if leaf == "scale_weight":
            state[name] = np.full(shape, 20.0, np.float32)
            continue
        z = normal(name, shape)
        if leaf == "running_mean":
            v = 0.1 * z
        elif leaf == "running_var":
            v = 1 + 0.2 * np.abs(z)
        elif f"{stem}.running_mean" in shapes:
            v = 1 + 0.1 * z if leaf == "weight" else 0.1 * z
        elif leaf == "bias":
            v = 0.01 * z
        else:
            v = z * np.sqrt(2.0 / np.prod(shape[1:]))
            if tag.startswith("ssdlite320"):
                v = v * 1.05
            elif name == "backbone.features.0.weight":
                v = v / 64
        state[name] = v.astype(np.float32)
    return state


def load_mapped(model, mapped):
    """Loads the result of a mapping into a model. It must have weights for every layer."""
    normalization = model.get_layer("normalization")
    adapt_pixels(mapped, {key: getattr(normalization, key) for key in ("mean", "scale", "bgr")})
    assert set(mapped.layers) == {layer.name for layer in model.layers if layer.weights}
    for name, arrays in mapped.layers.items():
        model.get_layer(name).set_weights(arrays)
