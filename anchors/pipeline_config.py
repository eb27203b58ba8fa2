"""Anchors as the `pipeline.config` of the TensorFlow Object Detection API describes them."""

from __future__ import annotations

import math
import os

from ..arguments import checked
from ..files import read_text
from ..messages import one_line
from .networks import object_detection_levels
from .spec import AnchorSpec
from .text_message import parse_text_message

MAX_CONFIG = 1 << 20  # bytes; a file has 5 kB
KNOWN = {
    *("num_layers", "min_scale", "max_scale", "aspect_ratios"),
    *("reduce_boxes_in_lowest_layer", "interpolated_scale_aspect_ratio"),
}


@checked()
def pipeline_anchors(path: str | os.PathLike[str]) -> AnchorSpec:
    """`AnchorSpec` of an SSD of the TensorFlow Object Detection API, from its `pipeline.config`.

    Reads the size of the images, the anchors (`ssd_anchor_generator`) and the factors of the boxes
    (`faster_rcnn_box_coder`). The finest feature map has stride 16; each further one is half as large.

    Args:
        path: path of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for another file, anchors of another kind, or images of no fixed size.
    """
    try:
        return _spec(parse_text_message(read_text(path, MAX_CONFIG)))
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(f"{os.fspath(path)}: ") else f"{path}: {text}") from None


def _spec(config):
    ssd = _message(config, "model", "ssd")
    resizer = _message(ssd, "image_resizer", "fixed_shape_resizer")
    size = tuple(int(_number(resizer, side, 300)) for side in ("height", "width"))
    generator = _message(ssd, "anchor_generator", "ssd_anchor_generator")
    if unknown := sorted(generator.keys() - KNOWN):
        raise ValueError(f"ssd_anchor_generator: {one_line(', '.join(unknown))} is not supported")
    count = int(_number(generator, "num_layers", 6))
    if not 2 <= count <= 12:
        raise ValueError(f"ssd_anchor_generator: num_layers must be 2 to 12, got {count}")
    low, high = _number(generator, "min_scale", 0.2), _number(generator, "max_scale", 0.95)
    levels = object_detection_levels(
        size,
        [*(low + (high - low) * i / (count - 1) for i in range(count)), 1.0],
        [_positive("aspect_ratios", one) for one in generator.get("aspect_ratios", [])],
        reduce_lowest=generator.get("reduce_boxes_in_lowest_layer", ["true"])[-1] in ("true", "True", "1"),
        middle_ratio=_number(generator, "interpolated_scale_aspect_ratio", 1.0),
    )
    coder = _message(ssd, "box_coder", "faster_rcnn_box_coder")
    factors = (("x_scale", 10), ("y_scale", 10), ("width_scale", 5), ("height_scale", 5))
    return AnchorSpec(size, levels, tuple(1 / _number(coder, name, default) for name, default in factors))


def _message(config, *names):
    for name in names:
        inner = config.get(name, [None])[-1]
        if not isinstance(inner, dict):
            found = one_line(", ".join(config) or "nothing", 200)
            raise ValueError(f"expected a pipeline.config with {name}, found {found}")
        config = inner
    return config


def _number(config, name, default):
    return _positive(name, config.get(name, [default])[-1])


def _positive(name, text):
    try:
        number = float(text)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(f"{name}: expected a positive number, got {one_line(text)}")
    return number
