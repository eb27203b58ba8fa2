"""The batches of a training, from a data set or a generator, and whether they fit the model."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import keras

from ..data_generator import (
    DataGenerator,
    DetectionDataset,
    GroundTruthEncoder,
    Mosaic,
    SampleTransform,
    Stages,
    resize_only,
    ssd_augmentation,
    ssdlite_augmentation,
)
from ..data_generator.class_order import class_difference
from ..data_generator.record_lists import image_ids
from ..layers.multibox import multibox_of
from ..models.detector import anchors_of, channels_of, class_names_of, num_classes_of, set_value_range
from ..recipes import Recipe

BATCH_SIZE = 16
PRESETS = {"ssd": ssd_augmentation, "ssdlite": ssdlite_augmentation}
# Boxes within one pixel of a corner are relative ones, with a little rounding.
MAX_RELATIVE = 1.5


def training_batches(
    model, dataset, name, *, batch_size, augmentation, seed, sparse=True, recipe=None, epochs=None
):
    """What `fit` gets: a new generator for a data set, or what was given, when it fits the model."""
    if not isinstance(dataset, DetectionDataset):
        given = {"batch_size": batch_size, "augmentation": augmentation}
        for option, value in given.items():
            if value is not None:
                raise ValueError(
                    f"train: {option} belongs to the {type(dataset).__name__} that was passed as {name}"
                )
        if isinstance(dataset, DataGenerator):
            _check_fit(model, dataset, name)
        else:
            _check_shapes(model, dataset, name)
        return dataset
    _check_classes(model, dataset, name)
    if augmentation is None:
        augmentation = chosen_augmentation(model, dataset, recipe, epochs)
    if batch_size is None:
        batch_size = min(recipe.batch_size if recipe else BATCH_SIZE, max(len(dataset), 1))
    encoder = GroundTruthEncoder(model, sparse=sparse)
    return DataGenerator(dataset, batch_size, augmentation, encoder, seed=seed)


def chosen_augmentation(
    model: keras.Model, dataset: DetectionDataset, recipe: Recipe | None, epochs: int | None
) -> SampleTransform | Stages:
    """The augmentation that `train` takes if none is given."""
    name = recipe.augmentation if recipe else None
    if name is None:
        name = "ssdlite" if model.name.startswith("ssdlite") else "ssd"
    plain = PRESETS[name](anchors_of(model).image_size)
    if recipe is None or not (mixed := round(recipe.mosaic * epochs)):
        return plain
    mosaic = replace(plain, geometry=(Mosaic(dataset), *plain.geometry))
    return Stages(mosaic, mixed, plain)


def validation_batches(model, dataset, batch_size, sparse):
    """As `training_batches`; the images of a data set are whole, and not shuffled."""
    if not isinstance(dataset, DetectionDataset):
        return training_batches(model, dataset, "validation_data", batch_size=None, augmentation=None, seed=0)
    plain = resize_only(anchors_of(model).image_size)
    data = training_batches(
        model, dataset, "validation_data", batch_size=batch_size, augmentation=plain, seed=0, sparse=sparse
    )
    data.shuffle = False
    return data


def take_over(model, data, validation):
    """Gives the model what it takes from the data: class names if it has none, and the pixels' range."""
    if not isinstance(data, DataGenerator):
        return
    if isinstance(validation, DataGenerator):
        _check_pixels(model, data.dataset, validation.dataset)
    else:
        _check_pixels(model, data.dataset, data.dataset)
    if class_names_of(model) is None:
        multibox_of(model).class_names = data.dataset.class_names
    set_value_range(model, data.dataset.pixels.value_range)


def number_of_steps(data):
    """Batches in an epoch, or None if a tf.data.Dataset does not know."""
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches
    number = int(data.cardinality())
    return number if number >= 0 else None


def batch_size_of(data):
    """Images in a full batch of all processes, or None if the data do not say it."""
    return getattr(data, "whole_batch_size", getattr(data, "batch_size", None))


