"""The training and validation data of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..anchors import AnchorSpec
from ..data_check import CheckReport, check_dataset
from ..data_generator import DetectionDataset
from ..data_generator.formats.annotation import Annotation
from ..data_generator.formats.layouts import find_layout, load_layout, path_and_set
from ..data_generator.formats.recognize import Layout
from .config import RunConfig

VALIDATION_NAMES = ("val", "valid", "validation")
TRAINING_SHARE = 0.8


@dataclass(frozen=True)
class Source:
    """A data set, or one split of it.

    Attributes:
        path: path of the data set.
        layout: what it is.
        split: name of the split; None: all that the data set consists of.
    """

    path: str
    layout: Layout
    split: str | None

    @property
    def text(self) -> str:
        """As on the command line."""
        return self.path if self.split is None else f"{self.path}:{self.split}"

    def scans(self) -> dict[str, Callable[..., Iterator[Annotation]]]:
        """{split: its reader}, for `check_dataset`."""
        names = self.layout.default if self.split is None else (self.split,)
        texts = [self.text] if len(names) == 1 else [f"{self.path}:{name}" for name in names]
        return {text: self.layout.splits[name] for text, name in zip(texts, names, strict=True)}

    def load(self, classes: tuple[str, ...] | None, progress: bool) -> DetectionDataset:
        """The images."""
        return load_layout(self.layout, self.path, self.split, classes, progress=progress)


@dataclass(frozen=True)
class RunData:
    """Where the data of a run come from.

    Attributes:
        training: the training images.
        validation: the validation images; None: a part of the training images, see `load`.
    """

    training: Source
    validation: Source | None

    @property
    def explanation(self) -> str:
        """Where the validation images come from, in a sentence."""
        if self.validation is None:
            return "a fifth of the images, drawn with the seed, is for validation"
        return f"the images of {self.validation.text} are for validation"

    def check(self, anchors: AnchorSpec | str, progress: bool) -> CheckReport:
        """Checks all images; arguments as for `check_dataset`."""
        splits = self.training.scans() | (self.validation.scans() if self.validation else {})
        classes = self.training.layout.classes
        names = tuple(classes()) if classes else None
        return check_dataset(splits, classes=names, anchors=anchors, progress=progress)

    def load(self, seed: int, progress: bool) -> tuple[DetectionDataset, DetectionDataset]:
        """The training and the validation images; `seed` decides which are which if one set holds both."""
        training = self.training.load(None, progress)
        if self.validation is None:
            return training.split(TRAINING_SHARE, seed=seed)
        return training, self.validation.load(training.class_names, progress)


def find_data(config: RunConfig) -> RunData:
    """Finds the data of a run, and reads nothing but their layout.

    Raises:
        FileNotFoundError: if there is nothing at a path.
        ValueError: if no layout fits, or for an unknown set.
    """
    training = _source(config.data)
    if config.val is not None:
        return RunData(training, _source(config.val))
    pair = None if training.split is not None else _training_and_validation(training.layout.splits)
    if pair is None:
        return RunData(training, None)
    return RunData(*(Source(training.path, training.layout, name) for name in pair))


def _training_and_validation(splits):
    """The names of the only two splits that are made for this, such as ("train", "val"), or None."""
    pairs = [
        (training, training.removesuffix("train") + name)
        for training in splits
        for name in VALIDATION_NAMES
        if training.endswith("train") and training.removesuffix("train") + name in splits
    ]
    return pairs[0] if len(pairs) == 1 else None


def _source(text):
    path, name = path_and_set(text)
    layout = find_layout(path)
    if name is not None and name not in layout.splits:
        raise ValueError(f"{path}: no set {name!r}; there are: {', '.join(layout.splits)}")
    return Source(path, layout, name)
