"""`Job`: one export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np


class Job(NamedTuple):
    """One export.

    Attributes:
        detector: a model that ends in `DecodeDetections`.
        path: path of the file or folder to be written.
        overwrite: whether one that is there may be replaced.
        precision: what the file computes in, one of the format's.
        images: function that yields images (height, width, channels) uint8 of the detector's size for the
            calibration, or None.
    """

    detector: keras.Model
    path: Path
    overwrite: bool
    precision: str
    images: Callable[[], Iterator[np.ndarray]] | None = None
