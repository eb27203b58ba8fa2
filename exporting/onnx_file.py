"""Writes a detector to an ONNX file."""

from __future__ import annotations

import numpy as np

from .. import __version__
from ..eval_utils.exported import ExportedDetector
from ..eval_utils.runtimes.onnx_runtime import open_file
from ..files import atomic
from .checking import check_outputs, noise
from .job import Job
from .metadata import metadata_of
from .network import IMAGE, onnx_model


def write(job: Job) -> None:
    """Writes the file, and runs it beside Keras before it gets its name."""
    content = onnx_model(job.detector, __version__, metadata_of(job.detector)).SerializeToString()
    images = noise(job.detector.input_shape[1:])
    with atomic(job.path, job.overwrite) as partial:
        partial.write_bytes(content)
        found = ExportedDetector(str(partial), open_file(partial)).predict_on_batch(images)
        check_outputs(job.detector, images, _predictions(job.detector, images), found)


def _predictions(detector, images):
    """Offsets and logits of the network in the file."""
    import onnxruntime

    inner = onnx_model(detector, __version__, {}, inner=True).SerializeToString()
    session = onnxruntime.InferenceSession(inner, providers=["CPUExecutionProvider"])
    _, offsets, logits = session.run(None, {IMAGE: images})
    return np.concatenate([offsets, logits], axis=-1)
