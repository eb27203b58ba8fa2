"""How far numbers would change with other images: bootstrap over the images of a data set.

Each sample draws as many images as there are, with replacement. Nothing is matched again: what became of each
detection is known from the evaluation, and an image that is drawn twice counts twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...arguments import checked
from ...messages import printable
from .result import EvaluationResult, number_or_none

SAMPLES = (10, 100_000)
# Numbers of an array of weights; more would only fill the memory.
_STEP = 8_000_000


class Interval(NamedTuple):
    """A number and the interval in which it lies for the stated share of the samples.

    Attributes:
        value: the number for the data set itself.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, repr=False)
class Intervals:
    """The result of `confidence_intervals`. `print(intervals)` shows a table.

    Attributes:
        numbers: {name: `Interval`} of the means: "mAP", with COCO's metric also "AP50" and "AP75".
        classes: {class name: `Interval`} of the AP, NaN for a class without objects.
        level: share of the samples that lie in an interval.
        samples: number of samples.
    """

    numbers: dict[str, Interval]
    classes: dict[str, Interval]
    level: float
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """The intervals as plain numbers, ready for JSON. None stands for NaN."""
        parts = {"numbers": self.numbers, "classes": self.classes}
        return {
            "level": self.level,
            "samples": self.samples,
            **{key: {name: plain_interval(i) for name, i in part.items()} for key, part in parts.items()},
        }

    def __str__(self):
        named = [*self.classes.items(), *self.numbers.items()]
        width = max(len(printable(name)) for name, _ in named)
        lines = [f"{'':<{width}}      AP  {self.level:.0%} of {self.samples} samples of the images"]
        return "\n".join([*lines, *(f"{printable(name):<{width}}  {interval_text(i)}" for name, i in named)])

    __repr__ = __str__


@checked(samples=SAMPLES, level=(0.5, 0.999), seed=0)
def confidence_intervals(
    result: EvaluationResult, *, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> Intervals:
    """How far the AP would change with other images of the same kind, by bootstrap over the images.

    The mean of a sample is that of the classes which have objects in it.

    Args:
        result: the result of `evaluate_voc` or `evaluate_coco`.
        samples: number of samples.
        level: share of the samples that lie in the intervals, equally many below and above.
        seed: seed of the random generator.

    Returns:
        `Intervals`.

    Raises:
        ValueError: for numbers out of bounds, or a result that was not made by these functions.
    """
    matched = matched_of(result, "confidence_intervals")
    means, classes = sampled_means([matched], samples, seed)
    values = values_of(matched, result)
    numbers = {name: interval_of(values[name], means[0][name], level) for name in matched.columns}
    of_class = {
        name: interval_of(result.classes[name].average_precision, aps, level)
        for name, aps in classes[0].items()
    }
    return Intervals(numbers, of_class, level, samples)


def matched_of(result, caller):
    if getattr(result, "matched", None) is None:
        raise ValueError(f"{caller}: expected a result of evaluate_voc or evaluate_coco")
    return result.matched


def sampled_means(several, samples, seed):
    """For each `Matched`: {name of a mean: (samples,)} and {class name: (samples,) AP}."""
    rng = np.random.default_rng(seed)
    count = len(several[0].image_ids)
    parts = [{name: [] for name in matched.matches} for matched in several]
    step = max(1, _STEP // count)
    for start in range(0, samples, step):
        size = min(step, samples - start)
        weights = rng.multinomial(count, np.full(count, 1 / count), size).astype(np.int32)
        for matched, part in zip(several, parts, strict=True):
            for name, matches in matched.matches.items():
                part[name].append(matches.sampled_precisions(matched.recalls, weights))
    means, classes = [], []
    for matched, part in zip(several, parts, strict=True):
        aps = {name: np.concatenate(of_class) for name, of_class in part.items()}  # (samples, thresholds)
        together = np.stack(list(aps.values()))
        means.append({name: _mean(together[..., at].mean(-1)) for name, at in matched.columns.items()})
        classes.append({name: ap.mean(axis=1) for name, ap in aps.items()})
    return means, classes


def _mean(aps):
    """(samples,) mean of (classes, samples) over the classes that are not NaN; NaN if all are."""
    count = (~np.isnan(aps)).sum(axis=0)
    return np.where(count > 0, np.nansum(aps, axis=0) / np.maximum(count, 1), np.nan)


def values_of(matched, result):
    """{name: value for the data set} of the means."""
    return {
        name: result.mean_average_precision if name == "mAP" else result.numbers[name]
        for name in matched.columns
    }


def interval_of(value, sampled, level):
    sampled = sampled[~np.isnan(sampled)]
    if not len(sampled):
        return Interval(float(value), np.nan, np.nan)
    low, high = np.quantile(sampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def plain_interval(interval):
    return {name: number_or_none(value) for name, value in interval._asdict().items()}


def interval_text(interval):
    return f"{interval.value:6.3f}  {interval.low:6.3f} to {interval.high:.3f}"
