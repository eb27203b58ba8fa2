"""Converts a MobileNet SSD of qfgaohao/pytorch-ssd, or of jetson-inference, which trains with it.

python examples/pytorch_ssd.py mb1-ssd.pth labels.txt detector.keras

Knows mb1-ssd, mb1-ssd-lite and mb2-ssd-lite of width 1, for 300x300 pixels. labels.txt has one class a line,
the background first. The layers are called as in torch, but with "-" in place of the dots, which torch does
not allow there.
"""

import argparse
from functools import partial
from pathlib import Path

from keras import layers

import multibox as mb

# (channels, stride) of the blocks of MobileNet v1, which are counted from 1
BLOCKS_V1 = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
# (expansion, channels, stride) of those of MobileNet v2
BLOCKS_V2 = [(1, 16, 1), (6, 24, 2), (6, 24, 1), (6, 32, 2), *[(6, 32, 1)] * 2, (6, 64, 2), *[(6, 64, 1)] * 3]
BLOCKS_V2 += [*[(6, 96, 1)] * 3, (6, 160, 2), *[(6, 160, 1)] * 2, (6, 320, 1)]
EXTRAS_V1 = [(256, 512), (128, 256), (128, 256), (128, 256)]  # channels of two convolutions
EXTRAS_V2 = [(256, 512), (128, 256), (128, 256), (64, 64)]
GRIDS, STEPS, SIDES = (19, 10, 5, 3, 2, 1), (16, 32, 64, 100, 150, 300), (60, 105, 150, 195, 240, 285, 330)
ANCHORS = mb.AnchorSpec.from_scales(
    (300, 300),
    [(grid, grid) for grid in GRIDS],
    [side / 300 for side in SIDES],
    [(2, 3)] * len(GRIDS),
    steps=STEPS,
    clip_sides=True,
)


def conv(x, channels, kernel, name, stride=1, bias=True):
    """A convolution as in torch, which pads all sides alike; depthwise if channels is None."""
    if kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}-padding")(x)
    options = {"strides": stride, "use_bias": bias, "name": name}
    if channels is None:
        return layers.DepthwiseConv2D(kernel, **options)(x)
    return layers.Conv2D(channels, kernel, **options)(x)


def conv_bn(x, channels, kernel, module, place, stride=1, bias=False):
    """A convolution and its BatchNorm, the modules `place` and `place + 1` of a sequence."""
    x = conv(x, channels, kernel, f"{module}-{place}", stride, bias)
    return layers.BatchNormalization(epsilon=1e-5, name=f"{module}-{place + 1}")(x)


def features_v1(x, separable):
    """{map: features} of MobileNet v1: the outputs of blocks 11 and 13, and of the extra layers."""
    x = layers.ReLU()(conv_bn(x, 32, 3, "base_net-0", 0, stride=2))
    maps = []
    for i, (channels, stride) in enumerate(BLOCKS_V1, start=1):
        x = layers.ReLU()(conv_bn(x, None, 3, f"base_net-{i}", 0, stride))
        x = layers.ReLU()(conv_bn(x, channels, 1, f"base_net-{i}", 3))
        maps += [x] if i in (11, 13) else []
    for i, (reduced, channels) in enumerate(EXTRAS_V1):
        x = layers.ReLU()(conv(x, reduced, 1, f"extras-{i}-0"))
        if separable:
            x = layers.ReLU()(conv(x, None, 3, f"extras-{i}-2-0", stride=2))
            x = conv(x, channels, 1, f"extras-{i}-2-2")
        else:
            x = layers.ReLU()(conv(x, channels, 3, f"extras-{i}-2", stride=2))
        maps.append(x)
    return {f"map{i}": features for i, features in enumerate(maps)}


