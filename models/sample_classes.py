"""`sample_classes`, which changes the classes of a trained model: keep some, reorder them, add new ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral

import keras
import numpy as np

from ..arguments import check_bounds, checked
from ..class_names import check_names, map_names, name_tuple
from ..layers.multibox import multibox_of, unwrapped
from ..limits import NUM_CLASSES
from ..messages import did_you_mean
from .copies import copied
from .detector import model_of


@checked(seed=0)
def sample_classes(
    model: keras.Model | str | os.PathLike[str],
    classes: Sequence[str | int],
    *,
    class_names: Sequence[str | None] | None = None,
    new: Sequence[str] = (),
    strict: bool = True,
    seed: int = 0,
) -> keras.Model:
    """Rebuilds a model with other classes; returns a new model of the same architecture.

    * Background and known classes keep their weights, hence their logits. (With a softmax their scores rise,
      because fewer classes share the total of 1.)
    * New classes are initialized.
    * All layers but the class heads are copied.
    * The new model carries its class names and is not compiled. The given model is unchanged.

    Args:
        model: a model of this package, for training or for inference, or the path of a saved one (`.keras`).
        classes: the new classes in the order of the labels 1, 2, ...: names, or ids of the model's classes,
            from 1. A name may be a synonym, such as VOC's "tvmonitor" for COCO's "tv", see
            `class_names.map_names`.
        class_names: the model's class names in the order of its labels, None for unused ones. None takes the
            names that the model carries. The list may begin with an additional None for background, as
            `class_names.COCO_NAMES_BY_ID` does. Not needed if `classes` has only ids.
        new: the names in `classes` that are initialized with the initializers of the model's heads.
        strict: whether any other name that the model does not know is an error. False: it is initialized.
        seed: seed of the initializers.

    Returns:
        `keras.Model`, ready for `compile` or `predict`.

    Raises:
        FileNotFoundError: for a path where there is no model.
        ValueError: for a path of another file than a saved model, or of one that holds code; if `classes` is
            empty, has a repeated class or an unknown one; if it has names, but
            neither the model nor `class_names` has any; if the number of `class_names` is not the model's
            number of classes; or if a class head is not a `Conv2D`.
    """
    model = unwrapped(model_of(model, "sample_classes"))
    multibox = multibox_of(model)
    names = multibox.class_names if class_names is None else _given_names(class_names, multibox)
    classes = name_tuple(classes, "classes")
    check_bounds("sample_classes: the number of classes", max(len(classes), 1), NUM_CLASSES)
    columns = [0, *_kept_ids(classes, names, new, strict, multibox.num_classes)]
    heads = _class_heads(model, multibox)
    clone = _clone(model, multibox, heads, _new_names(classes, names))
    for layer in model.layers:
        if layer.name not in heads:
            clone.get_layer(layer.name).set_weights(layer.get_weights())
    for (name, sides), head_seed in zip(heads.items(), layer_seeds(seed, len(heads)), strict=True):
        head = clone.get_layer(name)
        pairs = zip(model.get_layer(name).get_weights(), initial_weights(head, head_seed), strict=True)
        head.set_weights([_with_columns(old, fresh, sides, columns) for old, fresh in pairs])
    return clone


def _given_names(class_names, multibox):
    """The names of the model's classes as passed, without the None that may stand for background."""
    names = name_tuple(class_names, "class_names")
    has_background = len(names) == multibox.num_classes + 1 and names[0] is None
    names = names[1:] if has_background else names
    return check_names(names, multibox.num_classes, owner="sample_classes")


def _new_names(classes, known):
    """The names of the new classes. An id gets its name in the model, or None."""
    return tuple(
        name if isinstance(name, str) else None if known is None else known[name - 1] for name in classes
    )


def _clone(model, multibox, heads, class_names):
    """A copy of the graph with new weights, in which only the class heads and `MultiBox` differ."""
    num_classes = len(class_names)

    def rebuild(layer):
        config = layer.get_config()
        if layer is multibox:
            config["num_classes"] = num_classes
            config["class_names"] = class_names if any(class_names) else None
        elif layer.name in heads:
            config["filters"] = heads[layer.name] * (1 + num_classes)
        return type(layer).from_config(config)

    return copied(model, rebuild)


