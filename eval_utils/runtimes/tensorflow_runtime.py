"""SavedModels, run by TensorFlow."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from ...files import read_text
from ...messages import one_line
from .program import Program, as_texts

# A SavedModel has a folder for what belongs to it and TensorFlow does not read.
ABOUT = "assets.extra/about.json"
MAX_ABOUT = 32 << 20  # bytes


def open_file(path: str | os.PathLike[str]) -> Program:
    """Loads a SavedModel. Its graph is a program, which runs: load only what you trust.

    Raises:
        ValueError: if TensorFlow cannot load it, or if it holds no detector of this package.
    """
    if not Path(path, ABOUT).is_file():
        raise ValueError(f"it has no {ABOUT}")
    about = json.loads(read_text(Path(path, ABOUT), MAX_ABOUT))
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures["serving_default"]
        images = serve.structured_input_signature[1]["images"]
        shape = tuple(serve.structured_outputs["detections"].shape)
    except Exception as error:  # those of TensorFlow have no common base
        raise ValueError(f"TensorFlow cannot load this folder: {one_line(error, 300)}") from None
    if images.dtype != tf.uint8 or len(images.shape) != 4 or len(shape) != 3 or shape[2] != 6:
        raise ValueError("its input or output is another one")

    def run(batch: np.ndarray) -> np.ndarray:
        return loaded.signatures["serving_default"](images=tf.constant(batch))["detections"].numpy()

    return Program(as_texts(about), tuple(images.shape[1:]), run)
