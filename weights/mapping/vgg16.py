"""Maps VGG16, and SSDs with this backbone, from Caffe, torch projects and Keras to our layers."""

from itertools import product
from typing import NamedTuple

import numpy as np

from .mapped import Mapped, States, conv_kernel, has_heads

TRUNK = tuple(f"conv{block}_{i}" for block, n in enumerate((2, 2, 3, 3, 3), start=1) for i in range(1, n + 1))
BACKBONE = frozenset((*TRUNK, "fc6", "fc7"))
SOURCES = ("conv4_3_norm", "fc7", "conv6_2", "conv7_2", "conv8_2", "conv9_2")
FIRST = "conv1_1"

CAFFE_BGR = {"mean": (123.0, 117.0, 104.0), "bgr": True}
CAFFE_RGB = {"mean": (123.0, 117.0, 104.0), "bgr": False}
# torchvision divides by 255, subtracts this and multiplies by 255.
TORCHVISION_PIXELS = {"mean": tuple(255 * m for m in (0.48235, 0.45882, 0.40784))}

# Anchors of the published detectors, by (last source, number of classes including background).
CAFFE_ANCHORS = {
    ("conv9_2", 21): "SSD300_VOC",
    ("conv9_2", 81): "SSD300_COCO",
    ("conv10_2", 21): "SSD512_VOC_CAFFE",
    ("conv10_2", 81): "SSD512_COCO_CAFFE",
}

TORCHVISION = {
    **dict(zip(TRUNK[:10], [f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)], strict=True)),
    **{f"conv5_{i}": f"extra.0.{2 * i - 1}" for i in (1, 2, 3)},
    "fc6": "extra.0.7.1",
    "fc7": "extra.0.7.3",
    **{f"conv{5 + block}_{i}": f"extra.{block}.{2 * i - 2}" for block in (1, 2, 3, 4) for i in (1, 2)},
}


class Names(NamedTuple):
    """What a torch project calls the layers of SSD300 and SSD512.

    Attributes:
        origin: for messages.
        vgg: of the layers of VGG16, by their place among its modules.
        extra: of the extra layers, by block, place i in the block, or place n among all.
        norm: tensor of the scale of conv4_3.
        loc, conf: of the heads, by level.
        pixels: what the weights expect.
        background_last: whether background is the last class, not the first.
    """

    origin: str
    vgg: str
    extra: str
    norm: str
    loc: str
    conf: str
    pixels: dict
    background_last: bool = False


PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 31, 33)  # of the convolutions, fc6 and fc7 included
# Weights trained by ssd.pytorch expect RGB. Weights that were converted from Caffe have the same names but
# expect BGR: load them with `load_weights(..., channel_order="bgr")`. (Users of ssd.pytorch measured a mAP of
# 0.7247 in the wrong order, 0.7718 in the right one.)
TORCH_PROJECTS = (
    Names(
        "ssd.pytorch's SSD",
        *("vgg.{}", "extras.{n}", "L2Norm.weight", "loc.{}", "conf.{}"),
        CAFFE_RGB,
    ),
    Names(
        "the VGG SSD of qfgaohao/pytorch-ssd",
        *("base_net.{}", "extras.{block}.{twice}", "source_layer_add_ons.0.scale"),
        *("regression_headers.{}", "classification_headers.{}"),
        CAFFE_RGB,
    ),
    Names(
        "the VGG SSD of lufficc/SSD",
        *("backbone.vgg.{}", "backbone.extras.{n}", "backbone.l2_norm.weight"),
        *("box_head.predictor.reg_headers.{}", "box_head.predictor.cls_headers.{}"),
        CAFFE_RGB,
    ),
    # From version 2.14. Older files have other names, for which background is first or last.
    Names(
        "mmdetection's SSD",
        *("backbone.features.{}", "neck.extra_layers.{block}.{i}.conv", "neck.l2_norm.weight"),
        *("bbox_head.reg_convs.{}.0", "bbox_head.cls_convs.{}.0"),
        {"mean": (123.675, 116.28, 103.53)},
        background_last=True,
    ),
)
KERAS = {
    **{name: f"block{name[4]}_{name[:4]}{name[6]}" for name in TRUNK},
    "fc6": "fc1",
    "fc7": "fc2",
}


def from_caffe(layers):
    """Maps Caffe's SSD300, SSD512 and VGG16 (full, or reduced for SSD). Our layers have Caffe's names.

    VGG16 and the SSDs were trained on BGR pixels minus (104, 117, 123).
    """
    mapped = {}
    for name, arrays in layers.items():
        arrays = [
            a.reshape(-1) if i and a.ndim > 1 and a.size == a.shape[-1] else a for i, a in enumerate(arrays)
        ]
        kernel = arrays[0]
        if name == "fc6" and kernel.shape == (4096, 25088):
            kernel = kernel.reshape(4096, 512, 7, 7)
        if name == "fc7" and kernel.shape == (4096, 4096):
            kernel = kernel.reshape(4096, 4096, 1, 1)
        kernel = conv_kernel(kernel) if kernel.ndim == 4 else kernel.T
        mapped[name] = _reduced(name, [kernel, *arrays[1:]])
    detector = has_heads(mapped)
    last = "conv10_2" if "conv10_2_mbox_conf" in mapped else "conv9_2"
    outputs = mapped["conv4_3_norm_mbox_conf"][0].shape[-1] // 4 if "conv4_3_norm_mbox_conf" in mapped else 0
    return Mapped(
        "Caffe's weights",
        mapped,
        expected=None if detector else BACKBONE,
        pixels=CAFFE_BGR,
        first=FIRST,
        anchors=CAFFE_ANCHORS.get((last, outputs)),
    )


