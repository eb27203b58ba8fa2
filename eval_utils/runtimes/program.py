"""`Program`: an exported detector as its runtime has loaded it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


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
