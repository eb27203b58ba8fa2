import matplotlib
import numpy as np
import pytest

import multibox as mb

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DATASET = mb.load_shapes(3)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_precision_recall_shows_the_classes_with_objects():
    record = DATASET[0]
    rows = np.column_stack([record.labels, np.full(len(record.labels), 0.9), record.boxes])
    result = mb.evaluate_voc([rows], DATASET[:1])
    figure = mb.plot_precision_recall(result)
    titles = [a.get_title() for a in figure.axes if a.get_title()]
    assert titles == [f"{DATASET.class_names[i - 1]} 1.000" for i in np.unique(record.labels)]
