"""Two detectors on the same images: how much their AP differs, and whether that may be chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...arguments import checked
from ...messages import printable
from .bootstrap import (
    SAMPLES,
    Interval,
    interval_of,
    interval_text,
    matched_of,
    plain_interval,
    sampled_means,
    values_of,
)
from .result import EvaluationResult, number_or_none
from .tables import to_markdown_table


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
                name: {"a": number_or_none(d.a), "b": number_or_none(d.b), "change": plain_interval(d.change)}
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
            lines.append(
                f"{printable(name):<{width}}  {d.a:6.3f}  {d.b:6.3f}  {interval_text(d.change)}{mark}"
            )
        return "\n".join([*lines, "* the interval does not contain 0"])

    __repr__ = __str__


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
    pair = [matched_of(result, "compare") for result in (a, b)]
    _check_same(a, b, *pair)
    means, classes = sampled_means(pair, samples, seed)
    first, second = (values_of(matched, result) for matched, result in zip(pair, (a, b), strict=True))
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


def _difference(a, b, sampled_a, sampled_b, level):
    return Difference(float(a), float(b), interval_of(b - a, sampled_b - sampled_a, level))
