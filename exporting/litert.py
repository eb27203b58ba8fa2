"""Writes a detector to a LiteRT file (`.tflite`), and the decoder detect.py beside it."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from ..eval_utils.exported import ExportedDetector
from ..eval_utils.runtimes import detect, litert_runtime
from ..files import atomic, check_absent
from ..layers.multibox import multibox_of
from .checking import check_decoder, check_network, noise
from .in_tensorflow import call_in_tensorflow
from .job import Job
from .metadata import about

DECODER = "detect.py"
# Largest differences of offsets and logits, as a share of the largest. Eight bits are coarse: this finds a
# file that computes something else, and only the mAP tells what the rounding costs.
TOLERANCES = {"float32": None, "float16": 0.05, "dynamic": 0.5, "int8": 0.5}


def write(job: Job) -> None:
    """Writes both files, and runs the network beside Keras before they get their names."""
    script = job.path.with_name(DECODER)
    content = Path(detect.__file__).read_text(encoding="utf-8")
    same = script.is_file() and script.read_text(encoding="utf-8") == content
    if not (same or job.overwrite):
        check_absent([script])
    with atomic(job.path, job.overwrite) as partial:
        images = _convert(job, partial)
        _append(job.detector, partial)
        _check(job, partial, images)
        with atomic(script) as partial_script:
            partial_script.write_text(content, encoding="utf-8")


def _convert(job, path):
    """Writes the network; returns the images that the file is checked with."""
    with tempfile.TemporaryDirectory(prefix="multibox-") as folder:
        images, array = None, None
        if job.images is not None:
            array = np.stack(list(job.images()))
            images = str(Path(folder, "images.npy"))
            np.save(images, array)
        call_in_tensorflow(
            "litert_conversion", job.detector, path=str(path), precision=job.precision, images=images
        )
    return noise(job.detector.input_shape[1:]) if array is None else array[:2]


def _append(detector, path):
    """Appends a ZIP archive. TensorFlow Lite files carry what belongs to them in this way."""
    anchors = multibox_of(detector).anchors
    facts = {**about(detector), "variances": [float(v) for v in anchors.variances]}
    names = facts["class_names"] or [str(i + 1) for i in range(facts["num_classes"])]
    numbers = io.BytesIO()
    np.save(numbers, np.asarray(anchors.cxcywh, np.float32))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("about.json", json.dumps(facts, ensure_ascii=False, indent=1))
        archive.writestr("labels.txt", "".join(f"{name}\n" for name in names))
        archive.writestr("anchors.npy", numbers.getvalue())


def _check(job, path, images):
    """Compares the network in the file with that of Keras, and then both decoders on the same numbers.

    Those of the file would not do: among numbers of 8 bits many are equal, and it is open which comes first.
    """
    ExportedDetector(str(path), litert_runtime.open_file(path)).predict_on_batch(images)
    tool = detect.Detector(path)
    outputs = [tool.runner(images=image[None]) for image in images]
    predictions = np.concatenate([np.concatenate([o["offsets"], o["logits"]], axis=-1) for o in outputs])
    expected = np.asarray(check_network(job.detector, images, predictions, TOLERANCES[job.precision]))
    found = [tool.decode(numbers[:, :4], numbers[:, 4:]) for numbers in expected]
    limit = job.detector.output_shape[1]
    padded = [np.pad(rows, ((0, limit - len(rows)), (0, 0))) for rows in found]
    check_decoder(job.detector, expected, np.stack(padded))
