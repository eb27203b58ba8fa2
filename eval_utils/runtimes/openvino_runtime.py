"""OpenVINO's intermediate representation, an `.xml` file and a `.bin` file beside it, run by OpenVINO."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from ...files import read_bytes
from ...messages import one_line
from .program import Program

METADATA = "multibox"  # part of the file's information that has the texts about the detector
MAX_XML, MAX_WEIGHTS = 64 << 20, 2 << 30  # bytes; SSD512 has 0.6 MB and 110 MB
_START = re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]{0,200}\?>\s*)?<net\s")


def open_file(path: str | os.PathLike[str]) -> Program:
    """Loads an `.xml` file with the `.bin` file beside it.

    Raises:
        FileNotFoundError: if there is no `.bin` file.
        ValueError: if OpenVINO cannot load them, or if its input or output is none of a detector.
    """
    return open_pair(path, weights_path(path))


def weights_path(path: str | os.PathLike[str]) -> Path:
    """The `.bin` file that belongs to an `.xml` file."""
    return Path(path).with_suffix(".bin")


def open_pair(path: str | os.PathLike[str], weights: str | os.PathLike[str]) -> Program:
    """As `open_file`, with a `.bin` file of any name."""
    content = read_bytes(path, MAX_XML)
    if not _START.match(content):
        raise ValueError("it is no model of OpenVINO, which begins with <net>")
    model, compiled = _compiled(content, _weights(weights))
    shapes = [tensor.get_partial_shape() for tensor in (*model.inputs, *model.outputs)]
    fits = [len(shape) for shape in shapes] == [4, 3] and str(shapes[1][2]) == "6"
    whole = fits and all(side.is_static for side in list(shapes[0])[1:])
    if not whole or model.input().get_element_type().to_dtype() != np.uint8:
        raise ValueError("its input or output is another one")

    def run(images: np.ndarray) -> np.ndarray:
        return compiled(images)[0]

    height, width, channels = (side.get_length() for side in list(shapes[0])[1:])
    return Program(_metadata(model), (height, width, channels), run)


def _weights(path):
    try:
        return read_bytes(path, MAX_WEIGHTS)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file; it has the weights of the .xml file") from None


def _compiled(content, weights):
    import openvino

    core = openvino.Core()
    try:
        model = core.read_model(content, weights)
        return model, core.compile_model(model, "CPU")
    except (RuntimeError, ValueError) as error:
        fault = one_line(" ".join(str(error).split()), 300)
    raise ValueError(f"OpenVINO cannot load this file: {fault}")


def _metadata(model):
    if not model.has_rt_info([METADATA]):
        return {}
    return {key: value.astype(str) for key, value in model.get_rt_info([METADATA]).astype(dict).items()}
