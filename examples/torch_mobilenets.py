"""Converts a MobileNet SSD of a project for torch to a model of multibox.

python examples/torch_mobilenets.py mb1-ssd.pth labels.txt detector.keras

- qfgaohao/pytorch-ssd and jetson-inference, 300x300: mb1-ssd, mb1-ssd-lite, mb2-ssd-lite
- lufficc/SSD, 320x320: mobilenet_v2_ssd320_voc0712
- mmdetection 2.14 and later, 320x320: ssdlite_mobilenetv2_scratch_600e_coco

The files do not tell the input size and the anchors. Of a training with others the boxes would be wrong.
labels.txt has one class a line. A first line BACKGROUND is left out.

For another network write a function that makes its feature maps, a table of names, and a row in NETWORKS.
"""

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from keras import layers

import multibox as mb
from multibox.files import atomic

# (channels, stride) of the blocks of MobileNet v1
BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
# (expansion, channels, stride of the first block, blocks) of the stages of MobileNet v2
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 2, 3), (6, 64, 2, 4), (6, 96, 1, 3), (6, 160, 2, 3)]
STAGES += [(6, 320, 1, 1)]
IN_CELL = 6  # anchors of a cell
# (channels inside, channels of the map) of the extra layers
EXTRAS = [(256, 512), (128, 256), (128, 256)]

# A layer here, and its convolution and BatchNorm in torch. "*" is a number, {0} the same number, and {1} the
# place of a block among the stages: "layer1.0" of block 1, "layer2.0" of block 2, "layer2.1" of block 3, ...
NAMES_1 = """
    stem                base_net.0.0          base_net.0.1
    block*_depthwise    base_net.{0}.0        base_net.{0}.1
    block*_project      base_net.{0}.3        base_net.{0}.4
    extra*_expand       extras.{0}.0
    extra*_project      extras.{0}.2
    map*_loc            regression_headers.{0}
    map*_conf           classification_headers.{0}
"""
NAMES_1_LITE = """
    extra*_depthwise    extras.{0}.2.0
    extra*_project      extras.{0}.2.2
    map5_loc            regression_headers.5
    map5_conf           classification_headers.5
    map*_loc_depthwise  regression_headers.{0}.0
    map*_conf_depthwise classification_headers.{0}.0
    map*_loc            regression_headers.{0}.2
    map*_conf           classification_headers.{0}.2
"""
NAMES_2 = """
    stem                base_net.0.0               base_net.0.1
    block1_depthwise    base_net.1.conv.0          base_net.1.conv.1
    block1_project      base_net.1.conv.3          base_net.1.conv.4
    block*_expand       base_net.{0}.conv.0        base_net.{0}.conv.1
    block*_depthwise    base_net.{0}.conv.3        base_net.{0}.conv.4
    block*_project      base_net.{0}.conv.6        base_net.{0}.conv.7
    last                base_net.18.0              base_net.18.1
    extra*_expand       extras.{0}.conv.0          extras.{0}.conv.1
    extra*_depthwise    extras.{0}.conv.3          extras.{0}.conv.4
    extra*_project      extras.{0}.conv.6          extras.{0}.conv.7
    map5_loc            regression_headers.5
    map5_conf           classification_headers.5
    map*_loc_depthwise  regression_headers.{0}.0   regression_headers.{0}.1
    map*_conf_depthwise classification_headers.{0}.0   classification_headers.{0}.1
    map*_loc            regression_headers.{0}.3
    map*_conf           classification_headers.{0}.3
"""
NAMES_LUFFICC = """
    stem                backbone.features.0.0            backbone.features.0.1
    block1_depthwise    backbone.features.1.conv.0.0     backbone.features.1.conv.0.1
    block1_project      backbone.features.1.conv.1       backbone.features.1.conv.2
    block*_expand       backbone.features.{0}.conv.0.0   backbone.features.{0}.conv.0.1
    block*_depthwise    backbone.features.{0}.conv.1.0   backbone.features.{0}.conv.1.1
    block*_project      backbone.features.{0}.conv.2     backbone.features.{0}.conv.3
    last                backbone.features.18.0           backbone.features.18.1
    extra*_expand       backbone.extras.{0}.conv.0.0     backbone.extras.{0}.conv.0.1
    extra*_depthwise    backbone.extras.{0}.conv.1.0     backbone.extras.{0}.conv.1.1
    extra*_project      backbone.extras.{0}.conv.2       backbone.extras.{0}.conv.3
    map5_loc            box_head.predictor.reg_headers.5
    map5_conf           box_head.predictor.cls_headers.5
    map*_loc_depthwise  box_head.predictor.reg_headers.{0}.conv.0   box_head.predictor.reg_headers.{0}.conv.1
    map*_conf_depthwise box_head.predictor.cls_headers.{0}.conv.0   box_head.predictor.cls_headers.{0}.conv.1
    map*_loc            box_head.predictor.reg_headers.{0}.conv.3
    map*_conf           box_head.predictor.cls_headers.{0}.conv.3
"""
NAMES_MMDETECTION = """
    stem  backbone.conv1.conv  backbone.conv1.bn
    block*_expand  backbone.{1}.expand_conv.conv  backbone.{1}.expand_conv.bn
    block*_depthwise  backbone.{1}.depthwise_conv.conv  backbone.{1}.depthwise_conv.bn
    block*_project  backbone.{1}.linear_conv.conv  backbone.{1}.linear_conv.bn
    last  backbone.conv2.conv  backbone.conv2.bn
    extra*_expand  neck.extra_layers.{0}.0.conv  neck.extra_layers.{0}.0.bn
    extra*_depthwise  neck.extra_layers.{0}.1.depthwise_conv.conv  neck.extra_layers.{0}.1.depthwise_conv.bn
    extra*_project  neck.extra_layers.{0}.1.pointwise_conv.conv  neck.extra_layers.{0}.1.pointwise_conv.bn
    map*_loc_depthwise  bbox_head.reg_convs.{0}.0.conv  bbox_head.reg_convs.{0}.0.bn
    map*_conf_depthwise bbox_head.cls_convs.{0}.0.conv  bbox_head.cls_convs.{0}.0.bn
    map*_loc  bbox_head.reg_convs.{0}.1
    map*_conf  bbox_head.cls_convs.{0}.1
"""
PLACES = ["", *(f"layer{s}.{i}" for s, (*_, blocks) in enumerate(STAGES, 1) for i in range(blocks))]


