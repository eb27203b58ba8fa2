"""Any functional `keras.Model` as a backbone: its feature maps, by the names of layers or by strides."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral

import keras

from ..layers import BatchNormalization
from ..messages import did_you_mean, printable
from .graph import Call, calls_of

KNOWN_NAMES = 12  # that an error lists
MAX_POWER = 12  # of two, of a stride


def feature_maps(
    backbone: keras.Model, image: keras.KerasTensor, sources: Sequence[int | str], owner: str
) -> dict[str, keras.KerasTensor]:
    """Builds a copy of a backbone on images, with its weights.

    The layers of the copy become layers of the detector, with the names that they have in the backbone.

    Args:
        backbone: a functional model without a classifier.
        image: (batch, height, width, channels), normalized.
        sources: names of layers or strides, fine to coarse.
        owner: name of the calling function, for messages.

    Returns:
        {name of a layer: its output}, fine to coarse.

    Raises:
        ValueError: for a model with another input or with a classifier, an unknown layer, a stride that the
            backbone does not have, or sources that do not get coarser.
    """
    _check(backbone, image.shape, owner)
    copy = keras.models.clone_model(backbone, input_tensors=image, clone_function=_copied)
    copy.set_weights(backbone.get_weights())
    strides = None
    if any(isinstance(source, Integral) for source in sources):
        strides = layers_by_stride(calls_of(backbone, owner, image.shape[1:]), image.shape[1:3])
    names = [_name_of(source, copy, strides, owner) for source in sources]
    # Operations too: a plain `+` is none of the layers.
    operations = {operation.name: operation for operation in copy.operations}
    maps = [(name, operations[name].output) for name in names]
    check_order(maps, owner)
    return dict(maps)


def maps_of_function(
    function: Callable, image: keras.KerasTensor, owner: str
) -> dict[str, keras.KerasTensor]:
    """What a function returns for images, {name: feature map}.

    Raises:
        TypeError: for a function that builds a `keras.Model`, or another result.
        ValueError: for no map, or one that is not (batch, rows, columns, channels).
    """
    try:
        maps = function(image)
    except Exception as error:
        if "include_top" not in inspect.signature(function).parameters:
            raise
        raise TypeError(
            f"{owner}: backbone is a function that builds a model: call it, with include_top=False and "
            f"input_shape={tuple(image.shape[1:])}, and pass what it returns"
        ) from error
    if not isinstance(maps, Mapping):
        raise TypeError(
            f"{owner}: the function backbone must return {{name: feature map}}, got {type(maps).__name__}"
        )
    if not maps:
        raise ValueError(f"{owner}: the function backbone returns no feature maps")
    for name, tensor in maps.items():
        if len(getattr(tensor, "shape", ())) != 4:
            raise ValueError(
                f"{owner}: the feature map {name!r} must be (batch, rows, columns, channels), got "
                f"{getattr(tensor, 'shape', tensor)}"
            )
    return dict(maps)


def _copied(layer):
    kind = type(layer)
    if kind is keras.layers.BatchNormalization:
        kind = BatchNormalization
    return kind.from_config(layer.get_config())


def layers_by_stride(calls: Sequence[Call], image_size: tuple[int, int]) -> dict[int, str]:
    """For each stride the last layer that all later ones depend on, {stride: name of the layer}.

    A branch beside a shortcut does not hold all that is known at its resolution, and so does not count.

    Args:
        calls: of the backbone, in the order in which they run.
        image_size: (height, width) of its input in pixels.
    """
    last_use = {id(tensor): at for at, call in enumerate(calls) for tensor in call.inputs}
    found, needed = {}, 0  # the last call that takes a tensor made so far, the newest one left out
    grid, stride = image_size, 1  # of the last map
    for at, call in enumerate(calls):
        (tensor,) = call.outputs
        is_whole = needed <= at
        needed = max(needed, last_use.get(id(tensor), at))
        is_padding = isinstance(call.operation, keras.layers.ZeroPadding2D)
        if is_whole and not is_padding and "/" not in call.name and len(tensor.shape) == 4 and at > 0:
            before, grid = grid, tuple(tensor.shape[1:3])
            if grid != before:
                is_coarser = grid[0] <= before[0] and grid[1] <= before[1]
                stride = _stride(image_size, grid, stride if is_coarser else 0)
            found[stride] = call.name
    return found


def _stride(image_size, grid, finer):
    """The power of two above `finer` that divides an image into such a grid, rounded down or up.

    Without padding a grid may have other numbers of cells: then the power of two that comes closest.
    """
    sides = list(zip(image_size, grid, strict=True))
    for stride in (2**k for k in range(MAX_POWER + 1)):
        if stride > finer and all(cells in (side // stride, -(-side // stride)) for side, cells in sides):
            return stride
    return 2 ** round(math.log2(max(1.0, *(side / cells for side, cells in sides))))


def check_order(maps: Iterable[tuple[str, keras.KerasTensor]], owner: str) -> None:
    """Raises ValueError unless the maps, (name, tensor), get coarser from each to the next."""
    maps = [(name, tuple(tensor.shape[1:3])) for name, tensor in maps]
    text = ", ".join(f"{name} {rows}x{columns}" for name, (rows, columns) in maps)
    sizes = [size for _, size in maps]
    coarser = all(
        (a != b or a == (1, 1)) and a[0] >= b[0] and a[1] >= b[1] for a, b in itertools.pairwise(sizes)
    )
    if not coarser or len({name for name, _ in maps}) < len(maps):
        raise ValueError(f"{owner}: feature maps must get coarser from each to the next, got {text}")


def _check(backbone, shape, owner):
    name = printable(backbone.name)
    for layer in backbone.layers:
        if getattr(layer, "data_format", None) == "channels_first":
            raise ValueError(
                f"{owner}: the layer {printable(layer.name)!r} of the backbone {name!r} is channels_first; "
                "build the backbone with channels_last"
            )
    if len(backbone.inputs) != 1 or len(backbone.inputs[0].shape) != 4:
        shapes = [tuple(tensor.shape) for tensor in backbone.inputs]
        raise ValueError(f"{owner}: the backbone {name!r} must take one batch of images, it takes {shapes}")
    if len(backbone.outputs[0].shape) != 4:
        raise ValueError(
            f"{owner}: the backbone {name!r} returns {tuple(backbone.outputs[0].shape)}, no feature map: it "
            "ends with a classifier or pooling; build it with include_top=False and no pooling"
        )
    given = backbone.inputs[0].shape
    if given[3] != shape[3]:
        raise ValueError(
            f"{owner}: the backbone {name!r} takes images of {given[3]} channels, the detector of {shape[3]}"
        )
    if any(side is not None and side != wanted for side, wanted in zip(given[1:3], shape[1:3], strict=True)):
        raise ValueError(
            f"{owner}: the backbone {name!r} was built for images of {given[1]}x{given[2]} pixels, the "
            f"detector is for {shape[1]}x{shape[2]}; build it with input_shape={tuple(shape[1:])}"
        )


def _name_of(source, backbone, strides, owner):
    owner = f"{owner}: sources: the backbone {printable(backbone.name)!r}"
    if isinstance(source, Integral):
        if source not in strides:
            known = ", ".join(f"{stride} ({name})" for stride, name in sorted(strides.items()))
            raise ValueError(f"{owner} has no feature map of stride {source}; it has {known}")
        return strides[source]
    names = [layer.name for layer in backbone.layers if len(getattr(layer.output, "shape", ())) == 4]
    if source not in names:
        hint = did_you_mean(source, names)
        raise ValueError(
            f"{owner} has no layer {source!r}{hint}; its last feature maps are "
            f"{', '.join(names[-KNOWN_NAMES:])}"
        )
    return source
