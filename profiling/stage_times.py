"""Measures the stages of a detector: where the time of a forward pass and of a training step goes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from .. import recipes
from ..arguments import checked
from ..data_generator import GroundTruthEncoder
from ..eval_utils.metrics.tables import markdown_table
from ..layers.multibox import multibox_of
from ..models.detector import as_detector
from ..training import loss_of
from . import parts
from .compiled import compiled, time_in_turn
from .tables import text_table

OBJECTS = 3  # in each image of a training step


@dataclass(frozen=True)
class StageTimes:
    """The result of `measure_stages`, in seconds for a batch. `print(result)` shows tables with shares.

    Attributes:
        name: name of the model.
        backend: Keras' backend.
        batch_size: images in the batch.
        rounds: timed runs, of which each time is the median.
        forward: {stage: time of that stage alone}.
        forward_whole: a forward pass in one piece, with decoding.
        forward_kernels: its convolutions alone, without activations.
        training: {part: time}, where "backward and the rest" is what the others leave of the step; empty if
            not measured.
        training_step: a training step in one piece.
        training_kernels: its convolutions alone, forward and backward.
        encoding: matching and encoding of the batch's objects, which workers do beside the steps.
    """

    name: str
    backend: str
    batch_size: int
    rounds: int
    forward: dict[str, float]
    forward_whole: float
    forward_kernels: float
    training: dict[str, float]
    training_step: float | None = None
    training_kernels: float | None = None
    encoding: float | None = None

    @property
    def forward_not_convolution(self) -> float:
        """Share of the forward pass that its convolutions alone do not explain."""
        return 1 - self.forward_kernels / self.forward_whole

    @property
    def training_not_convolution(self) -> float | None:
        """Share of the training step that its convolutions alone do not explain; None if not measured."""
        return None if self.training_step is None else 1 - self.training_kernels / self.training_step

    def to_dict(self) -> dict[str, Any]:
        """The result as plain numbers and strings, ready for JSON."""
        return {
            **asdict(self),
            "forward_not_convolution": self.forward_not_convolution,
            "training_not_convolution": self.training_not_convolution,
        }

    def to_markdown(self) -> str:
        """The tables in Markdown."""
        tables = (markdown_table(head, rows) for head, rows in self._tables())
        return "\n\n".join([self._title(), *tables]) + "\n"

    def __str__(self):
        tables = (text_table(head, rows) for head, rows in self._tables())
        return "\n\n".join([self._title(), *tables])

    def _title(self):
        return f"{self.name}, batch {self.batch_size}, {self.backend}, medians of {self.rounds} runs"

    def _tables(self):
        rows = {**self.forward, "all of it": self.forward_whole, "convolutions alone": self.forward_kernels}
        yield ("forward pass", "ms", "share"), _rows(rows, self.forward_whole)
        if self.training_step is None:
            return
        rows = {**self.training, "all of it": self.training_step}
        rows |= {"convolutions alone": self.training_kernels, "beside it: encoding": self.encoding}
        yield ("training step", "ms", "share"), _rows(rows, self.training_step)


def _rows(times, whole):
    return [(name, f"{1e3 * value:.2f}", f"{value / whole:.1%}") for name, value in times.items()]


@checked(batch_size=1, rounds=1)
def measure_stages(
    model: keras.Model, *, batch_size: int = 1, rounds: int = 10, training: bool = True
) -> StageTimes:
    """Measures how the time of a forward pass and of a training step is shared, on this machine.

    * Each stage is a model of its own, compiled alone, which runs on what the stages before put out. Their
      sum differs from the time of the whole, which the backend may join across stages.
    * "Convolutions alone" runs every convolution on values of its input's shape, without activations, less
      the time of the same without convolutions. The rest is not convolution: norms, activations, pooling,
      loss, update, decoding. It is a small difference of large times: measure on a quiet machine.
    * The loss is timed on the predictions with its gradient, the update on weights of the same shapes. What
      the step takes beyond forward pass, loss and update is the backward pass.
    * Everything runs in turn, `rounds` times after one run that compiles; medians count.

    The time of non-max suppression depends on the scores. With random weights all scores are alike, and it
    has the most to do.

    Args:
        model: a model of this package, for training or for inference. Its weights stay as they are.
        batch_size: images in a batch.
        rounds: timed runs.
        training: whether to measure the training step, too, which takes most of the time and memory.

    Returns:
        `StageTimes`.

    Raises:
        TypeError: for anything but a model.
        ValueError: if the model has no `MultiBox` layer, or has no fixed input size.
    """
    detector = as_detector(model)
    images = parts.random_images(detector, batch_size)
    functions, stages = _forward(detector, images, batch_size)
    if training:
        functions |= _training(detector, images, batch_size)
    times = time_in_turn(functions, rounds)
    forward = {stage: times[stage] for stage in stages}
    result = {
        "forward": forward,
        "forward_whole": times["whole"],
        "forward_kernels": times["kernels"] - times["passes"],
    }
    return StageTimes(
        detector.name,
        keras.backend.backend(),
        batch_size,
        rounds,
        **result,
        **_training_times(times, training),
    )


def _forward(detector, images, batch_size):
    models = parts.stage_models(detector)
    runs = {stage: compiled(part.model) for stage, part in models.items()}
    image = keras.ops.convert_to_tensor(images)
    inputs = parts.stage_inputs(models, runs, detector, image)
    functions = {stage: _bound(runs[stage], inputs[stage]) for stage in models}
    functions["whole"] = _bound(compiled(detector), [image])
    seed = keras.ops.ones((batch_size, 1))
    for name, kernels in (("kernels", True), ("passes", False)):
        functions[name] = _bound(compiled(parts.kernels_only(detector, batch_size, kernels=kernels)), [seed])
    return functions, tuple(models)


def _bound(run, inputs):
    return lambda: run(inputs)


def _training(detector, images, batch_size):
    # A copy, whose weights may change.
    multibox = multibox_of(detector)
    model = keras.models.clone_model(keras.Model(detector.inputs, multibox.output))
    encode = _encoder(model, batch_size)
    targets, loss = encode(), loss_of(model)
    predictions = np.zeros((batch_size, *multibox.output.shape[1:]), "float32")
    seed, none = np.ones((batch_size, 1), "float32"), np.zeros((batch_size, 1), "float32")
    sgd = recipes.paper_sgd
    kernels, passes = (parts.kernels_only(model, batch_size, kernels=wanted) for wanted in (True, False))
    train = _bound(compiled(model, training=True), [keras.ops.convert_to_tensor(images)])
    return {
        "training forward": train,
        "loss": parts.step(parts.predictions_only(model), loss, predictions, targets, sgd()),
        "update": parts.step(parts.weights_only(model), parts.mean_loss, seed, none, sgd()),
        "step": parts.step(model, loss, images, targets, sgd()),
        "training kernels": parts.step(kernels, parts.mean_loss, seed, none, keras.optimizers.SGD(0.0)),
        "training passes": parts.step(passes, parts.mean_loss, seed, none, keras.optimizers.SGD(0.0)),
        "encoding": encode,
    }


def _encoder(model, batch_size):
    encoder, rng = GroundTruthEncoder(model, sparse=True), np.random.default_rng(0)
    corners = rng.uniform(0, 0.6, (batch_size, OBJECTS, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.1, 0.4, corners.shape)], axis=-1).astype(
        "float32"
    )
    labels = rng.integers(1, multibox_of(model).num_classes + 1, (batch_size, OBJECTS))
    return lambda: np.stack([encoder(b, c) for b, c in zip(boxes, labels, strict=True)])


def _training_times(times, training):
    if not training:
        return {"training": {}}
    known = {"forward": times["training forward"], "loss": times["loss"], "update": times["update"]}
    rest = times["step"] - sum(known.values())
    return {
        "training": {**known, "backward and the rest": rest},
        "training_step": times["step"],
        "training_kernels": times["training kernels"] - times["training passes"],
        "encoding": times["encoding"],
    }