class Style(NamedTuple):
    """How the convolutions of a network are made.

    Attributes:
        relu: function (name) that returns the layer after a convolution.
        epsilon: of the BatchNorms.
    """

    relu: Callable
    epsilon: float = 1e-5

    def conv(self, x, channels, kernel, name, stride=1, norm=True, bias=None, active=True):
        """Convolution (depthwise if channels is None), BatchNorm, ReLU. torch pads all sides alike."""
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_padding")(x) if kernel > 1 else x
        options = {"strides": stride, "use_bias": not norm if bias is None else bias, "name": name}
        if channels is None:
            x = layers.DepthwiseConv2D(kernel, **options)(x)
        else:
            x = layers.Conv2D(channels, kernel, **options)(x)
        x = layers.BatchNormalization(epsilon=self.epsilon, name=f"{name}_bn")(x) if norm else x
        return self.relu(name=f"{name}_relu")(x) if active else x

    def inverted_residual(self, x, inside, channels, stride, name, active=False):
        """(expansion, output); no expansion if inside is None."""
        middle = x if inside is None else self.conv(x, inside, 1, f"{name}_expand")
        x = self.conv(middle, None, 3, f"{name}_depthwise", stride)
        return middle, self.conv(x, channels, 1, f"{name}_project", active=active)


def mobilenet_v1(x, style, separable):
    """[feature map]: the outputs of blocks 11 and 13, and of the extra layers."""
    x, maps = style.conv(x, 32, 3, "stem", 2), []
    for i, (channels, stride) in enumerate(BLOCKS, start=1):
        x = style.conv(x, None, 3, f"block{i}_depthwise", stride)
        x = style.conv(x, channels, 1, f"block{i}_project")
        maps += [x] if i in (11, 13) else []
    for i, (inside, channels) in enumerate([*EXTRAS, (128, 256)]):
        x = style.conv(x, inside, 1, f"extra{i}_expand", norm=False)
        if separable:
            x = style.conv(x, None, 3, f"extra{i}_depthwise", 2, norm=False)
            x = style.conv(x, channels, 1, f"extra{i}_project", norm=False, active=False)
        else:
            x = style.conv(x, channels, 3, f"extra{i}_project", 2, norm=False)
        maps.append(x)
    return maps


