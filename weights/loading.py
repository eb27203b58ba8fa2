"""Loads a weight file into a model: all is checked first, then assigned, and a report says what was done."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import keras
import numpy as np

from .. import anchors
from ..layers import ImageNormalization
from ..layers.multibox import multibox_layers
from .mapping import adapt_pixels, read_weights
from .published import PUBLISHED, fetch_source, published

SHOWN = 3


@dataclass
class LoadReport:
    """What `load_weights` did; `print` it.

    Args:
        path: of the file.
        origin: what the file is.
        model: name of the model.
        loaded: {layer name: number of its weights}.
        skipped: {name in the file: why it was not loaded}.
        left: {layer name: why it keeps its initial value}.
    """

    path: str
    origin: str
    model: str
    loaded: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def __str__(self):
        rows = [
            f"{self.path} ({self.origin}) into {self.model}",
            f"  loaded   {len(self.loaded):4} layers, {sum(self.loaded.values()):,} weights",
        ]
        for title, layers, what in (
            ("skipped", self.skipped, "in the file, not used"),
            ("left", self.left, "in the model, at their initial values"),
        ):
            rows.append(f"  {title:8} {len(layers):4} {what}")
            rows += [f"    {_names(names)}: {why}" for why, names in _by_reason(layers).items()]
        return "\n".join(rows)


def load_weights(
    model: keras.Model,
    weights: str | os.PathLike[str],
    strict: bool = True,
    layers: Sequence[str] | None = None,
    channel_order: Literal["rgb", "bgr"] | None = None,
) -> LoadReport:
    """Loads weights into a model, by the names of its layers.

    Reads files of this package, of Keras (2 and 3), Caffe, torch and TensorFlow Lite, recognised by their
    content; none of these needs to be installed. Pixels are adapted: a first layer that was trained on other
    channels, means or scales is rewritten for those that the model's normalisation gives it.

    Args:
        model: of this package, for training or inference.
        weights: path of a weight file; or "imagenet" (the backbone) or "coco" (the whole detector, which then
            must have COCO's 90 classes), which are downloaded once.
        strict: True: every layer of the model must be in the file with the same shapes, those of a detector
            must all be in the model, and its anchors, where they are known, must be the model's; for the
            weights of a classifier, every layer of its backbone must be there. False: what fits is loaded,
            the rest reported.
        layers: names or patterns ("conv*") of the layers to load; None for all.
        channel_order: "rgb" or "bgr" for weights whose first layer expects another order of channels than is
            usual for their origin, such as those of ssd.pytorch that come from Caffe.

    Returns:
        `LoadReport`.

    Raises:
        FileNotFoundError: if there is no such file.
        DownloadError: if published weights cannot be had.
        ValueError: if there are no published weights for the model, if the file is damaged or unknown, holds
            numbers that are not finite, fits no layer, or, with strict, lacks a layer or has another shape;
            the model is unchanged then.
    """
    source = published(model, weights) if weights in PUBLISHED else None
    if source is not None:
        path, mapped = _read_published(source, channel_order)
    elif Path(weights).is_file():
        path, mapped = weights, read_weights(weights, channel_order)
    else:
        names = " or ".join(f'"{name}"' for name in PUBLISHED)
        raise FileNotFoundError(f"{model.name}: no weight file {weights}; expected a path, or {names}")
    for layer in model.layers:
        if isinstance(layer, ImageNormalization):
            adapt_pixels(mapped, {"mean": layer.mean, "scale": layer.scale, "bgr": layer.bgr})
    report = LoadReport(str(path), mapped.origin, model.name)
    plan, problems = _compare(model, mapped, layers, report)
    if any(layer.name.endswith("_mbox_loc") for layer, _ in plan):
        _check_anchors(model, mapped, path, strict)
    if strict and problems:
        raise ValueError(f"{path}: {mapped.origin} do not fit the model {model.name!r}: {_join(problems)}")
    if not plan:
        names = ", ".join(list(mapped.layers)[:SHOWN])
        reasons = f": {_join(problems)}" if problems else ""
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


def _name_classes(model, class_names, report):
    """A model without class names gets those of the published class heads that it has loaded."""
    if any(name.endswith("_mbox_conf") for name in report.loaded):
        for multibox in multibox_layers(model):
            multibox.class_names = multibox.class_names or class_names


def _read_published(source, channel_order):
    path = fetch_source(source)
    try:
        return path, read_weights(path, channel_order)
    except ValueError as error:
        if source.digest is not None:
            raise
        # Nothing has vouched for it: a page that asks for a password, perhaps, which would stay for ever.
        Path(path).unlink()
        raise ValueError(f"{error}; the file is deleted, so that the next attempt fetches it anew") from None


def _check_anchors(model, mapped, path, strict):
    """Nothing in the shapes of a detector tells which anchors its offsets refer to."""
    if mapped.anchors and any(m.anchors != getattr(anchors, mapped.anchors) for m in multibox_layers(model)):
        message = (
            f"{path}: {mapped.origin} were trained with the anchors multibox.anchors.{mapped.anchors}, the "
            f"model {model.name!r} has others: build it with those"
        )
        if strict:
            raise ValueError(f"{message}, or load with strict=False and train it")
        warnings.warn(f"{message}, or train it", stacklevel=3)


def _compare(model, mapped, patterns, report):
    """([(layer, arrays)], [(problem, likely causes)]); notes in the report what is not loaded."""
    plan, problems = [], []
    own = {layer.name: layer for layer in model.layers if layer.weights}
    chosen = _chosen(own, patterns, model)
    for name, layer in own.items():
        arrays = mapped.layers.get(name)
        if name not in chosen:
            report.left[name] = "not chosen"
        elif arrays is None:
            report.left[name] = "not in the file"
            if mapped.expected is None or name in mapped.expected:
                problems.append((f"layer {name} is not in the file", []))
        elif (theirs := _shapes(arrays)) != (ours := _shapes(layer.weights)):
            report.left[name] = report.skipped[name] = "other shapes"
            if name not in mapped.optional:
                what = f"layer {name} has the shapes {_say(theirs)} in the file, {_say(ours)} in the model"
                problems.append((what, _causes(model, name, theirs, ours)))
        elif not all(np.isfinite(array).all() for array in arrays):
            raise ValueError(f"{report.path}: layer {name} has numbers that are not finite")
        else:
            plan.append((layer, arrays))
    for name in mapped.layers:
        if name not in own:
            report.skipped[name] = "no such layer in the model"
            if mapped.expected is None and patterns is None:
                problems.append((f"layer {name} of the file is not in the model", ["another network"]))
        elif name not in chosen:
            report.skipped[name] = "not chosen"
    report.skipped.update(dict.fromkeys(mapped.unused, "not part of the detector"))
    return plan, problems


def _chosen(own, patterns, model):
    if patterns is None:
        return set(own)
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    chosen = set()
    for pattern in patterns:
        found = {name for name in own if fnmatchcase(name, pattern)}
        if not found:
            raise ValueError(f"layers: {pattern!r} is no layer with weights of the model {model.name!r}")
        chosen |= found
    return chosen


def _shapes(arrays):
    return [tuple(array.shape) for array in arrays]


def _causes(model, name, theirs, ours):
    """The likely reasons for other shapes, in words; empty if there is none to name."""
    kernel, own = theirs[0], ours[0]
    if name.endswith(("_mbox_conf", "_mbox_loc")):
        causes = _head_causes(model, name, theirs[-1][-1], ours[-1][-1])
    else:
        causes = []
        if len(kernel) == len(own) == 4 and kernel[:2] == own[:2] and kernel[-1] != own[-1]:
            causes.append(f"{kernel[-1] / own[-1]:.3g} times the width: another alpha, or another network")
        if len(theirs) < len(ours):
            causes.append("the file's convolutions have no bias, since BatchNorm follows: batch_norm=True")
        elif len(theirs) > len(ours):
            causes.append("the file's BatchNorm is folded into a bias: batch_norm=False")
    return causes


def _head_causes(model, name, theirs, ours):
    """Of outputs of a head in the file and in the model."""
    classes = next((layer.num_classes for layer in multibox_layers(model)), None)
    if theirs == ours or not classes:
        return []
    if name.endswith("_mbox_loc"):
        return [f"the file has {theirs // 4} anchors for each cell, the model {ours // 4}"]
    found, rest = divmod(theirs, ours // (1 + classes))
    if not rest and found > 1:
        return [f"the file has {found - 1} classes, the model {classes}: see sample_classes"]
    return ["another number of classes, or of anchors for each cell"]


def _join(problems):
    """At most a few problems, then their likely causes, each once."""
    text = "; ".join(what for what, _ in problems[:SHOWN])
    text += f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    causes = list(dict.fromkeys(cause for _, found in problems for cause in found))
    return f"{text} ({'; '.join(causes[:SHOWN])})" if causes else text


def _say(shapes):
    return " and ".join(map(str, shapes))


def _names(names):
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _by_reason(layers):
    reasons = {}
    for name, why in layers.items():
        reasons.setdefault(why, []).append(name)
    return reasons
