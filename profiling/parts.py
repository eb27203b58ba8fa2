"""Parts of a detector as models of their own, so that each can be timed alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from ..layers.multibox import multibox_of
from ..models.graph import calls_of
from .counting import KERNELS, SEPARABLE
from .stages import STAGES, stages_of


class Stage(NamedTuple):
    """A stage as a model.

    Attributes:
        model: from the outputs of the stages before to its own outputs.
        inputs: ids of the tensors of the whole model that it takes.
        outputs: ids of those that it makes.
    """

    model: keras.Model
    inputs: list[int]
    outputs: list[int]


def stage_models(model: keras.Model) -> dict[str, Stage]:
    """{stage: `Stage`}, in the order in which they run.

    Args:
        model: a model of this package.
    """
    stages = _stages_of_layers(model)
    tensors, made, used = {}, {}, {id(tensor): {"the end"} for tensor in model.outputs}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            stage = stages[node.operation.name]
            tensors.update((id(tensor), tensor) for tensor in node.output_tensors)
            made.update((id(tensor), stage) for tensor in node.output_tensors)
            for tensor in node.input_tensors:
                used.setdefault(id(tensor), set()).add(stage)
    found = {}
    for stage in STAGES:
        takes = [key for key in made if stage in used.get(key, ()) and made[key] != stage]
        makes = [key for key in made if made[key] == stage and used.get(key, set()) - {stage}]
        if makes:
            inputs = [tensors[key] for key in takes] or model.inputs
            part = keras.Model(inputs, [tensors[key] for key in makes])
            found[stage] = Stage(part, takes or [id(tensor) for tensor in model.inputs], makes)
    return found


def _stages_of_layers(model):
    """{name of a layer: its stage}; that of a nested model is the one of its first layer."""
    calls = calls_of(model, "measure_stages")
    stages = {}
    for call, stage in zip(calls, stages_of(calls), strict=True):
        stages.setdefault(call.name.split("/")[0], stage)
    return stages


def stage_inputs(
    stages: Mapping[str, Stage], runs: Mapping[str, Callable], model: keras.Model, images: Any
) -> dict[str, list]:
    """{stage: its inputs}, made by running the stages one after the other.

    Args:
        stages: result of `stage_models`.
        runs: {stage: function of `compiled`}.
        model: the whole model.
        images: its input.
    """
    inputs, known = {}, {id(model.inputs[0]): images}
    for name, stage in stages.items():
        inputs[name] = [known[key] for key in stage.inputs]
        known.update(zip(stage.outputs, runs[name](inputs[name]), strict=True))
    return inputs


class _Held(layers.Layer):
    """Weights in place of an input, so that a training step computes the gradient with respect to it."""

    def __init__(self, shape, **kwargs):
        super().__init__(**kwargs)
        self._shape = shape

    def build(self, input_shape):
        self.values = self.add_weight(shape=self._shape, initializer="uniform")

    def call(self, image):
        return self.values + 0 * ops.mean(image)


class _Mean(layers.Layer):
    def call(self, tensor):
        return ops.mean(tensor, axis=(1, 2, 3))


def kernels_only(model: keras.Model, batch_size: int, *, kernels: bool = True) -> keras.Model:
    """The convolutions of a model side by side, each on values of its input's shape, without activations.

    The values are trained weights, except for the first convolution, whose input needs no gradient.

    Args:
        model: any functional model.
        batch_size: images in a batch.
        kernels: False leaves out the convolutions, and keeps all that surrounds them here: its time is to be
            subtracted.
    """
    seed = keras.Input((1,))
    means = []
    for i, call in enumerate(calls_of(model, "measure_stages")):
        if not isinstance(call.operation, (*KERNELS, *SEPARABLE)):
            continue
        shape = (batch_size, *call.inputs[0].shape[1:])
        values = _Held(shape, trainable=bool(means))(seed)
        means.append(_Mean()(_kernel(call, f"kernel{i}")(values) if kernels else values))
    return keras.Model(seed, layers.Add()(means) if len(means) > 1 else means[0])


def _kernel(call, name):
    config = call.operation.get_config() | {"activation": None, "name": name}
    config |= {key: None for key in config if key.endswith("_regularizer")}
    return type(call.operation).from_config(config)


class _Weights(layers.Layer):
    """Weights of the shapes of a model's trained weights."""

    def __init__(self, shapes, **kwargs):
        super().__init__(**kwargs)
        self._shapes = shapes

    def build(self, input_shape):
        self.values = [self.add_weight(shape=shape, initializer="zeros") for shape in self._shapes]

    def call(self, seed):
        return seed * sum(ops.sum(value) for value in self.values)


def weights_only(model: keras.Model) -> keras.Model:
    """A model that has the same trained weights and computes next to nothing: a step is its update."""
    seed = keras.Input((1,))
    return keras.Model(seed, _Weights([v.shape for v in model.trainable_variables])(seed))


def predictions_only(model: keras.Model) -> keras.Model:
    """A model from predictions to predictions with one weight: a step is the loss and its gradient."""
    predictions = keras.Input(multibox_of(model).output.shape[1:])
    return keras.Model(predictions, _Shift()(predictions))


class _Shift(layers.Layer):
    def build(self, input_shape):
        self.shift = self.add_weight(shape=(), initializer="zeros")

    def call(self, tensor):
        return tensor + self.shift


def step(model: keras.Model, loss, inputs, targets, optimizer):
    """A function that makes one training step and waits for it."""
    model.compile(optimizer=optimizer, loss=loss)
    return partial(model.train_on_batch, inputs, targets)


def mean_loss(y_true, y_pred):
    """The least loss that has a gradient."""
    return ops.mean(y_pred, axis=-1)


def random_images(model: keras.Model, batch_size: int) -> np.ndarray:
    """Images of noise, 0 to 255."""
    shape = (batch_size, *model.inputs[0].shape[1:])
    return np.random.default_rng(0).integers(0, 256, shape).astype("float32")
