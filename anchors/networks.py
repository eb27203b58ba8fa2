"""The anchors of the networks, for any image size, and as named specs for the sizes of the papers.

Liu et al., section 2.2 and the authors' code for SSD300 and SSD512; Fu et al., "DSSD", for SSD321 and SSD513;
torchvision for SSDLite; the TensorFlow Object Detection API for SSD MobileNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..arguments import checked
from .spec import AnchorLevel, AnchorSpec, image_hw

SSD300_VOC_SCALES = (0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05)
SSD300_COCO_SCALES = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
SSD512_VOC_SCALES = (0.07, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05)
SSD512_COCO_SCALES = (0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06)


@checked()
def ssd300_anchors(
    image_size: tuple[int, int], scales: Sequence[float] = SSD300_VOC_SCALES, *, clip_sides: bool = False
) -> AnchorSpec:
    """`AnchorSpec` of SSD300 for any (height, width) from 257 pixels: strides 8 to 64, then two 3x3 borders.

    Args:
        image_size: (height, width) in pixels.
        scales: seven scales, relative to the shorter image side, such as `SSD300_COCO_SCALES`.
        clip_sides: see `AnchorSpec.from_scales`.

    Raises:
        ValueError: if a side is below 257 pixels: the last feature map would be empty.
    """
    image_size = _at_least(257, image_size, "ssd300_anchors")
    grids = _halved(image_size, first=3, last=6)
    # Two 3x3 convolutions without padding.
    grids += [tuple(cells - border for cells in grids[-1]) for border in (2, 4)]
    return AnchorSpec.from_scales(
        image_size,
        grids,
        scales,
        aspect_ratios=[(2,), (2, 3), (2, 3), (2, 3), (2,), (2,)],
        steps=(8, 16, 32, 64, None, None),
        clip_sides=clip_sides,
    )


@checked()
def ssd512_anchors(image_size: tuple[int, int], scales: Sequence[float] = SSD512_VOC_SCALES) -> AnchorSpec:
    """`AnchorSpec` of SSD512 for any (height, width) from 257 pixels: strides 8 to 256, then a 4x4 kernel.

    Args:
        image_size: (height, width) in pixels.
        scales: eight scales, relative to the shorter image side, such as `SSD512_COCO_SCALES`.

    Raises:
        ValueError: if a side is below 257 pixels: the last feature map would be empty.
    """
    image_size = _at_least(257, image_size, "ssd512_anchors")
    grids = _halved(image_size, first=3, last=8)
    grids.append(tuple(cells - 1 for cells in grids[-1]))  # kernel 4, padding 1
    return AnchorSpec.from_scales(
        image_size,
        grids,
        scales,
        aspect_ratios=[(2,), (2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)],
        steps=(8, 16, 32, 64, 128, 256, None),
    )


@checked()
def ssd321_anchors(image_size: tuple[int, int], scales: Sequence[float] = SSD300_VOC_SCALES) -> AnchorSpec:
    """`AnchorSpec` of SSD321 and DSSD321 for any (height, width) from 195 pixels: strides 8, 16, 32, ...

    Each cell has eight anchors, of the ratios 1, 1.6, 2, 3 and their inverses (Fu et al., "Training"). The
    paper gives no scales: they are those of SSD300.

    Args:
        image_size: (height, width) in pixels.
        scales: seven scales, relative to the shorter image side.

    Raises:
        ValueError: if a side is below 195 pixels: the last feature maps would have the same size.
    """
    return _resnet_anchors(_at_least(195, image_size, "ssd321_anchors"), scales, extras=4)


@checked()
def ssd513_anchors(image_size: tuple[int, int], scales: Sequence[float] = SSD512_VOC_SCALES) -> AnchorSpec:
    """`AnchorSpec` of SSD513 for any (height, width) from 387 pixels, otherwise as `ssd321_anchors`.

    Args:
        image_size: (height, width) in pixels.
        scales: eight scales, relative to the shorter image side.

    Raises:
        ValueError: if a side is below 387 pixels: the last feature maps would have the same size.
    """
    return _resnet_anchors(_at_least(387, image_size, "ssd513_anchors"), scales, extras=5)


@checked()
def ssdlite_anchors(
    image_size: tuple[int, int], scales: Sequence[float] = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
) -> AnchorSpec:
    """`AnchorSpec` of SSDLite for any (height, width): strides 16 and 32, then four halvings.

    Args:
        image_size: (height, width) in pixels.
        scales: seven scales, relative to the shorter image side.
    """
    image_size = image_hw(image_size)
    return AnchorSpec.from_scales(
        image_size,
        _halved(image_size, first=4, last=9),
        scales,
        aspect_ratios=[(2, 3)] * 6,
        clip_sides=True,
    )


@checked()
def ssd7_anchors(
    image_size: tuple[int, int], scales: Sequence[float] = (0.08, 0.16, 0.32, 0.64, 0.96)
) -> AnchorSpec:
    """`AnchorSpec` of SSD7 for any (height, width): strides 8 to 64, ratios 1, 2 and 1/2.

    The default scales suit images of about 300 pixels. In smaller images the cells are coarser relative to
    the image. Larger scales (two to four strides) then give each object more matching anchors.
    """
    image_size = image_hw(image_size)
    return AnchorSpec.from_scales(
        image_size,
        _halved(image_size, first=3, last=6),
        scales,
        aspect_ratios=[(2,)] * 4,
        steps=(8, 16, 32, 64),
    )


@checked()
def ssd_mobilenet_anchors(
    image_size: tuple[int, int], min_scale: float = 0.2, max_scale: float = 0.95
) -> AnchorSpec:
    """`AnchorSpec` of SSD MobileNet for any (height, width): strides 16 and 32, then four halvings.

    The rule is that of the TensorFlow Object Detection API (`create_ssd_anchors`). It differs from the paper
    in the order within a cell and in the finest level, which has three anchors per cell instead of six.

    Args:
        image_size: (height, width) in pixels.
        min_scale: side of the boxes of the first level, relative to the shorter image side.
        max_scale: side of the boxes of the last level; the levels in between are evenly spaced.
    """
    if min_scale <= 0 or max_scale <= 0:
        raise ValueError(
            "ssd_mobilenet_anchors: min_scale and max_scale must be positive, "
            f"got {min_scale} and {max_scale}"
        )
    scales = [*np.linspace(min_scale, max_scale, 6).tolist(), 1.0]
    return AnchorSpec(
        image_size, object_detection_levels(image_hw(image_size), scales, (1.0, 2.0, 0.5, 3.0, 0.3333))
    )


def object_detection_levels(
    image_size: tuple[int, int],
    scales: Sequence[float],
    ratios: Sequence[float],
    *,
    reduce_lowest: bool = True,
    middle_ratio: float = 1.0,
) -> tuple[AnchorLevel, ...]:
    """Levels by the rule of the TensorFlow Object Detection API, at strides 16, 32, ...

    Args:
        image_size: (height, width) in pixels.
        scales: of each level, and one more, relative to the shorter image side.
        ratios: width / height of the boxes of a cell.
        reduce_lowest: whether the finest level has three boxes in a cell, of other scales.
        middle_ratio: ratio of one more box, whose scale is between that of the level and the next one.
    """
    height, width = image_size
    levels = []
    grids = _halved(image_size, first=4, last=2 + len(scales))
    for k, (grid, (s, s_next)) in enumerate(zip(grids, pairwise(scales), strict=True)):
        shapes = [*((s, ratio) for ratio in ratios), (np.sqrt(s * s_next), middle_ratio)]
        if k == 0 and reduce_lowest:
            shapes = [(0.1, 1.0), (s, 2.0), (s, 0.5)]
        scale, ratio = np.array(shapes).T * np.array([[min(height, width)], [1.0]])
        sides = np.stack([scale * np.sqrt(ratio), scale / np.sqrt(ratio)], axis=1)
        step = (height / grid[0], width / grid[1])
        levels.append(AnchorLevel(grid, tuple(map(tuple, sides.tolist())), step))
    return tuple(levels)


@checked()
def paper_anchors(
    image_size: tuple[int, int],
    grids: Sequence[tuple[int, int]],
    *,
    min_scale: float = 0.2,
    max_scale: float = 0.9,
) -> AnchorSpec:
    """`AnchorSpec` by the paper's rule (section 2.2, equation 4) for any feature maps.

    The scales of the levels are evenly spaced. Each cell has six anchors, of the ratios 1, 2, 1/2, 3 and 1/3.

    Args:
        image_size: (height, width) in pixels.
        grids: (rows, columns) of each level, fine to coarse.
        min_scale: side of the boxes of the first level, relative to the shorter image side.
        max_scale: side of the boxes of the last level.

    Raises:
        ValueError: if a scale is not positive, or max_scale is below min_scale.
    """
    if not len(grids):
        raise ValueError("paper_anchors: grids must have at least one (rows, columns), got none")
    if not 0 < min_scale <= max_scale:
        raise ValueError(
            f"paper_anchors: expected 0 < min_scale <= max_scale, got {min_scale} and {max_scale}"
        )
    step = (max_scale - min_scale) / max(1, len(grids) - 1)
    scales = [min_scale + step * k for k in range(len(grids) + 1)]
    return AnchorSpec.from_scales(image_size, grids, scales, aspect_ratios=[(2, 3)] * len(grids))


def _resnet_anchors(image_size, scales, extras):
    # The first pooling of ResNet rounds down, all other halvings up.
    grids = [tuple(-(-(-(-side // 2) // 2) // 2) for side in image_size)]
    for _ in range(1 + extras):
        # From 3 cells to one, as the residual extra layers do.
        grids.append(tuple(1 if cells == 3 else -(-cells // 2) for cells in grids[-1]))
    return AnchorSpec.from_scales(image_size, grids, scales, aspect_ratios=[(1.6, 2, 3)] * len(grids))


def _halved(image_size, first, last):
    """[(rows, columns)] after `first` to `last` halvings, each of which rounds up, as "same" padding does."""
    return [tuple(-(-side // 2**count) for side in image_size) for count in range(first, last + 1)]


def _at_least(smallest, image_size, owner):
    height, width = image_hw(image_size)
    if min(height, width) < smallest:
        raise ValueError(f"{owner}: each side must have at least {smallest} pixels, got {height}x{width}")
    return height, width


SSD300_VOC = ssd300_anchors((300, 300))
SSD300_COCO = ssd300_anchors((300, 300), SSD300_COCO_SCALES)
SSD512_VOC = ssd512_anchors((512, 512))
SSD512_COCO = ssd512_anchors((512, 512), SSD512_COCO_SCALES)

# For weights of the original Caffe. Its PriorBox layer stores sizes as whole pixels (`int min_size_`), so
# 0.07 of 512 is 35 instead of 35.84. The sizes of SSD300 are whole numbers anyway.
SSD512_VOC_CAFFE = ssd512_anchors(
    (512, 512), [pixels / 512 for pixels in (35, 76, 153, 230, 307, 384, 460, 537)]
)
SSD512_COCO_CAFFE = ssd512_anchors(
    (512, 512), [pixels / 512 for pixels in (20, 51, 133, 215, 296, 378, 460, 542)]
)
# For weights of torchvision, which limits the sides of the largest anchors to those of the image.
SSD300_TORCHVISION = ssd300_anchors((300, 300), SSD300_COCO_SCALES, clip_sides=True)
SSDLITE320 = ssdlite_anchors((320, 320))
SSD_MOBILENET_V1 = ssd_mobilenet_anchors((300, 300))
