"""SSD on MobileNet v1 and v2 as the TensorFlow Object Detection API builds it, for 300x300 pixels.

Huang et al., "Speed/accuracy trade-offs for modern convolutional object detectors"; with separable heads
Sandler et al., "MobileNetV2", section 6.2.
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
from .conv_bn import conv_bn, kaiming_normal, normal_003, scaled
from .heads import EXTRAS, RARE_LOGIT
from .mobilenet_v1 import mobilenet_v1_features
from .mobilenet_v2 import mobilenet_v2_features
from .ssd import detector_on

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .detector import Decoding

# Name of the model, for each backbone.
NAMES = {"mobilenet_v1": "ssd_mobilenet", "mobilenet_v2": "ssd_mobilenet_v2"}


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
    backbone: Literal["mobilenet_v1", "mobilenet_v2"] = "mobilenet_v1",
    head: Literal["pointwise", "conv", "separable"] = "pointwise",
    separable_extras: bool = False,
    channels: int = 3,
    **decoding: Unpack[Decoding],
) -> keras.Model:
    """SSD on MobileNet v1 or v2: 300x300 pixels, 1917 anchors, a sigmoid for each class.

    The networks of the TensorFlow Object Detection API, and its names for them:

    | | backbone | head | separable_extras |
    |---|---|---|---|
    | `ssd_mobilenet_v1_coco` | "mobilenet_v1" | "pointwise" | False |
    | `ssd_mobilenet_v2_coco` | "mobilenet_v2" | "conv" | True |
    | `ssd_mobilenet_v2_320x320_coco17` | "mobilenet_v2" | "pointwise" | False |
    | `ssdlite_mobilenet_v2_coco` | "mobilenet_v2" | "separable" | True |

    A `pipeline.config` has them as `kernel_size` and `use_depthwise` of the box predictor and as
    `use_depthwise` of the feature extractor.

    Args:
        num_classes: number of object classes, background not counted (90 for COCO as the API counts them).
            None: length of `class_names`.
        class_names: names of the classes 1, 2, ..., stored in the model, or None.
        mode: "training" or "inference", see `SSD300`.
        image_size: (height, width) of the input; None: that of `anchors`, or (300, 300).
        anchors: an `AnchorSpec`; None: `multibox.anchors.ssd_mobilenet_anchors(image_size)`.
        alpha: width ("depth multiplier"): multiplies the channels of the backbone and of the extra layers.
        min_depth: minimum number of channels of a layer, but of the expansions of MobileNet v2.
        batch_norm: whether a BatchNorm follows each convolution.

            * True: as the network was trained.
            * False: a bias instead. Weights whose BatchNorm is folded into kernel and bias need it, also for
              fine-tuning. All quantized files are folded. (A BatchNorm initialized to the identity would
              normalize by the statistics of the batch and so undo the weights.)
        activation: "sigmoid", as in the API, or "softmax". A newly initialized class head learns with either.
        weight_decay: weight decay of the kernels (gradient weight_decay * w).
        weights: None, a file for `load_weights`, "imagenet" (alpha 1.0; MobileNet v1 also 0.75, 0.5, or
            0.25 with min_depth=8) or "coco" (MobileNet v1, 90 classes, alpha=0.75, batch_norm=False).
        backbone: "mobilenet_v1" or "mobilenet_v2".
        head: "pointwise", a 1x1 convolution; "conv", a 3x3 convolution; or "separable", a depthwise 3x3 and a
            1x1 convolution, as in SSDLite.
        separable_extras: whether the 3x3 convolutions of the extra layers are separable, too.
        channels: number of channels of the images, see `DetectionDataset.with_pixels`. Published weights are
            for three; `load_weights` extends them.
        **decoding: options of `to_inference`, for mode "inference".

    Returns:
        `keras.Model`; input 0..255, RGB first, uint8 or float.

    Raises:
        ValueError: for alpha outside 0..16, min_depth outside 1..4096, an unknown activation, backbone or
            head, and as `SSD300`.
    """
    name = NAMES[backbone]
    if alpha <= 0:
        raise ValueError(f"{name}: alpha must be above 0, got {alpha}")
    options = {"regularizer": l2(weight_decay), "batch_norm": batch_norm}

    def features(x):
        # With fan-in, the signal keeps its magnitude through all layers even without BatchNorm.
        init = {"kernel_init": partial(kaiming_normal, mode="fan_in"), **options}
        if backbone == "mobilenet_v1":
            sources = mobilenet_v1_features(x, alpha, min_depth, **init)
        else:
            sources = mobilenet_v2_features(x, alpha, min_depth, last_alpha=alpha, **init)
        x = list(sources.values())[-1]
        for i, channels in enumerate(EXTRAS, start=1):
            widths = [scaled(width, alpha, min_depth) for width in (channels // 2, channels)]
            x = sources[f"extra{i}"] = extra_layer(x, *widths, f"extra{i}", separable_extras, **options)
        return sources

    class_bias = RARE_LOGIT if activation == "sigmoid" else 0.0
    request = Request(num_classes, class_names, mode, weights, decoding, channels)
    return detector_on(
        features,
        request,
        name=name,
        head=partial(mobilenet_head, kind=head, class_bias=class_bias, **options),
        anchors=choose_anchors(name, image_size, anchors, (300, 300), ssd_mobilenet_anchors),
        pixels="tf",
        activation=activation,
    )


def extra_layer(x, reduced, channels, name, is_separable, **options):
    """A 1x1 convolution, then a 3x3 or a separable one at stride 2."""
    options = {"kernel_init": normal_003, "activation": "relu6", "padding": "same", **options}
    x = conv_bn(x, reduced, 1, f"{name}_reduce", **options)
    if is_separable:
        x = conv_bn(x, None, 3, f"{name}_depthwise", stride=2, **options)
        return conv_bn(x, channels, 1, f"{name}_expand", **options)
    return conv_bn(x, channels, 3, f"{name}_expand", stride=2, **options)


def mobilenet_head(x, channels, name, kind, class_bias, **options):
    """The head of a map. The bias of a class head is initialized to `class_bias`."""
    if kind == "separable":
        x = conv_bn(x, None, 3, f"{name}_depthwise", normal_003, activation="relu6", **options)
    return layers.Conv2D(
        channels,
        3 if kind == "conv" else 1,
        padding="same",
        kernel_initializer=normal_003(),
        kernel_regularizer=options["regularizer"],
        bias_initializer=keras.initializers.Constant(class_bias if name.endswith("_mbox_conf") else 0.0),
        name=name,
    )(x)
