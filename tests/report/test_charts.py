import numpy as np
import pytest

from multibox.report.charts import make_chart

X = np.array([0.0, 0.5, 1.0])


def chart(y, **options):
    return make_chart("t", "x", X, [("line", np.array(y), "together", -1)], summary="s", **options)


def test_a_line_fills_the_frame():
    made = chart([0.0, 0.5, 1.0], y_range=(0.0, 1.0))
    left, top, right, bottom = made.box
    middle = f"{(left + right) / 2:g} {(top + bottom) / 2:g}"
    assert made.lines[0].path == f"M{left} {bottom}h0L{middle}L{right} {top}"
    assert made.x_ticks[0] == (left, "0")
    assert made.x_ticks[-1] == (right, "1")


def test_gaps_and_single_points():
    assert chart([0.0, np.nan, 1.0]).lines[0].path.count("M") == 2
    assert chart([np.nan, np.nan, np.nan]).lines[0].path == ""


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.0, 0.3, 0.9], ["0", "0.2", "0.4", "0.6", "0.8"]),
        ([1.0, 2.0, 7.0], ["2", "4", "6"]),
        ([-1.0, 0.0, 1.0], ["-1", "0", "1"]),
        ([1e-5, 5e-5, 1e-4], ["2e-05", "4e-05", "6e-05", "8e-05", "1e-04"]),
    ],
)
def test_ticks_are_few_round_numbers(values, texts):
    assert [text for _, text in chart(values).y_ticks] == texts


def test_a_flat_line_has_a_scale():
    assert chart([2.0, 2.0, 2.0]).lines[0].path.startswith("M46 100h0")


@pytest.mark.parametrize("value", [1e20, -1e300, 5e-324])
def test_a_flat_line_of_any_size_has_a_scale(value):
    made = chart([value, value, value])
    assert made.lines[0].path.startswith("M46 100h0") and len(made.y_ticks) >= 2
    assert chart([0.0, value, 0.0]).lines[0].path.startswith("M46 ")
