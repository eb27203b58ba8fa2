import numpy as np
import pytest

import multibox as mb
from multibox.eval_utils.history_plot import rate_drops


def test_history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,confidence,loss,val_confidence,val_loss\n0,2.5,4.0,NA,5.0\n1,1.5,3.0,NA,NA\n")
    panels = mb.plot_history(path).axes
    assert [a.get_title() for a in panels] == ["confidence", "loss"]
    assert [[line.get_label() for line in a.lines] for a in panels] == [
        ["training"],
        ["training", "validation"],
    ]
    np.testing.assert_array_equal(panels[1].lines[0].get_xydata(), [[1, 4], [2, 3]])


def test_map_the_drops_of_the_rate_and_no_single_classes(tmp_path):
    path = tmp_path / "history.csv"
    rows = ["0,4,1e-3,0.1,0.2", "1,3,1e-3,0.2,0.3", "2,2,5e-4,nan,nan", "3,1,4e-4,0.3,0.1"]
    path.write_text("\n".join(["epoch,loss,learning_rate,val_map,val_map/cat", *rows, ""]))
    panels = mb.plot_history(path).axes
    assert [a.get_title() for a in panels] == ["loss", "learning_rate", "map"]
    assert panels[2].lines[0].get_label() == "validation"
    assert [list(a.lines[-1].get_xdata()) for a in panels] == [[2.5, 2.5]] * 3  # before the third epoch


@pytest.mark.parametrize(
    ("rates", "drops"),
    [
        ([1.0, 1.0, 0.1, 0.1, 0.01], [2, 4]),
        ([1.0, 0.1, 0.1], [1]),
        ([1.0, 0.6, 0.6], []),
        ([0.9, 0.5, 0.2, 0.05, 0.01], []),  # a cosine
        ([1.0, 0.1], []),
        ([1.0], []),
        ([], []),
    ],
)
def test_steps_of_the_learning_rate(rates, drops):
    assert rate_drops({"learning_rate": rates}) == drops


def test_an_empty_history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss\n")
    with pytest.raises(ValueError, match=r"history\.csv: the log has no epochs"):
        mb.plot_history(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("class,AP\ncat,0.5\n", "class: expected a number, got cat"),
        ("loss\n0.5\n", "expected the log of a training with the columns epoch, loss, ...; it has loss"),
        ("epoch\n0\n", "columns epoch, loss, ...; it has epoch"),
        ("epoch,loss\n0,high\n", "loss: expected a number, got high"),
        ("epoch,loss\nNA,1.5\n", "expected the log of a training"),
    ],
)
def test_other_files_are_no_history(tmp_path, content, message):
    path = tmp_path / "history.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"history\.csv: .*{message}"):
        mb.plot_history(path)