def from_torchvision(state):
    """Maps torchvision's ssd300_vgg16: RGB pixels, background as class 0."""
    states = States(state)
    layers = {ours: states.conv(f"backbone.{theirs}") for ours, theirs in TORCHVISION.items()}
    layers["conv4_3_norm"] = [states.take("backbone.scale_weight")]
    for i, source in enumerate(SOURCES):
        layers[f"{source}_mbox_loc"] = states.conv(f"head.regression_head.module_list.{i}")
        layers[f"{source}_mbox_conf"] = states.conv(f"head.classification_head.module_list.{i}")
    return Mapped(
        "torchvision's ssd300_vgg16",
        layers,
        states.unused(),
        pixels=TORCHVISION_PIXELS,
        first=FIRST,
        anchors="SSD300_TORCHVISION",
    )


def torch_project(state):
    """The `Names` whose tensors a state_dict has, or None."""
    for names in TORCH_PROJECTS:
        if {names.norm, f"{names.vgg.format(0)}.weight", f"{names.conf.format(0)}.weight"} <= state.keys():
            return names
    return None


def from_torch_project(state, names):
    """Maps SSD300 or SSD512 of a project in `TORCH_PROJECTS`."""
    states = States(state)
    layers = {
        ours: states.conv(names.vgg.format(place))
        for ours, place in zip((*TRUNK, "fc6", "fc7"), PLACES, strict=True)
    }
    layers["conv4_3_norm"] = [states.take(names.norm)]
    blocks = 5 if f"{names.loc.format(6)}.weight" in states else 4
    for block, i in product(range(blocks), range(2)):
        theirs = names.extra.format(block=block, i=i, twice=2 * i, n=2 * block + i)
        layers[f"conv{6 + block}_{i + 1}"] = states.conv(theirs)
    sources = (*SOURCES, "conv10_2")[: 2 + blocks]
    for i, source in enumerate(sources):
        layers[f"{source}_mbox_loc"] = states.conv(names.loc.format(i))
        layers[f"{source}_mbox_conf"] = states.conv(names.conf.format(i))
    if names.background_last:
        _background_first(layers, sources)
    return Mapped(names.origin, layers, states.unused(), pixels=names.pixels, first=FIRST)


def _background_first(layers, sources):
    """Moves the last class of each anchor to the front."""
    for source in sources:
        anchors = layers[f"{source}_mbox_loc"][0].shape[-1] // 4
        heads = layers[f"{source}_mbox_conf"]
        if not anchors or heads[0].shape[-1] % anchors:
            raise ValueError(f"expected the classes of {anchors} anchors in the heads of {source}")
        layers[f"{source}_mbox_conf"] = [
            np.roll(a.reshape(*a.shape[:-1], anchors, -1), 1, axis=-1).reshape(a.shape) for a in heads
        ]


def from_keras(layers):
    """Maps keras.applications' VGG16, trained on Caffe's pixels. fc6 and fc7 need the file with the top."""
    mapped = {}
    for ours, theirs in KERAS.items():
        if theirs in layers:
            kernel, *rest = layers[theirs]
            if theirs == "fc1" and kernel.shape == (25088, 4096):
                kernel = kernel.reshape(7, 7, 512, 4096)
            if theirs == "fc2" and kernel.shape == (4096, 4096):
                kernel = kernel.reshape(1, 1, 4096, 4096)
            mapped[ours] = _reduced(ours, [kernel, *rest])
    unused = [name for name in layers if name not in KERAS.values()]
    # The file without the top ("notop") has neither fc6 nor fc7.
    expected = BACKBONE if BACKBONE & {"fc6", "fc7"} & set(mapped) else frozenset(TRUNK)
    return Mapped(
        "Keras' VGG16 for ImageNet", mapped, unused, expected=expected, pixels=CAFFE_BGR, first=FIRST
    )


def _reduced(name, arrays):
    """Subsamples fc6 and fc7 of the classifier for the dilated convolutions of the SSD (paper, section 3).

    The decimation is that of DeepLab (Chen et al., 2015). It keeps every fourth of the 4096 channels (0, 4,
    ..., 4092), and every third row and column of fc6's 7x7 window (0, 3, 6). The result has not been compared
    with Caffe's published "fc reduced" file, which may contain other numbers.
    """
    kernel = arrays[0]
    if name == "fc6" and kernel.shape == (7, 7, 512, 4096):
        return [kernel[::3, ::3, :, ::4], *(a[::4] for a in arrays[1:])]
    if name == "fc7" and kernel.shape == (1, 1, 4096, 4096):
        return [kernel[:, :, ::4, ::4], *(a[::4] for a in arrays[1:])]
    return arrays


def channel_order(mapped, order):
    """Sets the channel order that the first layer of a `Mapped` expects: "rgb" or "bgr"."""
    if order not in ("rgb", "bgr"):
        raise ValueError(f'channel_order must be "rgb" or "bgr", got {order!r}')
    if mapped.pixels is None:
        raise ValueError(f"channel_order cannot be set for {mapped.origin}, which are loaded unchanged")
    mapped.pixels = {**mapped.pixels, "bgr": order == "bgr"}
    return mapped
