"""`Recipe`: how a detector is trained, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import keras

from ..arguments import checked
from ..messages import did_you_mean, printable
from ..models.detector import feature_layers
from ..models.precision import Precision
from ..variable_rates import RatedAdam, RatedSGD
from .optimizers import cosine_schedule, default_rate

OPTIMIZERS = {  # with one rate, with several, and their options
    "sgd": (keras.optimizers.SGD, RatedSGD, {"momentum": 0.9}),
    "adam": (keras.optimizers.Adam, RatedAdam, {}),
}
COSINES = {  # where the rate begins, if there is a warm-up, and where it ends, as shares of the highest
    "cosine": {"first": 0.1, "last": 0.01},
    "cosine_to_zero": {"first": 0.001, "last": 0.0},
}
STEPS = (2 / 3, 5 / 6)  # of the run, where the paper divides the rate by 10: 80,000 and 100,000 of 120,000


@checked(
    **{
        "epochs": 1,
        "batch_size": 1,
        "learning_rate": 0,
        "warmup_steps": 0,
        "bias_rate": 0,
        "feature_rate": 0,
        "rate_factor": 0,
    },
    **{"warmup": (0, 1), "averaging": (0, 1), "mosaic": (0, 1), "clip_norm": 0, "localization_weight": 0},
)
@dataclass(frozen=True)
class Recipe:
    """How a detector is trained. `print` shows it as a table; `dataclasses.replace` makes another one.

    Attributes:
        name: name of the recipe.
        purpose: what it is for, in a line.
        epochs: passes over the images.
        batch_size: images per step, at most; see `train`.
        optimizer: "sgd" (momentum 0.9) or "adam".
        learning_rate: highest learning rate. With "sgd" it is for `batch_size` images, and is scaled to the
            batches of the training. None: the rate of the network, see `default_optimizer`.
        rate_factor: factor of that rate.
        decay: "cosine" down to a hundredth; "cosine_to_zero"; or "steps": divided by 10 after two thirds and
            five sixths.
        warmup: share of the steps over which the rate rises to the highest one, from a tenth of it, or from a
            thousandth with "cosine_to_zero". With "steps" there is none.
        warmup_steps: the warm-up ends after that many steps at the latest.
        bias_rate: factor of the learning rate of biases.
        feature_rate: factor of the learning rate of all layers before the heads.
        averaging: window of the average of the weights, as a share of the steps; 0: no average.
        clip_norm: length to which the gradient is cut, or None.
        loss: "mining" (`loss_of`), "focal" (`SSDFocalLoss(alpha=0.75)`), or None: what `train` takes.
        box_loss: what a wrong box costs: "smooth_l1", "giou", "diou" or "ciou", see `SSDLoss`.
        localization_weight: weight of that loss. None: 1 for "smooth_l1", 5 for the others.
        augmentation: "ssd" or "ssdlite" (the presets of these names), or None: what `train` takes.
        precision: "auto" or a policy of Keras, see `train`. None: that of the model.
        mosaic: share of the epochs, from the first on, in which half of the images are a `Mosaic`.
        known: what is different if the model finds the objects before the training, see `train`: attributes
            and their values, but for name, purpose, epochs and precision.

    Raises:
        TypeError: for a value of another kind.
        ValueError: for a value out of range.
    """

    name: str
    purpose: str
    epochs: int
    batch_size: int = 16
    optimizer: Literal["sgd", "adam"] = "adam"
    learning_rate: float | None = None
    rate_factor: float = 1.0
    decay: Literal["cosine", "cosine_to_zero", "steps"] = "cosine"
    warmup: float = 0.05
    warmup_steps: int = 1000
    bias_rate: float = 1.0
    feature_rate: float = 1.0
    averaging: float = 0.0
    clip_norm: float | None = None
    loss: Literal["mining", "focal"] | None = None
    box_loss: Literal["smooth_l1", "giou", "diou", "ciou"] = "smooth_l1"
    localization_weight: float | None = None
    augmentation: Literal["ssd", "ssdlite"] | None = None
    precision: Precision | None = None
    mosaic: float = 0.0
    known: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self):
        if self.decay == "steps" and self.warmup:
            raise ValueError(f'Recipe: decay="steps" has no warm-up; pass warmup=0, not {self.warmup}')
        fixed = {"name", "purpose", "epochs", "precision", "known"}
        allowed = {each.name for each in fields(self)} - fixed
        if unknown := [str(name) for name in self.known if name not in allowed]:
            hint = did_you_mean(unknown[0], allowed)
            raise ValueError(f"Recipe: known has no attribute {printable(unknown[0])!r}{hint}")
        if self.known:
            self.for_known_objects()  # checks the values

    def __str__(self) -> str:
        rows = {each.name: getattr(self, each.name) for each in fields(self)}
        rows["known"] = ", ".join(f"{name} {value}" for name, value in self.known.items()) or None
        width = max(map(len, rows))
        return "\n".join(f"{name:{width}}  {'-' if value is None else value}" for name, value in rows.items())

    def for_known_objects(self) -> Recipe:
        """The recipe for a model that finds the objects before the training."""
        return replace(self, name=f"{self.name}, known objects", **self.known, known={})

    @checked(steps=1, batch_size=1)
    def build_optimizer(self, model: keras.Model, steps: int, batch_size: int) -> keras.optimizers.Optimizer:
        """The optimizer for a training.

        Args:
            model: a model of this package.
            steps: number of steps of the whole training.
            batch_size: images per step.
        """
        rate = default_rate(model) if self.learning_rate is None else self.learning_rate
        rate *= self.rate_factor
        if self.optimizer == "sgd":
            rate *= batch_size / self.batch_size
        plain, rated, options = OPTIMIZERS[self.optimizer]
        options = {**options, **self._averages(steps), "global_clipnorm": self.clip_norm}
        schedule = self._schedule(rate, steps)
        if rates := self._rates(model):
            return rated(learning_rate=schedule, rates=rates, **options)
        return plain(learning_rate=schedule, **options)

    def _schedule(self, rate, steps):
        if self.decay == "steps":
            boundaries = [max(1, round(share * steps)) for share in STEPS]
            rates = [rate, rate / 10, rate / 100]
            return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
        warmup = min(round(self.warmup * steps), self.warmup_steps)
        return cosine_schedule(rate, steps, warmup, **COSINES[self.decay])

    def _rates(self, model):
        rates = {} if self.bias_rate == 1 else {"bias": self.bias_rate}
        if self.feature_rate != 1:
            rates |= dict.fromkeys(feature_layers(model), self.feature_rate)
        return rates

    def _averages(self, steps) -> dict[str, Any]:
        if not self.averaging:
            return {}
        return {"use_ema": True, "ema_momentum": 1 - 1 / max(2, self.averaging * steps)}


def _table(*recipes):
    return {recipe.name: recipe for recipe in recipes}


RECIPES = _table(
    Recipe(
        "paper",
        "SSD300 and SSD512 from ImageNet weights on the 16,551 images of VOC 07+12 (paper, section 3.1)",
        epochs=232,
        batch_size=32,
        optimizer="sgd",
        learning_rate=1e-3,
        decay="steps",
        warmup=0.0,
        bias_rate=2.0,
        loss="mining",
        augmentation="ssd",
    ),
    Recipe(
        "torchvision_ssdlite",
        "SSDLite from random weights on the 117,266 images of COCO (torchvision's script)",
        epochs=660,
        batch_size=192,
        optimizer="sgd",
        learning_rate=0.15,
        decay="cosine_to_zero",
        loss="mining",
        augmentation="ssdlite",
    ),
    Recipe(
        "finetune",
        "from a detector's weights to your classes, with some hundreds of images",
        epochs=20,
        averaging=0.2,
        augmentation="ssdlite",
        known={"rate_factor": 0.1, "batch_size": 32, "averaging": 0.5, "augmentation": "ssd"},
    ),
    Recipe(
        "modern",
        "from random or ImageNet weights, with some hundreds or thousands of images",
        epochs=150,
        clip_norm=10.0,
        averaging=0.05,
        precision="auto",
        mosaic=0.7,
    ),
)


@checked()
def find_recipe(recipe: Recipe | str, *, owner: str = "find_recipe") -> Recipe:
    """A recipe by its name.

    Args:
        recipe: a name; or a `Recipe`, which is returned.
        owner: begins the message of an error.

    Raises:
        TypeError: for anything else.
        ValueError: for a name that there is not; lists those that there are.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in RECIPES:
        hint = did_you_mean(recipe, RECIPES)
        names = ", ".join(RECIPES)
        raise ValueError(f"{owner}: recipe must be one of {names}, got {printable(recipe)!r}{hint}")
    return RECIPES[recipe]
