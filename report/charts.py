"""Line charts as SVG. Colors come from the page's style, so that they fit light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 340, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 40


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a chart.

    Attributes:
        name: shown when the pointer is on the line.
        path: the `d` of its SVG path.
        style: its CSS class.
        key: the class of objects that it belongs to, or -1.
    """

    name: str
    path: str
    style: str
    key: int = -1


@dataclass(frozen=True, eq=False)
class Chart:
    """A line chart, drawn by the template.

    Attributes:
        title: what it shows.
        x_label: text below.
        lines: the lines, the last ones on top.
        x_ticks: (position, text) of each.
        y_ticks: (position, text) of each.
        summary: the chart in words, for those who do not see it.
    """

    title: str
    x_label: str
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    box: tuple[int, int, int, int] = (_LEFT, _TOP, WIDTH - _RIGHT, HEIGHT - _BOTTOM)


def make_chart(
    title: str,
    x_label: str,
    x: np.ndarray,
    lines: Sequence[tuple[str, np.ndarray, str, int]],
    *,
    summary: str,
    y_range: tuple[float, float] | None = None,
    x_step: float = 0,
) -> Chart:
    """A chart of lines over common x values.

    Args:
        title: what it shows.
        x_label: text below.
        x: (points,) ascending.
        lines: (name, y values (points,) with NaN for gaps, CSS class, key) of each.
        summary: the chart in words.
        y_range: lowest and highest y; None: those of the lines.
        x_step: least distance of the numbers below.
    """
    x_range = _span(x)
    if y_range is None:
        y_range = _span(np.concatenate([y for _, y, *_ in lines]))
    drawn = [Line(name, _path(x, y, x_range, y_range), style, key) for name, y, style, key in lines]
    x_ticks = [(_place(v, x_range, _LEFT, WIDTH - _RIGHT), _text(v)) for v in _ticks(x_range, x_step)]
    y_ticks = [(_place(v, y_range, HEIGHT - _BOTTOM, _TOP), _text(v)) for v in _ticks(y_range)]
    return Chart(title, x_label, drawn, x_ticks, y_ticks, summary)


def _span(values):
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if high - low > 1e-9 * max(abs(low), abs(high), 1e-290):
        return low, high
    half = max(0.5, 0.1 * abs(low))  # a large number does not change by 0.5
    return low - half, high + half


def _place(value, span, start, end):
    return round(start + (value - span[0]) / (span[1] - span[0]) * (end - start), 1)


def _path(x, y, x_range, y_range):
    """The path of a line, in pieces where y is not finite. A piece of one point becomes a dot."""
    parts, pen = [], "M"
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if not np.isfinite(b):
            pen = "M"
            continue
        place = (
            f"{_place(a, x_range, _LEFT, WIDTH - _RIGHT):g} {_place(b, y_range, HEIGHT - _BOTTOM, _TOP):g}"
        )
        parts.append(f"{pen}{place}" + ("h0" if pen == "M" else ""))
        pen = "L"
    return "".join(parts)


def _ticks(span, least=0):
    """Three to six round numbers in a range, fewer if they would be nearer than the least distance."""
    step = max(10.0 ** np.floor(np.log10((span[1] - span[0]) / 2)), least)
    for factor in (1, 2, 5, 10):
        first, last = np.ceil(span[0] / (step * factor) - 1e-9), np.floor(span[1] / (step * factor) + 1e-9)
        if last - first < 6:
            return [float(i * step * factor) + 0.0 for i in np.arange(first, last + 1)]  # + 0.0: no -0
    return list(span)


def _text(value):
    return f"{value:.6g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.0e}"