def features_v2(x):
    """{map: features} of MobileNet v2: the expansion of block 14, the last layer, the extra layers."""
    x = layers.ReLU(6)(conv_bn(x, 32, 3, "base_net-0", 0, stride=2))
    maps = []
    for i, (expansion, channels, stride) in enumerate(BLOCKS_V2, start=1):
        expanded = x.shape[-1] * expansion if expansion > 1 else None
        shortcut, (middle, x) = x, inverted_residual(x, expanded, channels, stride, f"base_net-{i}-conv")
        x = layers.Add()([shortcut, x]) if stride == 1 and shortcut.shape[-1] == channels else x
        maps += [middle] if i == 14 else []
    x = layers.ReLU(6)(conv_bn(x, 1280, 1, "base_net-18", 0))
    maps.append(x)
    for i, (expanded, channels) in enumerate(EXTRAS_V2):
        _, x = inverted_residual(x, expanded, channels, 2, f"extras-{i}-conv")
        maps.append(x)
    return {f"map{i}": features for i, features in enumerate(maps)}


def inverted_residual(x, expanded, channels, stride, module):
    """(expansion, output) of an inverted residual; no expansion if expanded is None."""
    place = 0
    if expanded is not None:
        x, place = layers.ReLU(6)(conv_bn(x, expanded, 1, module, 0)), 3
    middle = x
    x = layers.ReLU(6)(conv_bn(x, None, 3, module, place, stride))
    return middle, conv_bn(x, channels, 1, module, place + 3)


def head(x, channels, name, kind):
    """The head of a map: "conv", "separable" or "separable_bn". That of the last separable one is 1x1."""
    if kind == "conv":
        return conv(x, channels, 3, name)
    if not name.startswith("map5"):
        if kind == "separable_bn":
            x = layers.ReLU(6)(conv_bn(x, None, 3, name, 0, bias=True))
        else:
            x = layers.ReLU()(conv(x, None, 3, f"{name}-0"))
    return conv(x, channels, 1, name)


# {network: (a tensor that only it has, its feature maps, its heads)}
NETWORKS = {
    "mb2-ssd-lite": ("base_net.1.conv.0.weight", features_v2, "separable_bn"),
    "mb1-ssd-lite": ("extras.0.2.0.weight", partial(features_v1, separable=True), "separable"),
    "mb1-ssd": ("extras.0.2.weight", partial(features_v1, separable=False), "conv"),
}


def detector(network, class_names):
    """One of `NETWORKS` with random weights."""
    _, features, kind = NETWORKS[network]
    options = {"anchors": ANCHORS, "extras": (), "head": partial(head, kind=kind)}
    options["pixels"] = {"mean": 127, "scale": 1 / 128}
    return mb.SSD(features, class_names=class_names, name=network.replace("-", "_"), **options)


def name_in_file(layer, kind):
    """Such as "map2_mbox_loc" to "regression_headers.2.3"."""
    if "_mbox_" not in layer:
        return layer.replace("-", ".")
    source, _, part = layer.partition("_mbox_")
    part, _, place = part.partition("-")
    if not place and kind != "conv" and source != "map5":
        place = {"separable": "2", "separable_bn": "3"}[kind]
    module = {"loc": "regression_headers", "conf": "classification_headers"}[part]
    return ".".join(filter(None, (module, source.removeprefix("map"), place)))


def convert(path, class_names):
    """The detector of a file of weights.

    Args:
        path: of the file.
        class_names: without the background.

    Raises:
        ValueError: for another network, width or number of classes.
    """
    arrays = mb.read_weights(path)
    found = next((name for name, (tensor, *_) in NETWORKS.items() if tensor in arrays), None)
    if found is None:
        raise ValueError(f"{path}: expected one of {', '.join(NETWORKS)}, found none of their tensors")
    model = detector(found, class_names)
    mb.load_weights(model, path, names=partial(name_in_file, kind=NETWORKS[found][2]))
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", help="file of pytorch-ssd, .pth")
    parser.add_argument("labels", type=Path, help="its labels.txt")
    parser.add_argument("output", help="file to write, .keras")
    arguments = parser.parse_args()
    try:
        _background, *class_names = arguments.labels.read_text(encoding="utf-8").split("\n")
        model = convert(arguments.weights, [name.strip() for name in class_names if name.strip()])
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None
    model.save(arguments.output)
    print(f"{arguments.output}: {model.name}, {len(mb.class_names_of(model))} classes")


if __name__ == "__main__":
    main()
