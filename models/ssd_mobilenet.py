"""SSD MobileNet v1 as the TensorFlow Object Detection API builds it (`ssd_mobilenet_v1`, 300x300 pixels).

Huang et al., "Speed/accuracy trade-offs for modern convolutional object detectors".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import keras
from keras import layers

from ..anchors import AnchorSpec, ssd_mobilenet_anchors
from ..arguments import checked
from ..limits import ALPHA, MIN_DEPTH, NUM_CLASSES
from .builder import Request, choose_anchors, l2
from .conv_bn import conv_bn, kaiming_normal, normal_003
from .heads import RARE_LOGIT
from .mobilenet_v1 import mobilenet_v1_features
from .ssd import detector_on

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .detector import Decoding

EXTRAS = (512, 256, 256, 128)  # channels of the extra layers, each at half the resolution


@checked(num_classes=NUM_CLASSES, alpha=ALPHA, min_depth=MIN_DEPTH, weight_decay=0)
def SSDMobileNet(
    num_classes: int | None = None,
    *,
    class_names: Sequence[str | None] | None = None,
    mode: Literal["training", "inference"] = "training",
    image_size: tuple[int, int] | None = None,
    anchors: AnchorSpec | None = None,
    alpha: float = 1.0,
    min_depth: int = 16,
    batch_norm: bool = True,
    activation: Literal["softmax", "sigmoid"] = "sigmoid",
    weight_decay: float = 4e-5,
    weights: str | os.PathLike[str] | None = None,
    channels: int = 3,
    **decoding: Unpack[Decoding],
) -> keras.Model:
    """SSD on MobileNet v1: 300x300 pixels, 1917 anchors, 1x1 heads, a sigmoid for each class.

    Args:
        num_classes: number of object classes, background not counted (90 for COCO as the API counts them).
            None: length of `class_names`.
        class_names: names of the classes 1, 2, ..., stored in the model, or None.
        mode: "training" or "inference", see `SSD300`.
        image_size: (height, width) of the input; None: that of `anchors`, or (300, 300).
        anchors: an `AnchorSpec`; None: `multibox.anchors.ssd_mobilenet_anchors(image_size)`.
        alpha: width ("depth multiplier"): multiplies the channels of the backbone and of the extra layers.
        min_depth: minimum number of channels of a layer.
        batch_norm: whether a BatchNorm follows each convolution.

            * True: as the network was trained.
            * False: a bias instead. Weights whose BatchNorm is folded into kernel and bias need it, also for
              fine-tuning. All quantized files are folded. (A BatchNorm initialized to the identity would
              normalize by the statistics of the batch and so undo the weights.)
        activation: "sigmoid", as in the API, or "softmax". A newly initialized class head learns with either.
        weight_decay: weight decay of the kernels (gradient weight_decay * w).
        weights: None, a weight file of any known kind, "imagenet" (alpha 1.0, 0.75, 0.5 or 0.25) or "coco"
            (90 classes, alpha=0.75, batch_norm=False); see `load_weights`.
        channels: number of channels of the images, see `DetectionDataset.with_pixels`. Published weights are
            for three; `load_weights` extends them.
        **decoding: options of `to_inference`, for mode "inference".

    Returns:
        `keras.Model`; input 0..255, RGB first, uint8 or float.

    Raises:
        ValueError: for alpha outside 0..16, min_depth outside 1..4096, an unknown activation, and as
            `SSD300`.
    """
    name = "ssd_mobilenet"
    if alpha <= 0:
        raise ValueError(f"{name}: alpha must be above 0, got {alpha}")

    def depth(channels):
        return max(min_depth, int(channels * alpha))

    regularizer = l2(weight_decay)
    options = {"regularizer": regularizer, "batch_norm": batch_norm}

    # With fan-in, the signal keeps its magnitude through 27 layers even without BatchNorm.
    kernel_init = partial(kaiming_normal, mode="fan_in")

    def backbone(x):
        sources = mobilenet_v1_features(x, depth, kernel_init=kernel_init, **options)
        x = sources["conv_pw_13"]
        for i, channels in enumerate(EXTRAS, start=1):
            x = sources[f"extra{i}"] = extra_layer(x, depth, channels, f"extra{i}", **options)
        return sources

    head = partial(
        pointwise_head, regularizer=regularizer, class_bias=RARE_LOGIT if activation == "sigmoid" else 0.0
    )
    request = Request(num_classes, class_names, mode, weights, decoding, channels)
    return detector_on(
        backbone,
        request,
        name=name,
        head=head,
        anchors=choose_anchors(name, image_size, anchors, (300, 300), ssd_mobilenet_anchors),
        pixels="tf",
        activation=activation,
    )


def extra_layer(x, depth, channels, name, **options):
    """A 1x1 convolution, then a 3x3 convolution at stride 2."""
    options = {"kernel_init": normal_003, "activation": "relu6", "padding": "same", **options}
    x = conv_bn(x, depth(channels // 2), 1, f"{name}_reduce", **options)
    return conv_bn(x, depth(channels), 3, f"{name}_expand", stride=2, **options)


def pointwise_head(x, channels, name, regularizer, class_bias):
    """A 1x1 convolution. The bias of a class head is initialized to `class_bias`."""
    return layers.Conv2D(
        channels,
        1,
        kernel_initializer=normal_003(),
        kernel_regularizer=regularizer,
        bias_initializer=keras.initializers.Constant(class_bias if name.endswith("_mbox_conf") else 0.0),
        name=name,
    )(x)
