"""Writes a detector as a folder for a web server: a page that finds objects in the browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

from .. import __version__
from ..files import new_folder
from ..layers import DecodeDetections
from ..layers.multibox import multibox_of
from . import onnx_file
from .folders import check_ours
from .job import Job
from .metadata import LICENCE
from .web_runtime import SCRIPT, VERSION, WASM, runtime_files

MODEL, ABOUT = "model.onnx", "about.json"
CHANNELS = 3  # of a picture in a browser
_TEMPLATES = Path(__file__).parent / "templates"


def write(job: Job) -> None:
    """Writes the folder. The ONNX file in it is checked as that of the format "onnx"."""
    *_, channels = job.detector.input_shape
    if channels != CHANNELS:
        raise ValueError(
            f"export: pictures in a browser have {CHANNELS} channels, the model takes {channels}"
        )
    pages = {path.name: path.read_bytes() for path in _TEMPLATES.iterdir() if path.is_file()}
    if job.overwrite:
        check_ours(job.path, ABOUT, {MODEL, ABOUT, SCRIPT, WASM, *pages})
    runtime = runtime_files()
    with new_folder(job.path, job.overwrite) as folder:
        onnx_file.write(job._replace(path=folder / MODEL))
        for name, content in {**pages, **runtime}.items():
            (folder / name).write_bytes(content)
        sizes = {name: (folder / name).stat().st_size for name in (MODEL, WASM)}
        text = json.dumps(_about(job.detector, sizes), indent=1)
        (folder / ABOUT).write_text(text, encoding="utf-8")


def _about(detector: keras.Model, sizes: dict[str, int]) -> dict[str, Any]:
    """What the page must know, since a browser cannot read the metadata of the ONNX file."""
    multibox = multibox_of(detector)
    (decoding,) = (layer for layer in detector.layers if isinstance(layer, DecodeDetections))
    return {
        "name": detector.name,
        "image_size": multibox.anchors.image_size,
        "num_classes": multibox.num_classes,
        "class_names": multibox.class_names,
        "confidence_threshold": decoding.confidence_threshold,
        "bytes": sizes,
        "multibox_version": __version__,
        "onnxruntime_web_version": VERSION,
        "licence": LICENCE,
    }
