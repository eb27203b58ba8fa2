"""What a recipe says of this model and this run: of objects that it knows, and of precision."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras

from ..data_generator import DataGenerator, DetectionDataset
from ..eval_utils import evaluate_voc, predict_dataset
from ..recipes import Recipe
from . import processes
from .state import load_run

IMAGES = 100  # of the training images, spread over the data set; enough to tell 0.6 from nothing
ENOUGH = 0.3  # mAP at IoU 0.5. New class heads have less than 0.05, COCO's on VOC's classes 0.63.


def fitting_recipe(
    recipe: Recipe | None, model: keras.Model, data: object, output: Path, *, resume: bool
) -> Recipe | None:
    """A recipe, or what it says of known objects if the model finds those of the data.

    A resumed run keeps the recipe that it began with.
    """
    if isinstance(data, DataGenerator):
        data = data.dataset
    if recipe is None or not recipe.known or not isinstance(data, DetectionDataset):
        return recipe
    known = recipe.for_known_objects()

    def finds_objects():
        if goes_on(output, resume):
            return load_run(output / "last.keras").recipe == known.name
        return bool(mean_ap(model, data) >= ENOUGH)

    return known if processes.of_first(finds_objects) else recipe


def precision_of(recipe: Recipe, output: Path, *, resume: bool) -> str | None:
    """The precision of a recipe. A resumed run keeps the policy that it has, also on another device."""
    return (
        (load_run(output / "last.keras").precision or None) if goes_on(output, resume) else recipe.precision
    )


def goes_on(output: Path, resume: bool) -> bool:
    """Whether there is a run in the folder that is to go on."""
    return resume and (output / "last.keras").exists()


def mean_ap(model, dataset):
    """The mAP of a model on some images of a data set, or NaN without an object that counts."""
    images = dataset[:: -(-len(dataset) // IMAGES)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model that finds nothing yet is no mistake
        found = predict_dataset(model, images, progress=False)
        return evaluate_voc(found, images).mean_average_precision
