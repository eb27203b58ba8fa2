"""`python -m multibox.profiling.worker TASK`: measures one row of a benchmark and prints it as JSON."""

from __future__ import annotations

import json
import os
import platform
import sys

import keras

from ..layers.multibox import multibox_layers
from ..messages import printable
from ..models.precision import set_precision
from .benchmark import MARK
from .chosen import chosen_model
from .compiled import compiled, time_in_turn
from .memory import accelerator_peak_bytes, peak_bytes, resident_bytes
from .parts import random_images
from .structure import complexity


def measure(task: dict) -> dict:
    """The numbers of a `BenchmarkRow`, and "machine"."""
    size = task["image_size"]
    start = resident_bytes()
    size = None if size is None else tuple(size)
    model = chosen_model(task["model"], classes=task["classes"], image_size=size)
    counted = complexity(model)
    _set_precision(model, task)
    images = keras.ops.convert_to_tensor(random_images(model, task["batch_size"]))
    run = compiled(model)
    seconds = time_in_turn({"model": lambda: run([images])}, task["rounds"])["model"]
    return {
        "input_shape": counted.input_shape,
        "milliseconds": 1e3 * seconds,
        "peak_bytes": accelerator_peak_bytes() or peak_bytes() - start,
        "parameters": counted.parameters,
        "multiply_adds": counted.multiply_adds,
        "machine": machine(),
    }


def _set_precision(model, task):
    if multibox_layers(model):
        set_precision(model, task["precision"], "benchmark")
        return
    policies = {layer.dtype_policy.name for layer in model.layers if layer.weights}
    if policies and task["precision"] not in policies:
        raise ValueError(
            f"{task['model']}: a model of another package keeps the precision that it was built with, "
            f"{', '.join(sorted(policies))}"
        )


def machine() -> dict:
    """What the numbers depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "backend": f"{keras.config.backend()} with Keras {keras.version()}",
        "python": f"Python {platform.python_version()}",
        "processor": f"{platform.machine()}, {cores} cores",
        "device": _device(),
    }


def _device():
    if keras.config.backend() == "jax":
        import jax

        return jax.local_devices()[0].device_kind
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(gpus[0])["device_name"] if gpus else "CPU"
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def main() -> None:
    """Prints the numbers, or {"error": ...}, in one line."""
    task = json.loads(sys.argv[1])
    try:
        result = measure(task)
    except Exception as error:  # of any kind: a backend's own, if memory ends
        result = {"error": printable(" ".join(str(error).split()) or type(error).__name__, 300)}
    print(MARK + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