def _class_heads(model, multibox):
    """{name: anchors per cell} of the layers that output the class logits, level by level."""
    tensors = keras.tree.flatten(multibox.input)  # offsets of all levels, then logits
    logits = tensors[len(multibox.anchors.levels) :]
    heads = {}
    for tensor, level in zip(logits, multibox.anchors.levels, strict=True):
        layer = tensor._keras_history.operation
        if type(layer) is not keras.layers.Conv2D:
            raise ValueError(
                f"{model.name}: the class head {layer.name!r} must be a Conv2D, got a {type(layer).__name__}"
            )
        heads[layer.name] = len(level.sides)
    return heads


def layer_seeds(seed: int, count: int) -> list[int]:
    """A seed for each of some layers that are initialized."""
    return [int(each) for each in np.random.SeedSequence(seed).generate_state(count)]


def initial_weights(head: keras.layers.Conv2D, seed: int) -> list[np.ndarray]:
    """Initial weights from a head's own initializers: kernel, then bias if there is one."""
    arrays = [_initialize(head.kernel_initializer, head.kernel, seed)]
    if head.use_bias:
        arrays.append(_initialize(head.bias_initializer, head.bias, seed))
    return arrays


def _initialize(initializer, variable, seed):
    if isinstance(initializer, keras.initializers.Initializer):
        config = initializer.get_config()
        initializer = type(initializer).from_config({**config, "seed": seed} if "seed" in config else config)
    return keras.ops.convert_to_numpy(initializer(variable.shape, dtype=variable.dtype))


def _with_columns(old, fresh, sides, columns):
    """Copies classes from an old kernel or bias into a new one. The last axis is ordered (anchor, class).

    Args:
        old: (..., sides * old classes).
        fresh: (..., sides * new classes), initial values, kept where a column is None.
        sides: number of anchors per cell.
        columns: for each new class the index of the old class, or None.
    """
    result = fresh.reshape(*fresh.shape[:-1], sides, len(columns)).copy()
    old = old.reshape(*old.shape[:-1], sides, -1)
    for i, column in enumerate(columns):
        if column is not None:
            result[..., i] = old[..., column]
    return result.reshape(fresh.shape)


def _kept_ids(classes, class_names, new, strict, num_classes):
    """For each new class the id of the model's class, from 1, or None if it is initialized."""
    new = name_tuple(new, "new")
    if not classes:
        raise ValueError("sample_classes: classes is empty, expected at least one name or id")
    for name in new:
        if name not in classes:
            raise ValueError(f"new: {name!r} is not among the classes {_listed(classes)}")
    kept = [wanted for wanted in classes if wanted not in new]
    found = _checked_ids([c for c in kept if not isinstance(c, str)], num_classes)
    found |= _ids_of([c for c in kept if isinstance(c, str)], class_names, strict)
    if kept and not any(found.values()):
        raise ValueError(
            f"none of the classes {_listed(kept)} is known; the model has {_listed(class_names)}"
        )
    _check_once(classes, found)
    return [found.get(wanted) for wanted in classes]


def _checked_ids(ids, num_classes):
    for i in ids:
        if not isinstance(i, Integral) or isinstance(i, bool) or not 1 <= i <= num_classes:
            raise ValueError(f"classes: expected names or ids from 1 to {num_classes}, got {i!r}")
    return {i: int(i) for i in ids}


def _ids_of(names, known, strict):
    """{name: id, or None if the model does not know it}."""
    if not names:
        return {}
    if known is None:
        raise ValueError(
            f"class_names is needed to find {names[0]!r}: the model carries no names; or pass ids"
        )
    found = map_names(names, known)
    unknown = [name for name in names if found[name] is None]
    if strict and unknown:
        raise ValueError(
            f"classes: the model does not know {_listed(unknown)} (list new classes in `new`); it has "
            f"{_listed(known)}{did_you_mean(unknown[0], known)}"
        )
    return {name: found[name] and known.index(found[name]) + 1 for name in names}


def _check_once(classes, found):
    first = {}
    for wanted in classes:
        source = found.get(wanted) or wanted
        if source in first:
            raise ValueError(f"classes: {wanted!r} occurs more than once, first as {first[source]!r}")
        first[source] = wanted


def _listed(names):
    return ", ".join(str(name) for name in names if name is not None)
