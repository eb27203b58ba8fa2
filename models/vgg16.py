"""SSD300 and SSD512: VGG16 with a dilated fc6, and extra feature layers (paper, section 3 and figure 2).

Layer names are those of Caffe and of the widely used Keras port, so their weight files load by name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import keras
from keras import layers

from ..anchors import AnchorSpec, ssd300_anchors, ssd512_anchors
from ..arguments import checked
from ..layers import L2Normalization
from ..limits import NUM_CLASSES
from .builder import Request, choose_anchors, l2
from .ssd import detector_on

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .detector import Decoding

# As Caffe's published weights expect them; those of Keras have a little more exact mean.
CAFFE_PIXELS = {"mean": [123.0, 117.0, 104.0], "bgr": True}
# (channels, convolutions) of the five blocks.
VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))

# (name, channels of the 1x1, channels, kernel, stride, padding) of each extra block: <name>_1 and <name>_2.
SSD300_EXTRAS = (
    ("conv6", 256, 512, 3, 2, 1),
    ("conv7", 128, 256, 3, 2, 1),
    ("conv8", 128, 256, 3, 1, 0),
    ("conv9", 128, 256, 3, 1, 0),
)
SSD512_EXTRAS = (
    ("conv6", 256, 512, 3, 2, 1),
    ("conv7", 128, 256, 3, 2, 1),
    ("conv8", 128, 256, 3, 2, 1),
    ("conv9", 128, 256, 3, 2, 1),
    ("conv10", 128, 256, 4, 1, 1),
)


@checked(num_classes=NUM_CLASSES, weight_decay=0)
def SSD300(
    num_classes: int | None = None,
    *,
    class_names: Sequence[str | None] | None = None,
    mode: Literal["training", "inference"] = "training",
    image_size: tuple[int, int] | None = None,
    anchors: AnchorSpec | None = None,
    weight_decay: float = 5e-4,
    weights: str | os.PathLike[str] | None = None,
    channels: int = 3,
    **decoding: Unpack[Decoding],
) -> keras.Model:
    """SSD300 on VGG16: 300x300 pixels, 8732 anchors.

    Args:
        num_classes: number of object classes, background not counted (20 for Pascal VOC). None: length
            of `class_names`.
        class_names: names of the classes 1, 2, ..., stored in the model, or None.
        mode: "training": output (batch, 8732, 4 + 1 + num_classes), offsets and class logits.
            "inference": output (batch, max_detections, 6), see `to_inference`. Weights fit both.
        image_size: (height, width) of the input, at least 257 each; None: that of `anchors`, or (300, 300).
            The anchors keep their size relative to the shorter side.
        anchors: an `AnchorSpec`, such as `multibox.anchors.SSD300_COCO`; None:
            `multibox.anchors.ssd300_anchors(image_size)`.
        weight_decay: weight decay of the kernels, in the convention of Caffe and torch (gradient
            weight_decay * w).
        weights: None, a weight file of any known kind, "imagenet" or "coco"; see `load_weights`.
        channels: number of channels of the images, see `DetectionDataset.with_pixels`. Published weights are
            for three; `load_weights` extends them.
        **decoding: options of `to_inference`, for mode "inference".

    Returns:
        `keras.Model`; input 0..255, RGB first, uint8 or float.

    Raises:
        TypeError: for an unknown argument.
        FileNotFoundError: if the weight file does not exist.
        ValueError: for an unknown mode, if num_classes is not from 1 to 10,000, if the number of class names
            is not num_classes, if the anchors do not fit the feature maps, or if image_size is too small or
            not that of the anchors.
    """
    anchors = choose_anchors("ssd300", image_size, anchors, (300, 300), ssd300_anchors)
    request = Request(num_classes, class_names, mode, weights, decoding, channels)
    return _ssd("ssd300", SSD300_EXTRAS, anchors, weight_decay, request)


@checked(num_classes=NUM_CLASSES, weight_decay=0)
def SSD512(
    num_classes: int | None = None,
    *,
    class_names: Sequence[str | None] | None = None,
    mode: Literal["training", "inference"] = "training",
    image_size: tuple[int, int] | None = None,
    anchors: AnchorSpec | None = None,
    weight_decay: float = 5e-4,
    weights: str | os.PathLike[str] | None = None,
    channels: int = 3,
    **decoding: Unpack[Decoding],
) -> keras.Model:
    """SSD512 on VGG16: 512x512 pixels and 24564 anchors, or `image_size` and its `ssd512_anchors`.

    Otherwise as `SSD300`; weights="coco" is not published for it.
    """
    anchors = choose_anchors("ssd512", image_size, anchors, (512, 512), ssd512_anchors)
    request = Request(num_classes, class_names, mode, weights, decoding, channels)
    return _ssd("ssd512", SSD512_EXTRAS, anchors, weight_decay, request)


def _ssd(name, extras, anchors, weight_decay, request):
    conv = partial(_conv, regularizer=l2(weight_decay))
    backbone, head = partial(vgg16_features, extras=extras, conv=conv), partial(_head, conv=conv)
    return detector_on(backbone, request, name=name, head=head, anchors=anchors, pixels=CAFFE_PIXELS)


def vgg16_features(x, extras, conv):
    """{source: feature map}: conv4_3_norm, fc7 and the extra layers."""
    sources = {}
    for block, (channels, convolutions) in enumerate(VGG16, start=1):
        for i in range(1, convolutions + 1):
            x = conv(x, channels, 3, f"conv{block}_{i}")
        if block == 4:
            sources["conv4_3_norm"] = L2Normalization(scale=20.0, name="conv4_3_norm")(x)
        # "same" equals Caffe's ceil mode: 75 -> 38. The last pool keeps the resolution, so fc6 is dilated.
        size, strides = (3, 1) if block == 5 else (2, 2)
        x = layers.MaxPooling2D(size, strides, padding="same", name=f"pool{block}")(x)
    x = conv(x, 1024, 3, "fc6", dilation_rate=6)
    x = sources["fc7"] = conv(x, 1024, 1, "fc7")
    for name, squeeze, channels, kernel, stride, padding in extras:
        x = conv(x, squeeze, 1, f"{name}_1")
        if padding:
            # Caffe pads both sides even at stride 2, where "same" would pad only bottom and right.
            x = layers.ZeroPadding2D(padding, name=f"{name}_padding")(x)
        x = conv(x, channels, kernel, f"{name}_2", strides=stride, padding="valid")
        sources[f"{name}_2"] = x
    return sources


def _head(x, channels, name, conv):
    return conv(x, channels, 3, name, activation=None)


def _conv(x, channels, kernel, name, regularizer, padding="same", activation="relu", **kwargs):
    return layers.Conv2D(
        channels,
        kernel,
        padding=padding,
        activation=activation,
        kernel_initializer="lecun_uniform",  # Caffe calls it "xavier": uniform, scaled by fan-in
        kernel_regularizer=regularizer,
        name=name,
        **kwargs,
    )(x)
