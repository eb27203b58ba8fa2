"""SSDLite: separable heads on a light backbone (Sandler et al., "MobileNetV2", section 6.2).

With MobileNetV3-Large the network is torchvision's ssdlite320_mobilenet_v3_large. With the other
backbones it has the same extra layers, heads and anchors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import keras

from ..anchors import AnchorSpec, ssdlite_anchors
from ..arguments import checked
from ..limits import ALPHA, MIN_DEPTH, NUM_CLASSES
from ..weights.mapping.efficientnet_lite import PIXELS as LITE_PIXELS
from .builder import Request, choose_anchors, l2
from .conv_bn import scaled
from .efficientnet_lite import SCALES, efficientnet_lite_features
from .heads import EXTRAS
from .mobilenet_v2 import mobilenet_v2_features
from .mobilenet_v3 import mobilenet_v3_features
from .ssd import detector_on

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .detector import Decoding

# Name of the model, function (image, alpha, regularizer) that returns the feature maps at strides 16 and 32,
# and pixels that it expects.
BACKBONES = {
    "mobilenet_v3_large": ("ssdlite", mobilenet_v3_features, "tf"),
    "mobilenet_v2": ("ssdlite_mobilenet_v2", mobilenet_v2_features, "tf"),
    **{
        version: (f"ssdlite_{version}", partial(efficientnet_lite_features, version=version), LITE_PIXELS)
        for version in SCALES
    },
}


@checked(num_classes=NUM_CLASSES, alpha=ALPHA, min_depth=MIN_DEPTH, weight_decay=0)
def SSDLite(
    num_classes: int | None = None,
    *,
    class_names: Sequence[str | None] | None = None,
    mode: Literal["training", "inference"] = "training",
    image_size: tuple[int, int] | None = None,
    anchors: AnchorSpec | None = None,
    alpha: float = 1.0,
    min_depth: int = 16,
    freeze_batch_norm: bool = False,
    weight_decay: float = 4e-5,
    weights: str | os.PathLike[str] | None = None,
    backbone: Literal[
        "mobilenet_v3_large", "mobilenet_v2", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"
    ] = "mobilenet_v3_large",
    channels: int = 3,
    **decoding: Unpack[Decoding],
) -> keras.Model:
    """SSDLite on MobileNetV3-Large, MobileNetV2 or an EfficientNet-Lite: 320x320 pixels, 3234 anchors.

    Args:
        num_classes: number of object classes, background not counted. None: length of `class_names`.
        class_names: names of the classes 1, 2, ..., stored in the model, or None.
        mode: "training" or "inference", see `SSD300`.
        image_size: (height, width) of the input; None: that of `anchors`, or (320, 320).
        anchors: an `AnchorSpec`; None: `multibox.anchors.ssdlite_anchors(image_size)`.
        alpha: width: multiplies the channels of the backbone and of the extra layers. The first and the last
            layer of an EfficientNet-Lite keep theirs, as its authors have it.
        min_depth: minimum number of channels of an extra layer.
        freeze_batch_norm: whether the BatchNorms of the backbone keep their statistics, scale and offset in a
            training, see `SSD`.
        weight_decay: weight decay of the kernels, in the convention of torch (gradient weight_decay * w).
        weights: None, a weight file of any known kind, "imagenet" or "coco"; see `load_weights`. Only
            MobileNetV3-Large has "coco".
        backbone: "mobilenet_v3_large", "mobilenet_v2", or "efficientnet_lite0" to "efficientnet_lite2". The
            ImageNet weights of the last three come with the extra `pretrained` of this package, those of the
            others are downloaded.
        channels: number of channels of the images, see `DetectionDataset.with_pixels`. Published weights are
            for three; `load_weights` extends them.
        **decoding: options of `to_inference`, for mode "inference".

    Returns:
        `keras.Model`; input 0..255, RGB first, uint8 or float.

    Raises:
        ValueError: for alpha outside 0..16, min_depth outside 1..4096, an unknown backbone, and as `SSD300`.
    """
    if alpha <= 0:
        raise ValueError(f"ssdlite: alpha must be above 0, got {alpha}")
    name, features, pixels = BACKBONES[backbone]
    request = Request(num_classes, class_names, mode, weights, decoding, channels)
    return detector_on(
        partial(features, alpha=alpha, regularizer=l2(weight_decay)),
        request,
        name=name,
        extras=[scaled(depth, alpha, min_depth) for depth in EXTRAS],
        head="separable",
        anchors=choose_anchors(name, image_size, anchors, (320, 320), ssdlite_anchors),
        pixels=pixels,
        freeze_batch_norm=freeze_batch_norm,
        weight_decay=weight_decay,
    )