def mobilenet_v2(x, style, of_expansion=False, last_extra=(64, 64), active=False):
    """[feature map]: the output of block 13 or the expansion of 14, the last layer, the extra layers.

    `active`: whether a ReLU follows each extra layer.
    """
    x, maps = style.conv(x, 32, 3, "stem", 2), []
    blocks = [(t, c, 1 if i else s) for t, c, s, n in STAGES for i in range(n)]
    for i, (expansion, channels, stride) in enumerate(blocks, start=1):
        inside = x.shape[-1] * expansion if expansion > 1 else None
        before, (middle, x) = x, style.inverted_residual(x, inside, channels, stride, f"block{i}")
        x = layers.Add()([before, x]) if stride == 1 and before.shape[-1] == channels else x
        if i == 13 + of_expansion:
            maps = [middle if of_expansion else x]
    x = style.conv(x, 1280, 1, "last")
    maps.append(x)
    for i, (inside, channels) in enumerate([*EXTRAS, last_extra]):
        _, x = style.inverted_residual(x, inside, channels, 2, f"extra{i}", active)
        maps.append(x)
    return maps


def head(x, channels, name, style, separable, norm=True, bias=True):
    """The head of a map: separable for the first `separable` maps, else one convolution."""
    if int(name.removeprefix("map")[0]) < separable:
        x = style.conv(x, None, 3, f"{name}_depthwise", norm=norm, bias=bias)
    return style.conv(x, channels, 1 if separable else 3, name, norm=False, active=False)


def anchors(size, grid, sides, steps, clip_sides):
    """`IN_CELL` anchors in each cell. Sides and steps are in pixels."""
    return mb.AnchorSpec.from_scales(
        (size, size),
        [(cells, cells) for cells in (grid, 10, 5, 3, 2, 1)],
        [side / size for side in sides],
        [(2, 3)] * 6,
        steps=steps,
        clip_sides=clip_sides,
    )


SIDES, STEPS = (60, 105, 150, 195, 240, 285, 330), (16, 32, 64, 100, 150, 300)
# Anchors and pixels of each project
PYTORCH_SSD = anchors(300, 19, SIDES, STEPS, clip_sides=True), {"mean": 127, "scale": 1 / 128}
LUFFICC = anchors(320, 20, SIDES, STEPS, clip_sides=True), {"mean": (123, 117, 104)}
MMDETECTION = (
    anchors(320, 20, (48, 100, 150, 202, 253, 304, 320), (16, 32, 64, 107, 160, 320), clip_sides=False),
    {"mean": (123.675, 116.28, 103.53), "scale": (1 / 58.395, 1 / 57.12, 1 / 57.375)},
)
RELU6 = partial(layers.ReLU, 6.0)


class Network(NamedTuple):
    """A network of a project.

    Attributes:
        sign: a tensor of it that no network after it in the table has.
        style: its `Style`.
        features: function (images, style) that returns the feature maps.
        names: of the layers in torch, as above.
        head: arguments of `head`.
        anchors: an `AnchorSpec`.
        pixels: arguments of `ImageNormalization`.
        background_last: whether the background is the last class.
    """

    sign: str
    style: Style
    features: Callable
    names: str
    head: dict
    anchors: mb.AnchorSpec
    pixels: dict
    background_last: bool = False


NETWORKS = {
    "mb2_ssd_lite": Network(
        "base_net.1.conv.0.weight",
        Style(RELU6),
        partial(mobilenet_v2, of_expansion=True),
        NAMES_2,
        {"separable": 5},
        *PYTORCH_SSD,
    ),
    "mb1_ssd_lite": Network(
        "extras.0.2.0.weight",
        Style(layers.ReLU),
        partial(mobilenet_v1, separable=True),
        NAMES_1_LITE + NAMES_1,
        {"separable": 5, "norm": False},
        *PYTORCH_SSD,
    ),
    "mb1_ssd": Network(
        "base_net.1.3.weight",
        Style(layers.ReLU),
        partial(mobilenet_v1, separable=False),
        NAMES_1,
        {"separable": 0},
        *PYTORCH_SSD,
    ),
    "mobilenet_v2_ssd320": Network(
        "backbone.extras.0.conv.0.0.weight",
        Style(RELU6),
        mobilenet_v2,
        NAMES_LUFFICC,
        {"separable": 5},
        *LUFFICC,
    ),
    "ssdlite_mobilenetv2": Network(
        "backbone.layer1.0.linear_conv.conv.weight",
        Style(RELU6, 1e-3),
        partial(mobilenet_v2, last_extra=(64, 128), active=True),
        NAMES_MMDETECTION,
        {"separable": 6, "bias": False},
        *MMDETECTION,
        background_last=True,
    ),
}