def identity_of(data):
    """What must be the same for a run to go on within an epoch, or {} if it cannot.

    Only the order of a `DataGenerator` follows from its seed. Another data set may have any order.
    """
    if not isinstance(data, DataGenerator):
        return {}
    names = "\n".join(image_ids(data.dataset.records))
    optional = {} if data.shuffle_window is None else {"shuffle_window": data.shuffle_window}
    if data.repeat_factors is not None:
        optional["repeat_factors"] = _digest(data.repeat_factors.tobytes())
    return {
        "images": len(data.dataset),
        "batch_size": data.whole_batch_size,
        "steps": len(data),
        "seed": data.seed,
        "shuffle": data.shuffle,
        **optional,
        "names of the images": _digest(names.encode("utf-8", "replace")),
    }


def _digest(content):
    return hashlib.sha256(content).hexdigest()[:16]


def _check_shapes(model, data, name):
    """Checks one batch of another data set than a `DataGenerator`, or what a tf.data.Dataset says of it."""
    spec = getattr(data, "element_spec", None)
    batch = data[0] if spec is None else spec
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise ValueError(f"train: {name} must give batches of (images, targets), got {type(batch).__name__}")
    images, targets = (tuple(part.shape) for part in batch[:2])
    anchors, columns = model.output_shape[1:]
    size, channels = anchors_of(model).image_size, channels_of(model)
    for what, found, right in (
        ("images", images, [(*size, channels)]),
        ("targets", targets, [(anchors, columns), (anchors, 5)]),
    ):
        shapes = [(None, *shape) for shape in right]
        if not any(_may_be(found, shape) for shape in shapes):
            wanted = " or ".join(map(str, shapes))
            raise ValueError(f"train: the {what} of {name} have shape {found}, the model needs {wanted}")


def _may_be(found, shape):
    """Whether a shape, in which None is any number, can be another."""
    return len(found) == len(shape) and all(
        a == b or a is None or b is None for a, b in zip(found, shape, strict=True)
    )


def _check_classes(model, dataset, name):
    if num_classes_of(model) != dataset.num_classes:
        raise ValueError(
            f"train: the model has {num_classes_of(model)} classes, {name} {dataset.num_classes} "
            f"({', '.join(dataset.class_names)}); build the model with class_names=data.class_names"
        )


def check_objects(dataset):
    """Refuses data without objects: they would only teach the model to find nothing."""
    if all(record.crowd.all() for record in dataset):
        raise ValueError(
            f"train: none of the {len(dataset)} images has an object to learn; are the annotations found? "
            "`multibox check` shows what was read"
        )
    largest = max((record.boxes.max() for record in dataset if len(record.boxes)), default=0)
    if largest <= MAX_RELATIVE < max(max(record.width, record.height) for record in dataset):
        raise ValueError(
            f"train: all boxes of {dataset.name} lie within 0..{largest:g}: they look relative to the "
            "image, but records have pixels; multiply them by the width and the height"
        )


def _check_fit(model, generator, name):
    """Checks that the encoder of a given generator has the model's anchors and classes."""
    if generator.encoder is None:
        raise ValueError(f"train: {name} has no encoder; make it with GroundTruthEncoder(model)")
    encoder = generator.encoder
    classes = num_classes_of(model)
    if classes != encoder.num_classes:
        raise ValueError(
            f"train: the model has {classes} classes, the encoder of {name} {encoder.num_classes}"
        )
    if anchors_of(model) != encoder.anchors:
        raise ValueError(
            f"train: the encoder of {name} has other anchors than the model; make it with "
            "GroundTruthEncoder(model)"
        )
    names = class_names_of(model)
    if names is not None and names != generator.dataset.class_names:
        difference = class_difference("the model", names, name, generator.dataset.class_names)
        raise ValueError(f"train: {difference}; make the encoder with GroundTruthEncoder(model)")


def _check_pixels(model, training, validation):
    channels, found = channels_of(model), training.pixels.channels
    if channels != found:
        raise ValueError(
            f"train: the model takes {channels} channels, the images of {training.name} are read with "
            f"{found}; build the model with channels={found}, or use with_pixels(channels={channels})"
        )
    if training.pixels != validation.pixels:
        raise ValueError(
            f"train: the images of {training.name} are read with {training.pixels}, those of "
            f"{validation.name} with {validation.pixels}; use with_pixels(...) on both"
        )
