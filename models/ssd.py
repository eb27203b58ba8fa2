"""`SSD`: the recipe of the paper on any backbone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import keras

from ..anchors import AnchorSpec, image_hw
from ..arguments import check_bounds, checked
from ..limits import NUM_CLASSES
from .backbones import check_order, feature_maps, maps_of_function
from .builder import Request, build_ssd, check_size, l2
from .deconvolution import deconvolution
from .feature_pyramid import feature_pyramid
from .graph import functional_of
from .heads import EXTRAS, Heads
from .pixels import PIXELS, pixels_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .detector import Decoding

MIN_EXTRA = {"residual": 4}  # channels, otherwise 2: a layer has a quarter or half of them inside
IMAGE_SIZE = (300, 300)  # of a backbone that takes any
SOURCES = (16, 32)  # strides of a `keras.Model`


@checked(num_classes=NUM_CLASSES, weight_decay=0)
def SSD(
    backbone: keras.Model | Callable,
    num_classes: int | None = None,
    *,
    class_names: Sequence[str | None] | None = None,
    mode: Literal["training", "inference"] = "training",
    image_size: tuple[int, int] | None = None,
    sources: Sequence[int | str] | None = None,
    extras: Sequence[int] = EXTRAS,
    neck: Literal["fpn", "deconvolution"] | None = None,
    head: Literal["conv", "separable", "shared", "residual"] | Callable = "conv",
    anchors: AnchorSpec | None = None,
    pixels: str | dict[str, Any] | None = None,
    activation: Literal["softmax", "sigmoid"] = "softmax",
    freeze_batch_norm: bool = False,
    weight_decay: float = 4e-5,
    weights: str | os.PathLike[str] | None = None,
    channels: int = 3,
    name: str = "ssd",
    **decoding: Unpack[Decoding],
) -> keras.Model:
    """SSD on any backbone (paper, section 2.1): feature maps, extra layers, and a head on each.

    Example:

    ```python
    size = (320, 320, 3)
    backbone = keras.applications.MobileNetV2(include_top=False, input_shape=size)
    model = mb.SSD(backbone, class_names=["cat", "dog"], head="separable")
    ```

    Args:
        backbone: a functional `keras.Model` without a classifier, such as those of `keras.applications`. Its
            layers and weights are copied. Or a function from the normalized images to {name: feature map},
            fine to coarse.
        num_classes: number of object classes, background not counted. None: length of `class_names`.
        class_names: names of the classes 1, 2, ..., stored in the model, or None.
        mode: "training" or "inference", see `SSD300`.
        image_size: (height, width) of the input. None: that of `anchors` or of the backbone, or (300, 300).
        sources: what of a `keras.Model` has heads, fine to coarse: names of layers, or strides. The map of a
            stride is the last one at that resolution that all later layers depend on. None: (16, 32). All
            that a function returns has heads.
        extras: for each extra layer its number of channels, at least 2. Each halves rows and columns.
        neck: None; "fpn", a feature pyramid of 256 channels on the sources, for small objects; or
            "deconvolution", as in DSSD: 512 channels on the sources and all extra layers but the last.
        head: "conv", a 3x3 convolution as in the paper; "separable", as in SSDLite; "shared", four 3x3
            convolutions and a last one, the same for all levels, as in RetinaNet; or "residual", a residual
            block before the 3x3 convolutions, as in SSD321. "shared" needs maps of the same number of
            channels: neck="fpn" and 256 for each of the extras. The extra layers are like the heads:
            separable or residual ones, or plain convolutions. Or a function (feature map, channels, name)
            that returns the head's output, at the resolution of the map; the name is that of the map and
            "_mbox_loc" or "_mbox_conf".
        anchors: an `AnchorSpec` for these feature maps; None: `multibox.anchors.paper_anchors`.
        pixels: what the backbone expects: "caffe", "torch", "tf" or "none", in the sense of
            `keras.applications`, or arguments of `ImageNormalization`. None: as the family of
            `keras.applications` expects it, and "tf" for a function.
        activation: "softmax" or "sigmoid", see `MultiBox`.
        freeze_batch_norm: whether the BatchNorms of the backbone keep their statistics, scale and offset in a
            training. Batches of a few images have other statistics than those of the pretraining.
        weight_decay: weight decay of the new kernels (gradient weight_decay * w).
        weights: None, or a weight file for the whole detector, see `load_weights`.
        channels: number of channels of the images, see `DetectionDataset.with_pixels`.
        name: name of the model.
        **decoding: options of `to_inference`, for mode "inference".

    Returns:
        `keras.Model`; input 0..255, RGB first, uint8 or float.

    Raises:
        TypeError: for a function that returns something else.
        ValueError: for a backbone with a classifier, of another input size or with other channels, or in the
            format channels_first; for unknown layers or strides, maps that do not get coarser, anchors that
            do not fit, pixels that are not known; and as `SSD300`.
    """
    request = Request(num_classes, class_names, mode, weights, decoding, channels)
    return detector_on(
        backbone,
        request,
        name=name,
        image_size=image_size,
        sources=sources,
        extras=extras,
        neck=neck,
        head=head,
        anchors=anchors,
        pixels=pixels,
        activation=activation,
        freeze_batch_norm=freeze_batch_norm,
        weight_decay=weight_decay,
    )


def detector_on(
    backbone: keras.Model | Callable,
    request: Request,
    *,
    name: str,
    image_size: tuple[int, int] | None = None,
    sources: Sequence[int | str] | None = None,
    extras: Sequence[int] = (),
    neck: Literal["fpn", "deconvolution"] | None = None,
    head: Literal["conv", "separable", "shared", "residual"] | Callable = "conv",
    anchors: AnchorSpec | None = None,
    pixels: str | dict[str, Any] | None = None,
    activation: Literal["softmax", "sigmoid"] = "softmax",
    freeze_batch_norm: bool = False,
    weight_decay: float = 0.0,
) -> keras.Model:
    """`SSD` with the arguments that all model functions have in a `Request`. The named networks call it."""
    is_model = isinstance(backbone, keras.Model)
    if is_model:
        functional_of(backbone, "SSD")  # only of such a model are the feature maps known
    elif sources is not None:
        raise ValueError(
            "SSD: sources are layers or strides of a keras.Model; a function returns the maps that have heads"
        )
    sources = SOURCES if sources is None else sources
    if not len(sources):
        raise ValueError("SSD: sources must have at least one layer or stride, got none")
    pixels = pixels_of(backbone, pixels, "SSD") if is_model or pixels is not None else PIXELS["tf"]
    if is_model:  # may have a layer that is called normalization
        pixels = {"name": "image_normalization", **pixels}
    heads = Heads("conv" if callable(head) else head, activation, l2(weight_decay))
    for depth in extras:
        check_bounds("SSD: each of extras", depth, MIN_EXTRA.get(heads.kind, 2))

    def features(x):
        maps = feature_maps(backbone, x, sources, "SSD") if is_model else maps_of_function(backbone, x, "SSD")
        if freeze_batch_norm:
            _freeze_batch_norm(x, maps)
        if neck == "fpn":
            maps = feature_pyramid(maps, l2(weight_decay))
        x = list(maps.values())[-1]
        for i, depth in enumerate(extras, start=1):
            x = maps[f"extra{i}"] = heads.extra(x, depth, f"extra{i}")
        check_order(maps.items(), "SSD")
        return deconvolution(maps, l2(weight_decay)) if neck == "deconvolution" else maps

    if anchors is not None and image_size is not None:
        check_size("SSD", image_size, anchors)
    size = _image_size(backbone, image_size)
    head = head if callable(head) else heads.head
    return build_ssd(name, features, head, pixels, anchors, request, activation, size)


def _image_size(backbone, image_size):
    if image_size is None and isinstance(backbone, keras.Model):
        height, width = backbone.inputs[0].shape[1:3]
        image_size = None if None in (height, width) else (height, width)
    return IMAGE_SIZE if image_size is None else image_hw(image_size)


def _freeze_batch_norm(image, maps):
    layers = list(keras.Model(image, [*maps.values()]).layers)
    for layer in layers:
        if isinstance(layer, keras.Model):
            layers += layer.layers  # which the loop comes to
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
