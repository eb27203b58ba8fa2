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
from .tables import to_markdown_table

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
            **{key: {name: _plain(i) for name, i in part.items()} for key, part in parts.items()},
        }

    def __str__(self):
        named = [*self.classes.items(), *self.numbers.items()]
        width = max(len(printable(name)) for name, _ in named)
        lines = [f"{'':<{width}}      AP  {self.level:.0%} of {self.samples} samples of the images"]
        return "\n".join([*lines, *(f"{printable(name):<{width}}  {_text(i)}" for name, i in named)])

    __repr__ = __str__


class Difference(NamedTuple):
    """A number of two detectors.

    Attributes:
        a: that of the first one.
        b: that of the second one.
        change: `Interval` of b - a.
    """

    a: float
    b: float
    change: Interval

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the change does not contain 0."""
        return self.change.low > 0 or self.change.high < 0


@dataclass(frozen=True, repr=False)
class Comparison:
    """The result of `compare`. `print(comparison)` shows a table.

    Attributes:
        numbers: {name: `Difference`} of the means: "mAP", with COCO's metric also "AP50" and "AP75".
        classes: {class name: `Difference`} of the AP.
        level: share of the samples that lie in an interval.
        samples: number of samples.
    """

    numbers: dict[str, Difference]
    classes: dict[str, Difference]
    level: float
    samples: int

    @property
    def better(self) -> list[str]:
        """The classes that the second detector clearly finds better, the largest change first."""
        clear = [
            (d.change.value, name) for name, d in self.classes.items() if d.is_clear and d.change.low > 0
        ]
        return [name for _, name in sorted(clear, reverse=True)]

    @property
    def worse(self) -> list[str]:
        """The classes that the second detector clearly finds worse, the largest change first."""
        clear = [
            (d.change.value, name) for name, d in self.classes.items() if d.is_clear and d.change.high < 0
        ]
        return [name for _, name in sorted(clear)]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain numbers, ready for JSON. None stands for NaN."""
        parts = {"numbers": self.numbers, "classes": self.classes}
        result: dict[str, Any] = {"level": self.level, "samples": self.samples}
        for key, part in parts.items():
            result[key] = {
                name: {"a": number_or_none(d.a), "b": number_or_none(d.b), "change": _plain(d.change)}
                for name, d in part.items()
            }
        return result

    def to_markdown(self) -> str:
        """The table in Markdown."""
        rows = [
            {
                "": name,
                "a": d.a,
                "b": d.b,
                "change": d.change.value,
                "from": d.change.low,
                "to": d.change.high,
            }
            for name, d in (*self.classes.items(), *self.numbers.items())
        ]
        return to_markdown_table(rows)

    def __str__(self):
        named = [*self.classes.items(), *self.numbers.items()]
        width = max(len(printable(name)) for name, _ in named)
        lines = [
            f"{'':<{width}}       a       b   b - a  {self.level:.0%} of {self.samples} samples of the images"
        ]
        for name, d in named:
            mark = "  *" if d.is_clear else ""
            lines.append(f"{printable(name):<{width}}  {d.a:6.3f}  {d.b:6.3f}  {_text(d.change)}{mark}")
        return "\n".join([*lines, "* the interval does not contain 0"])

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
    matched = _matched(result, "confidence_intervals")
    means, classes = _sampled([matched], samples, seed)
    values = _values(matched, result)
    numbers = {name: _interval(values[name], means[0][name], level) for name in matched.columns}
    of_class = {
        name: _interval(result.classes[name].average_precision, aps, level)
        for name, aps in classes[0].items()
    }
    return Intervals(numbers, of_class, level, samples)


@checked(samples=SAMPLES, level=(0.5, 0.999), seed=0)
def compare(
    a: EvaluationResult, b: EvaluationResult, *, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Compares two detectors on the same images: how much AP differs, and whether that may be chance.

    Both are evaluated on the same samples of the images, so that images which are difficult for both do not
    matter. Of many classes a few differ by chance: at a level of 0.95, one of twenty.

    Example:

    ```python
    a = mb.evaluate_voc(mb.predict_dataset(first, test), test)
    b = mb.evaluate_voc(mb.predict_dataset(second, test), test)
    comparison = mb.compare(a, b)
    print(comparison)
    print("better:", comparison.better, "worse:", comparison.worse)
    ```

    Args:
        a: the result of the first detector.
        b: the result of the second one, of the same metric and data set. Its classes may have another order.
        samples: number of samples.
        level: share of the samples that lie in the intervals, equally many below and above.
        seed: seed of the random generator.

    Returns:
        `Comparison`.

    Raises:
        ValueError: for numbers out of bounds, and for results of other images, classes, objects or metrics.
    """
    pair = [_matched(result, "compare") for result in (a, b)]
    _check_same(a, b, *pair)
    means, classes = _sampled(pair, samples, seed)
    first, second = (_values(matched, result) for matched, result in zip(pair, (a, b), strict=True))
    numbers = {
        name: _difference(first[name], second[name], means[0][name], means[1][name], level)
        for name in pair[0].columns
    }
    aps = [{name: r.average_precision for name, r in result.classes.items()} for result in (a, b)]
    of_class = {
        name: _difference(aps[0][name], aps[1][name], classes[0][name], classes[1][name], level)
        for name in a.classes
    }
    return Comparison(numbers, of_class, level, samples)


def _matched(result, caller):
    if getattr(result, "matched", None) is None:
        raise ValueError(f"{caller}: expected a result of evaluate_voc or evaluate_coco")
    return result.matched


def _check_same(a, b, first, second):
    if type(a) is not type(b) or a._settings() != b._settings():
        raise ValueError(f"compare: the metrics differ: {a._settings()} and {b._settings()}")
    if set(first.matches) != set(second.matches):
        names = ", ".join(map(printable, sorted(set(first.matches) ^ set(second.matches))[:5]))
        raise ValueError(f"compare: the classes differ; only one of the results has {names}")
    if first.image_ids != second.image_ids:
        raise ValueError("compare: the results are of different images, or in another order")
    for name, matches in first.matches.items():
        if not np.array_equal(matches.objects, second.matches[name].objects):
            raise ValueError(f"compare: the objects of the class {printable(name)} differ")


def _sampled(several, samples, seed):
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


def _values(matched, result):
    """{name: value for the data set} of the means."""
    return {
        name: result.mean_average_precision if name == "mAP" else result.numbers[name]
        for name in matched.columns
    }


def _interval(value, sampled, level):
    sampled = sampled[~np.isnan(sampled)]
    if not len(sampled):
        return Interval(float(value), np.nan, np.nan)
    low, high = np.quantile(sampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def _difference(a, b, sampled_a, sampled_b, level):
    return Difference(float(a), float(b), _interval(b - a, sampled_b - sampled_a, level))


def _plain(interval):
    return {name: number_or_none(value) for name, value in interval._asdict().items()}


def _text(interval):
    return f"{interval.value:6.3f}  {interval.low:6.3f} to {interval.high:.3f}"
