"""Writes a detector as a TensorFlow SavedModel."""

from __future__ import annotations

import json

from ..eval_utils.exported import ExportedDetector
from ..eval_utils.runtimes.tensorflow_runtime import ABOUT, open_file
from ..files import new_folder
from .checking import noise
from .folders import check_ours
from .in_tensorflow import call_in_tensorflow
from .job import Job
from .metadata import about

GRAPH = "saved_model.pb"
NAMES = (GRAPH, "fingerprint.pb", "variables", "assets", "assets.extra")


def write(job: Job) -> None:
    """Writes the folder, and runs it beside Keras on TensorFlow before it gets its name."""
    if job.overwrite:
        check_ours(job.path, GRAPH, NAMES)
    with new_folder(job.path, job.overwrite) as partial:
        call_in_tensorflow("saved_model_writing", job.detector, folder=str(partial))
        facts = partial / ABOUT
        facts.parent.mkdir()
        facts.write_text(json.dumps(about(job.detector), ensure_ascii=False, indent=1), encoding="utf-8")
        images = noise(job.detector.input_shape[1:])
        ExportedDetector(str(partial), open_file(partial)).predict_on_batch(images)
