import numpy as np

import multibox as mb

DATASET = mb.load_shapes(3)


def test_precision_recall_shows_the_classes_with_objects():
    record = DATASET[0]
    rows = np.column_stack([record.labels, np.full(len(record.labels), 0.9), record.boxes])
    result = mb.evaluate_voc([rows], DATASET[:1])
    figure = mb.plot_precision_recall(result)
    titles = [a.get_title() for a in figure.axes if a.get_title()]
    assert titles == [f"{DATASET.class_names[i - 1]} 1.000" for i in np.unique(record.labels)]


def test_scores_show_precision_recall_and_f1():
    record = DATASET[0]
    rows = np.column_stack([record.labels, np.full(len(record.labels), 0.9), record.boxes])
    wrong = [record.labels[0], 0.5, 0, 0, 1, 1]
    figure = mb.plot_scores(mb.evaluate_coco([np.vstack([rows, wrong])], DATASET[:1]))
    axes = figure.axes[int((np.unique(record.labels) < record.labels[0]).sum())]
    precision, recall, f1, _ = (np.array(line.get_ydata()) for line in axes.get_lines())
    count = (record.labels == record.labels[0]).sum()
    np.testing.assert_allclose(precision, [1, count / (count + 1)])
    np.testing.assert_allclose(recall, [1, 1])
    np.testing.assert_allclose(f1, [1, 2 * count / (2 * count + 1)])
    assert axes.get_lines()[3].get_xdata()[0] == 0.9
