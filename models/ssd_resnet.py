"""SSD321, SSD513 and DSSD321: SSD on ResNet-101 (Fu et al., "DSSD: Deconvolutional Single Shot Detector").

Of the paper, sections 3 and 4: conv3_x and the dilated conv5_x of ResNet-101, residual extra layers of 1024
channels, prediction modules (c), deconvolution modules, and the ratios 1.6, 2 and 3 of all anchors. Where the
paper is silent, this is as in SSD300 and SSD512: heads of 3x3 kernels, the scales of the anchors, and no
padding from 3x3 cells to one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import keras

from ..anchors import AnchorSpec, ssd321_anchors, ssd513_anchors
from ..arguments import checked
from ..limits import NUM_CLASSES
from .builder import Request, choose_anchors
from .resnet import dilated_resnet101
from .ssd import detector_on

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .detector import Decoding


class Variant(NamedTuple):
    """What differs between these networks.

    Attributes:
        side: of the default input, in pixels.
        anchors_at: function from (height, width) to the anchors.
        extras: channels of the extra layers.
        neck: of `SSD`.
    """

    side: int
    anchors_at: Callable[[tuple[int, int]], AnchorSpec]
    extras: tuple[int, ...]
    neck: Any = None


VARIANTS = {
    "ssd321": Variant(321, ssd321_anchors, (1024,) * 4),
    "ssd513": Variant(513, ssd513_anchors, (1024,) * 5),
    "dssd321": Variant(321, ssd321_anchors, (1024,) * 4, "deconvolution"),
}


@checked(num_classes=NUM_CLASSES, weight_decay=0)
def SSD321(
    num_classes: int | None = None,
    *,
    class_names: Sequence[str | None] | None = None,
    mode: Literal["training", "inference"] = "training",
    image_size: tuple[int, int] | None = None,
    anchors: AnchorSpec | None = None,
    freeze_batch_norm: bool = False,
    weight_decay: float = 5e-4,
    weights: str | os.PathLike[str] | None = None,
    channels: int = 3,
    **decoding: Unpack[Decoding],
) -> keras.Model:
    """SSD on ResNet-101: 321x321 pixels, 17080 anchors, residual extra layers and prediction modules.

    Args:
        num_classes: number of object classes, background not counted. None: length of `class_names`.
        class_names: names of the classes 1, 2, ..., stored in the model, or None.
        mode: "training" or "inference", see `SSD300`.
        image_size: (height, width) of the input, at least 195 each; None: that of `anchors`, or (321, 321).
        anchors: an `AnchorSpec`; None: `multibox.anchors.ssd321_anchors(image_size)`.
        freeze_batch_norm: whether the BatchNorms of ResNet-101 keep their statistics, scale and offset in a
            training, see `SSD`.
        weight_decay: weight decay of the kernels after ResNet-101 (gradient weight_decay * w).
        weights: None, a weight file of any known kind, or "imagenet" (the backbone); see `load_weights`.
        channels: number of channels of the images, see `DetectionDataset.with_pixels`. Published weights are
            for three; `load_weights` extends them.
        **decoding: options of `to_inference`, for mode "inference".

    Returns:
        `keras.Model`; input 0..255, RGB first, uint8 or float.

    Raises:
        ValueError: as `SSD300`.
    """
    request = Request(num_classes, class_names, mode, weights, decoding, channels)
    training = {"freeze_batch_norm": freeze_batch_norm, "weight_decay": weight_decay}
    return _ssd("ssd321", request, image_size, anchors, **training)


@checked(num_classes=NUM_CLASSES, weight_decay=0)
def SSD513(
    num_classes: int | None = None,
    *,
    class_names: Sequence[str | None] | None = None,
    mode: Literal["training", "inference"] = "training",
    image_size: tuple[int, int] | None = None,
    anchors: AnchorSpec | None = None,
    freeze_batch_norm: bool = False,
    weight_decay: float = 5e-4,
    weights: str | os.PathLike[str] | None = None,
    channels: int = 3,
    **decoding: Unpack[Decoding],
) -> keras.Model:
    """SSD on ResNet-101: 513x513 pixels and 43688 anchors, or `image_size` and its `ssd513_anchors`.

    An input has at least 387 pixels at each side. Otherwise as `SSD321`.
    """
    request = Request(num_classes, class_names, mode, weights, decoding, channels)
    training = {"freeze_batch_norm": freeze_batch_norm, "weight_decay": weight_decay}
    return _ssd("ssd513", request, image_size, anchors, **training)


@checked(num_classes=NUM_CLASSES, weight_decay=0)
def DSSD321(
    num_classes: int | None = None,
    *,
    class_names: Sequence[str | None] | None = None,
    mode: Literal["training", "inference"] = "training",
    image_size: tuple[int, int] | None = None,
    anchors: AnchorSpec | None = None,
    freeze_batch_norm: bool = False,
    weight_decay: float = 5e-4,
    weights: str | os.PathLike[str] | None = None,
    channels: int = 3,
    **decoding: Unpack[Decoding],
) -> keras.Model:
    """DSSD on ResNet-101: `SSD321` with deconvolution modules before its heads.

    For small objects, as coarse maps tell the fine ones what they see. Otherwise as `SSD321`.
    """
    request = Request(num_classes, class_names, mode, weights, decoding, channels)
    training = {"freeze_batch_norm": freeze_batch_norm, "weight_decay": weight_decay}
    return _ssd("dssd321", request, image_size, anchors, **training)


def _ssd(name, request, image_size, anchors, **training):
    variant = VARIANTS[name]
    return detector_on(
        dilated_resnet101,
        request,
        name=name,
        extras=variant.extras,
        neck=variant.neck,
        head="residual",
        anchors=choose_anchors(name, image_size, anchors, (variant.side,) * 2, variant.anchors_at),
        pixels="caffe",
        **training,
    )
