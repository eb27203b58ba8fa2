"""SSD7: seven small convolutions for quick experiments on a CPU, with any input size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import keras
from keras import layers

from ..anchors import AnchorSpec, ssd7_anchors
from ..arguments import checked
from ..layers import BatchNormalization
from ..limits import NUM_CLASSES
from .builder import Request, choose_anchors, l2
from .ssd import detector_on

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .detector import Decoding

# (channels, kernel). A pool follows each convolution but the last; the last four have heads.
CONVOLUTIONS = ((32, 5), (48, 3), (64, 3), (64, 3), (48, 3), (48, 3), (32, 3))
FIRST_SOURCE = 4
BN_MOMENTUM = 0.9  # in a short training, the statistics must follow the weights quickly


@checked(num_classes=NUM_CLASSES, weight_decay=0)
def SSD7(
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
    """SSD7: seven convolutions with BatchNorm and ELU, feature maps at strides 8, 16, 32 and 64.

    Args:
        num_classes: number of object classes, background not counted. None: length of `class_names`.
        class_names: names of the classes 1, 2, ..., stored in the model, or None.
        mode: "training" or "inference", see `SSD300`.
        image_size: (height, width) of the input; None: that of `anchors`, or (300, 300).
        anchors: an `AnchorSpec`; None: `ssd7_anchors(image_size)`.
        weight_decay: weight decay of the kernels (gradient weight_decay * w).
        weights: None, or a weight file of any known kind, see `load_weights`. None are published for SSD7.
        channels: number of channels of the images, see `DetectionDataset.with_pixels`.
        **decoding: options of `to_inference`, for mode "inference".

    Returns:
        `keras.Model`; input 0..255, RGB first, uint8 or float.

    Raises:
        ValueError: as `SSD300`, and if image_size is not that of the anchors.
    """
    anchors = choose_anchors("ssd7", image_size, anchors, (300, 300), ssd7_anchors)
    conv = partial(
        layers.Conv2D, padding="same", kernel_initializer="he_normal", kernel_regularizer=l2(weight_decay)
    )

    def backbone(x):
        sources = {}
        for i, (channels, kernel) in enumerate(CONVOLUTIONS, start=1):
            if i > 1:
                # "same" rounds up, so the cells cover images of any size.
                x = layers.MaxPooling2D(2, padding="same", name=f"pool{i - 1}")(x)
            x = conv(channels, kernel, use_bias=False, name=f"conv{i}")(x)
            x = BatchNormalization(momentum=BN_MOMENTUM, name=f"bn{i}")(x)
            x = layers.Activation("elu", name=f"elu{i}")(x)
            if i >= FIRST_SOURCE:
                sources[f"conv{i}"] = x
        return sources

    def head(x, channels, name):
        return conv(channels, 3, name=name)(x)

    request = Request(num_classes, class_names, mode, weights, decoding, channels)
    return detector_on(backbone, request, name="ssd7", head=head, anchors=anchors, pixels="tf")
