"""Whether a model finds the objects of a data set before it is trained on them."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras

from ..data_generator import DataGenerator
from ..eval_utils import evaluate_voc, predict_dataset
from ..recipes import Recipe
from . import processes
from .state import load_run

IMAGES = 100  # of the training images, spread over the data set; enough to tell 0.6 from nothing
ENOUGH = 0.3  # mAP at IoU 0.5. New class heads have less than 0.05, COCO's on VOC's classes 0.63.


def finds_objects(
    model: keras.Model, data: object, recipe: Recipe | None, output: Path, *, resume: bool
) -> bool:
    """Whether a model finds the objects already, if the recipe asks; in a resumed run, whether it did."""
    if recipe is None or recipe.known_rate == 1 or not isinstance(data, DataGenerator):
        return False
    last = output / "last.keras"

    def finds():
        if resume and last.exists():
            return load_run(last).known
        return bool(mean_ap(model, data.dataset) >= ENOUGH)

    return processes.of_first(finds)


def mean_ap(model, dataset):
    """The mAP of a model on some images of a data set, or NaN without an object that counts."""
    images = dataset[:: -(-len(dataset) // IMAGES)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a model that finds nothing yet is no mistake
        found = predict_dataset(model, images, progress=False)
        return evaluate_voc(found, images).mean_average_precision
