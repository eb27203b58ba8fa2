"""ONNX files, run by ONNX Runtime."""

from __future__ import annotations

import os

import numpy as np

from ...files import read_bytes
from ...messages import one_line
from .program import Program

MAX_FILE = 2 << 30  # bytes; a Protocol Buffers file has no more
_ERRORS_ONLY = 3


def open_file(path: str | os.PathLike[str]) -> Program:
    """Loads an ONNX file.

    Raises:
        ValueError: if ONNX Runtime cannot load it, or if its input or output is none of a detector.
    """
    session = _session(read_bytes(path, MAX_FILE))
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shapes = [tuple(tensor.shape) for tensor in (*inputs, *outputs)]
    fits = len(shapes) == 2 and [len(shape) for shape in shapes] == [4, 3] and shapes[1][2] == 6
    whole = fits and all(isinstance(side, int) for side in shapes[0][1:])
    if not whole or inputs[0].type != "tensor(uint8)":
        raise ValueError("its input or output is another one")

    def run(images: np.ndarray) -> np.ndarray:
        return session.run(None, {inputs[0].name: images})[0]

    return Program(dict(session.get_modelmeta().custom_metadata_map), shapes[0][1:], run)


def _session(content):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of ONNX Runtime's errors have no common base
        fault = one_line(" ".join(str(error).split()), 300)
    raise ValueError(f"ONNX Runtime cannot load this file: {fault}")
