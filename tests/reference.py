"""Rebuilds the deterministic weights behind the reference numbers and gives them to our models."""

import json
import zlib

import numpy as np


def normal(key, shape):
    return np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)


def to_keras(kernel):
    """(out, in, kh, kw) to (kh, kw, in, out); a depthwise (c, 1, kh, kw) to (kh, kw, c, 1) by its caller."""
    return kernel.transpose(2, 3, 1, 0)


def load_caffe_weights(model, folder, variant):
    """Sets the weights of SSD300; the CRC of each blob is compared with the one on record."""
    record = json.loads((folder / "ssd300_weights.json").read_text())["layers"]
    for name, blobs in record.items():
        arrays = []
        for i, blob in enumerate(blobs):
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
            arrays.append(to_keras(x) if x.ndim == 4 else x)
        model.get_layer(name).set_weights(arrays)


def torchvision_state(folder, tag):
    """The state_dict of a torchvision model: name -> array, by the rule of the reference data's README."""
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


SSD300_TORCH = {
    **dict(
        zip(
            [f"conv{b}_{i}" for b, n in ((1, 2), (2, 2), (3, 3), (4, 3)) for i in range(1, n + 1)],
            [f"backbone.features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)],
            strict=True,
        )
    ),
    **{f"conv5_{i}": f"backbone.extra.0.{2 * i - 1}" for i in (1, 2, 3)},
    "fc6": "backbone.extra.0.7.1",
    "fc7": "backbone.extra.0.7.3",
    **{f"conv{5 + b}_{i}": f"backbone.extra.{b}.{2 * i - 2}" for b in (1, 2, 3, 4) for i in (1, 2)},
}


def load_torchvision_ssd300(model, state):
    names = dict(SSD300_TORCH)
    sources = ["conv4_3_norm", "fc7", "conv6_2", "conv7_2", "conv8_2", "conv9_2"]
    for i, source in enumerate(sources):
        names[f"{source}_mbox_loc"] = f"head.regression_head.module_list.{i}"
        names[f"{source}_mbox_conf"] = f"head.classification_head.module_list.{i}"
    for name, stem in names.items():
        model.get_layer(name).set_weights([to_keras(state[f"{stem}.weight"]), state[f"{stem}.bias"]])
    # torchvision takes RGB, our first convolution BGR.
    kernel, bias = model.get_layer("conv1_1").get_weights()
    model.get_layer("conv1_1").set_weights([kernel[:, :, ::-1], bias])
    model.get_layer("conv4_3_norm").set_weights([state["backbone.scale_weight"]])


def load_torchvision_ssdlite(model, state):
    """torchvision registers the modules of the trunk in the order of depth, and so lists Keras its layers."""
    trunk = [x for x in model.layers if x.weights and "_mbox_" not in x.name]
    stems = _stems(n for n in state if n.startswith("backbone."))
    for layer, stem in zip(trunk, stems, strict=True):
        _set(layer, state, stem)
    for ours, theirs in (("loc", "regression"), ("conf", "classification")):
        stems = _stems(n for n in state if n.startswith(f"head.{theirs}_head"))
        sources = ("c4", "c5", "extra1", "extra2", "extra3", "extra4")
        names = [f"{s}_mbox_{ours}{part}" for s in sources for part in ("_depthwise", "_depthwise_bn", "")]
        for name, stem in zip(names, stems, strict=True):
            _set(model.get_layer(name), state, stem)


def _stems(names):
    return list(dict.fromkeys(n.rsplit(".", 1)[0] for n in names))


def _set(layer, state, stem):
    leaves = ("weight", "bias", "running_mean", "running_var")
    arrays = [state[f"{stem}.{leaf}"] for leaf in leaves if f"{stem}.{leaf}" in state]
    if arrays[0].ndim == 4:
        depthwise = type(layer).__name__ == "DepthwiseConv2D"
        arrays[0] = arrays[0].transpose(2, 3, 0, 1) if depthwise else to_keras(arrays[0])
    layer.set_weights(arrays)
