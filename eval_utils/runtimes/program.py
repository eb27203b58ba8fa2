"""`Program`: an exported detector as its runtime has loaded it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# What is a text by nature. Everything else is written as JSON where a format has texts only.
_PLAIN = {"anchors_sha256", "multibox_version", "licence"}


class Program(NamedTuple):
    """An exported detector as its runtime has loaded it.

    Attributes:
        metadata: {key: text} of the file.
        image_shape: (height, width, channels) of its input.
        run: function from (batch, height, width, channels) uint8 to (batch, max_detections, 6) float32 rows
            [class_id, score, xmin, ymin, xmax, ymax].
    """

    metadata: dict[str, str]
    image_shape: tuple[int, int, int]
    run: Callable[[np.ndarray], np.ndarray]


def as_texts(about: dict[str, Any]) -> dict[str, str]:
    """What a file says about its detector, as {key: text}."""
    return {
        key: value if key in _PLAIN and isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in about.items()
    }
