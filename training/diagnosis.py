"""When a loss became NaN: the batch as the network saw it, and what the layers made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np

from ..data_generator import DataGenerator
from ..files import atomic
from ..layers.multibox import unwrapped
from .gradients import loss_and_gradients


def diagnose(model: keras.Model, data: Any, folder: Path, *, epoch: int, step: int, what: str) -> str:
    """Writes a folder about the step at which a value was not finite.

    * `batch.jpg`: the images with their boxes, as the network saw them.
    * `report.json`: the images' names, the learning rate, the loss of the batch, the largest activation of
      each layer and the largest gradient of each weight.

    All of it is for the last good weights, since nothing can be seen in weights that are NaN.

    Args:
        model: the model with its last good weights.
        data: the training data. Only a `DataGenerator` can make a batch again.
        folder: the folder to write.
        epoch: number of the epoch, from 0.
        step: number of the step in it, from 0.
        what: what was not finite.

    Returns:
        The likely cause, in one sentence.
    """
    report = {
        "what": what,
        "epoch": epoch,
        "step": step,
        "learning_rate": float(model.optimizer.learning_rate),
    }
    if isinstance(data, DataGenerator):
        samples = _samples(data, epoch, step)
        data.epoch = epoch
        images, targets = data[step]
        report |= _of_batch(model, images, targets)
        report["images"] = [annotation["image_id"] for annotation in samples[1]]
        _draw(*samples, data.dataset.class_names, folder / "batch.jpg")
    report["cause"] = _cause(report)
    with atomic(folder / "report.json") as partial:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))  # NaN becomes null
    return report["cause"]


def _samples(data, epoch, step):
    """The images of a batch with their annotations, for which the generator has no place beside targets."""
    plain = DataGenerator(
        data.dataset,
        data.batch_size,
        data.transform,
        shuffle=data.shuffle,
        seed=data.seed,
        workers=0,
        on_error=data.on_error,
        repeat_factors=data.repeat_factors,
        host=data.host,
    )
    plain.epoch = epoch
    return plain[step]


def _of_batch(model, images, targets):
    network = unwrapped(model)
    outputs = [layer.output for layer in network.layers]
    activations = keras.Model(network.inputs[0], outputs).predict_on_batch(images)
    loss, gradients = loss_and_gradients(model, images, targets)
    return {
        "targets_are_finite": bool(np.isfinite(targets).all()),
        "loss_of_batch": float(loss),
        "largest_activations": {
            layer.name: _largest(values) for layer, values in zip(network.layers, activations, strict=True)
        },
        "largest_gradients": {
            weight.path: _largest(values)
            for weight, values in zip(model.trainable_variables, gradients, strict=True)
        },
    }


def _largest(values):
    """The largest absolute value; NaN and infinity count as the largest."""
    return float(np.abs(np.asarray(values, np.float32)).max(initial=0))


def _cause(report):
    """The likely cause, in one sentence."""
    rate = f"{report['learning_rate']:g}"
    if "loss_of_batch" not in report:
        return f"the learning rate {rate} may be too high"
    if not report["targets_are_finite"]:
        return "the targets of the batch are not finite: look at the boxes of its images"
    bad = [name for name, value in report["largest_activations"].items() if not np.isfinite(value)]
    if bad:
        return f"already with the last good weights, the output of the layer {bad[0]} is not finite"
    if not np.isfinite(report["loss_of_batch"]):
        return "already with the last good weights, the loss of this batch is not finite"
    name, value = max(report["largest_gradients"].items(), key=lambda item: item[1])
    if not np.isfinite(value):
        return f"the loss of the batch is finite, the gradient of {name} is not"
    return (
        f"with the last good weights, the loss of the batch is {report['loss_of_batch']:.4g} and the largest "
        f"gradient {value:.3g} ({name}); since then the weights have diverged: the learning rate {rate} is "
        "probably too high"
    )


def _draw(images, annotations, class_names, path):
    from matplotlib.figure import Figure

    from ..data_generator import Record
    from ..eval_utils import plot_detections

    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(3 * columns, 3 * rows), layout="tight")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for cell in axes:
        cell.set_axis_off()
    height, width = images.shape[1:3]
    for cell, image, known in zip(axes, images, annotations, strict=False):
        boxes = np.asarray(known["boxes"], np.float32).reshape(-1, 4) * [width, height, width, height]
        labels = np.asarray(known["labels"], np.int32)
        record = Record(known["image_id"], lambda: None, width, height, boxes, labels)
        plot_detections(image, ground_truth=record, class_names=class_names, axes=cell)
        cell.set_title(str(known["image_id"])[-30:], fontsize=7, parse_math=False)
    with atomic(path) as partial:
        figure.savefig(partial, dpi=100)