def detector(name, class_names):
    """A network of the table with random weights."""
    network = NETWORKS[name]
    style = network.style
    return mb.SSD(
        lambda x: {f"map{i}": one for i, one in enumerate(network.features(x, style))},
        class_names=class_names,
        anchors=network.anchors,
        extras=(),
        head=partial(head, style=style, **network.head),
        pixels=network.pixels,
        name=name,
    )


def name_in_torch(layer, names):
    """The module of a layer, such as "block2_project_bn" to "base_net.2.4"."""
    part = layer.removesuffix("_bn").replace("_mbox", "")
    number = next(iter(re.findall(r"\d+", part)), "")
    lines = filter(str.strip, reversed(names.splitlines()))  # of two lines for a layer, the first counts
    rows = {first: modules for first, *modules in map(str.split, lines)}
    modules = rows.get(part) or rows[part.replace(number, "*", 1)]
    return modules[layer.endswith("_bn")].format(number, PLACES[int(number)] if "block" in part else "")


def background_first(arrays, module):
    """Kernel and bias of a class head in Keras' layout; the last class of each anchor becomes the first."""
    for name in ("weight", "bias"):
        array = arrays[f"{module}.{name}"]
        array = np.roll(array.reshape(IN_CELL, -1, *array.shape[1:]), 1, axis=1).reshape(array.shape)
        yield array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def convert(path, class_names):
    """The detector of a file of weights.

    Args:
        path: of the file.
        class_names: without the background.

    Raises:
        OSError: if the file cannot be read.
        ValueError: for a damaged file, another network, width or number of classes.
    """
    arrays = mb.read_weights(path)
    name, network = next(((k, v) for k, v in NETWORKS.items() if v.sign in arrays), (None, None))
    if network is None:
        raise ValueError(
            f"{path}: expected one of {', '.join(NETWORKS)}, found none of their tensors; a VGG SSD loads "
            "with mb.SSD300(..., weights=path)"
        )
    model = detector(name, class_names)
    names = {x.name: name_in_torch(x.name, network.names) for x in model.layers if x.weights}
    outputs = len(arrays.get(f"{names['map0_mbox_conf']}.bias", ()))
    if outputs and outputs != IN_CELL * (1 + len(class_names)):
        raise ValueError(
            f"{path}: has {outputs // IN_CELL - 1} classes without the background, but the names are "
            f"{len(class_names)}: {', '.join(class_names)}"
        )
    if network.background_last:
        heads = [layer for layer in names if layer.endswith("_conf")]
        names |= {layer: [*background_first(arrays, names[layer])] for layer in heads}
    try:
        mb.load_weights(model, path, names=names)
    except ValueError as error:
        raise ValueError(f"{error} (expected {name} at its full width)") from None
    return model


def read_labels(path):
    """The names of the classes in a file, without the background.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not text, or has no class.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected a class a line, found no UTF-8 text") from None
    names = [line.strip() for line in lines if line.strip()]
    names = names[1:] if names and names[0].strip("_").lower() == "background" else names
    if not names:
        raise ValueError(f"{path}: expected a class a line, found none")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", help="file of torch, .pth")
    parser.add_argument("labels", type=Path, help="file with a class a line")
    parser.add_argument("output", type=Path, help="file to write, .keras")
    arguments = parser.parse_args()
    try:
        if arguments.output.suffix != ".keras":
            raise ValueError(f"{arguments.output}: expected a name that ends with .keras")
        with atomic(arguments.output, overwrite=False) as partial_file:
            model = convert(arguments.weights, read_labels(arguments.labels))
            model.save(partial_file)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None
    height, width = model.input_shape[1:3]
    print(f"{arguments.output}: {model.name}, {height}x{width}, {len(mb.class_names_of(model))} classes")


if __name__ == "__main__":
    main()
