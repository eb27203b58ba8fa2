"""Calls functions that need Keras on TensorFlow, in a second process where Keras runs on another backend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import keras

from .checking import DisagreementError

_ERRORS = {error.__name__: error for error in (DisagreementError, OSError, ValueError)}
# The package may be importable from the working directory alone, which `-c` has on its path, too.
_PROGRAM = "import sys; from {module} import main; main(*sys.argv[1:])"


def call_in_tensorflow(module: str, detector: keras.Model, **arguments: Any) -> None:
    """Calls the function `run(detector, **arguments)` of a module of this folder, on TensorFlow.

    With another backend, the detector is saved, and a process of its own loads it on TensorFlow.

    Args:
        module: name of the module.
        detector: a model that ends in `DecodeDetections`.
        **arguments: what JSON can hold.
    """
    if _is_tensorflow():
        _run(module, detector, arguments)
        return
    print("TensorFlow writes this format: the model is loaded once more, by a process of TensorFlow.")
    with tempfile.TemporaryDirectory(prefix="multibox-") as folder:
        request = Path(folder, "request.json")
        detector.save(Path(folder, "model.keras"))
        request.write_text(json.dumps({"module": module, "arguments": arguments}), encoding="utf-8")
        program = _PROGRAM.format(module=__name__)
        environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        done = subprocess.run(
            [sys.executable, "-c", program, folder], env=environment, capture_output=True, text=True
        )
        answer = Path(folder, "answer.json")
        if not answer.exists():
            lines = (done.stderr.strip() or "no message").splitlines()
            raise RuntimeError(f"export: the process of TensorFlow ended with {done.returncode}: {lines[-1]}")
        failure = json.loads(answer.read_text(encoding="utf-8"))
    if failure:
        kind, text = failure
        raise _ERRORS.get(kind, RuntimeError)(text)


def main(folder: str) -> None:
    """What the second process does: the request in a folder."""
    request = json.loads(Path(folder, "request.json").read_text(encoding="utf-8"))
    failure = None
    try:
        detector = keras.models.load_model(Path(folder, "model.keras"), compile=False)
        _run(request["module"], detector, request["arguments"])
    except Exception as error:
        kind = next((name for name, known in _ERRORS.items() if isinstance(error, known)), "")
        failure = [kind, str(error)]
    Path(folder, "answer.json").write_text(json.dumps(failure), encoding="utf-8")


def _is_tensorflow():
    return keras.backend.backend() == "tensorflow"


def _run(module, detector, arguments):
    import_module(f".{module}", __package__).run(detector, **arguments)
