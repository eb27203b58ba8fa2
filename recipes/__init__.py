"""How detectors are trained: recipes, and the optimizers of the published trainings."""

from ..variable_rates import RatedAdam, RatedSGD
from .optimizers import adam_with_cosine_decay, default_optimizer, paper_sgd, torchvision_ssdlite_sgd
from .recipe import RECIPES, Recipe, find_recipe

paper = RECIPES["paper"]
torchvision_ssdlite = RECIPES["torchvision_ssdlite"]
finetune = RECIPES["finetune"]
modern = RECIPES["modern"]

__all__ = [
    "RECIPES",
    "RatedAdam",
    "RatedSGD",
    "Recipe",
    "adam_with_cosine_decay",
    "default_optimizer",
    "find_recipe",
    "finetune",
    "modern",
    "paper",
    "paper_sgd",
    "torchvision_ssdlite",
    "torchvision_ssdlite_sgd",
]
