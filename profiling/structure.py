"""What a model costs by its structure alone: parameters, multiply-adds, activations, receptive field."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import keras

from ..arguments import checked
from ..eval_utils.metrics.tables import markdown_table, markdown_text
from ..messages import printable
from ..models.graph import calls_of
from .counting import multiply_adds, receptive_field
from .stages import STAGES, WHOLE_MODEL, stages_of
from .tables import text_table

MIB = 2**20
HEAD = ("parameters", "multiply-adds", "activations MiB", "field")


@dataclass(frozen=True)
class LayerComplexity:
    """One call of a layer, for one image.

    Attributes:
        name: name of the layer, after those of the models that it is nested in.
        kind: name of the layer's class.
        stage: "backbone", "extras", "heads" or "decoding"; "model" in a model that is no detector.
        output_shape: shape of the output without the batch, of the first one if there are several.
        parameters: weights, also those that are not trained; 0 where a layer is called again.
        multiply_adds: multiplications of kernels with inputs.
        activation_bytes: size of the outputs in bytes.
        receptive_field: (rows, columns) of the image in pixels that one output value depends on. It may be
            larger than the image. (0, 0): all of the image, after a global pooling. None: not known.
    """

    name: str
    kind: str
    stage: str
    output_shape: tuple[int | None, ...]
    parameters: int
    multiply_adds: int
    activation_bytes: int
    receptive_field: tuple[int, int] | None


@dataclass(frozen=True)
class StageComplexity:
    """The sums over the layers of a stage; see `LayerComplexity`. The receptive field is the largest."""

    name: str
    parameters: int
    multiply_adds: int
    activation_bytes: int
    receptive_field: tuple[int, int] | None


@dataclass(frozen=True)
class Complexity:
    """The result of `complexity`. `print(result)` shows the stages.

    Attributes:
        name: name of the model.
        input_shape: shape of the first input without the batch.
        layers: a `LayerComplexity` for each call of a layer, in the order in which they run.
        unknown: names of the layers of unknown kinds, which count as 0 multiply-adds.
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerComplexity, ...]
    unknown: tuple[str, ...]

    @property
    def stages(self) -> tuple[StageComplexity, ...]:
        """The sums of each stage that the model has."""
        present = {layer.stage for layer in self.layers}
        return tuple(
            _sum(name, [layer for layer in self.layers if layer.stage == name])
            for name in (*STAGES, WHOLE_MODEL)
            if name in present
        )

    @property
    def parameters(self) -> int:
        """Number of weights, also those that are not trained."""
        return self._total.parameters

    @property
    def multiply_adds(self) -> int:
        """Multiplications of kernels with inputs for one image, without biases, norms and activations."""
        return self._total.multiply_adds

    @property
    def activation_bytes(self) -> int:
        """Size of all outputs for one image, in bytes: an upper bound of what a training step keeps."""
        return self._total.activation_bytes

    @property
    def receptive_field(self) -> tuple[int, int] | None:
        """The largest known one, (rows, columns) in pixels."""
        return self._total.receptive_field

    @property
    def _total(self):
        return _sum("total", self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain numbers, strings and lists, ready for JSON."""
        total = asdict(self._total)
        return {
            **total,
            "name": self.name,
            "input_shape": list(self.input_shape),
            "unknown": list(self.unknown),
            "stages": [_plain(stage) for stage in self.stages],
            "layers": [_plain(layer) for layer in self.layers],
        }

    def to_markdown(self, *, layers: bool = True) -> str:
        """Tables of the stages and of the layers in Markdown.

        Args:
            layers: whether to add the table of the layers.
        """
        parts = [f"## {markdown_text(self._title())}", markdown_table(("stage", *HEAD), self._stage_rows())]
        if layers:
            parts.append(markdown_table(("layer", "kind", "output", *HEAD), self._layer_rows()))
        return "\n\n".join([*parts, *map(markdown_text, self._notes())]) + "\n"

    def layer_table(self) -> str:
        """A table of all layers as plain text."""
        return text_table(("layer", "kind", "output", *HEAD), self._layer_rows())

    def __str__(self):
        return "\n".join([self._title(), text_table(("stage", *HEAD), self._stage_rows()), *self._notes()])

    def _title(self):
        return f"{printable(self.name)}, input {_by(self.input_shape)}, for one image"

    def _stage_rows(self):
        stages = self.stages
        return [(row.name, *_cells(row)) for row in (stages if len(stages) == 1 else (*stages, self._total))]

    def _layer_rows(self):
        return [(printable(row.name), row.kind, _by(row.output_shape), *_cells(row)) for row in self.layers]

    def _notes(self):
        if not self.unknown:
            return []
        names = ", ".join(printable(name) for name in self.unknown)
        return [f"Of unknown kinds, counted as 0 multiply-adds: {names}"]


@checked()
def complexity(model: keras.Model) -> Complexity:
    """Counts what a model costs by its structure: for each layer, each stage and in total.

    Stages of a model of this package are backbone, extras, heads, and decoding if the model decodes. Any
    other functional or sequential model of Keras is one stage. Nested models are counted layer by layer.

    Multiply-adds are those of convolutions and dense layers for one image, without biases, norms, activations
    and decoding, as torchvision states them. Layers of unknown kinds count as 0 and are named in the result.

    Args:
        model: a functional or sequential model whose input has a fixed size. Its weights do not matter.

    Returns:
        `Complexity`.

    Raises:
        TypeError: for anything but a model.
        ValueError: for a model that was never built, is a class of its own, or has no fixed input size.
    """
    calls = calls_of(model, "complexity")
    fields, seen, rows, unknown = {}, set(), [], []
    for call, stage in zip(calls, stages_of(calls), strict=True):
        count = multiply_adds(call)
        if count is None:
            unknown.append(call.name)
        field = receptive_field(call, [fields.get(id(tensor)) for tensor in call.inputs])
        fields.update((id(tensor), field) for tensor in call.outputs)
        rows.append(_row(call, stage, count or 0, field, first=id(call.operation) not in seen))
        seen.add(id(call.operation))
    shape = tuple(calls[0].outputs[0].shape[1:])
    return Complexity(model.name, shape, tuple(rows), tuple(dict.fromkeys(unknown)))


def _row(call, stage, count, field, first):
    is_layer = isinstance(call.operation, keras.layers.Layer)
    return LayerComplexity(
        name=call.name,
        kind=type(call.operation).__name__,
        stage=stage,
        output_shape=tuple(call.outputs[0].shape[1:]),
        parameters=call.operation.count_params() if first and is_layer else 0,
        multiply_adds=count,
        activation_bytes=sum(_bytes(tensor) for tensor in call.outputs),
        receptive_field=None if field is None else (field[0].size, field[1].size),
    )


def _bytes(tensor):
    """Bytes of a tensor for one image; sides that are not known count as 1."""
    bits = re.search(r"\d+", keras.backend.standardize_dtype(tensor.dtype))  # "bool" has none
    return math.prod(side or 1 for side in tensor.shape[1:]) * (int(bits[0]) // 8 if bits else 1)


def _sum(name, rows: Iterable[LayerComplexity]):
    rows = list(rows)
    known = [row.receptive_field for row in rows if row.receptive_field]
    return StageComplexity(
        name,
        sum(row.parameters for row in rows),
        sum(row.multiply_adds for row in rows),
        sum(row.activation_bytes for row in rows),
        tuple(map(max, zip(*known, strict=True))) if known else None,
    )


def _plain(row):
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(row).items()}


def _cells(row):
    return (
        f"{row.parameters:,}",
        f"{row.multiply_adds:,}",
        f"{row.activation_bytes / MIB:.2f}",
        _field_text(row.receptive_field),
    )


def _field_text(field):
    if field is None:
        return "-"
    return _by(field) if all(field) else "image"


def _by(shape):
    return "x".join("?" if side is None else str(side) for side in shape)
