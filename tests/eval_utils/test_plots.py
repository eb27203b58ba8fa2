import numpy as np
import pytest

import multibox as mb
from multibox.data_generator import Flip, SampleTransform
from multibox.eval_utils.metrics.voc import ClassResult, VOCResult

DATASET = mb.load_shapes(3)


def test_boxes_and_names_above_the_score():
    rows = np.array([[1, 0.9, 10, 20, 50, 80], [2, 0.4, 0, 0, 5, 5]])
    record = DATASET[0]
    figure = mb.plot_detections(record.image(), rows, ground_truth=record, class_names=DATASET.class_names)
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.texts] == ["circle 0.90"]
    assert len(axes.patches) == len(record.labels) + 1
    box = axes.patches[-1]
    assert (box.get_xy(), box.get_width(), box.get_height()) == ((10, 20), 40, 60)


@pytest.mark.parametrize("ymin, inside", [(0, True), (5, True), (20, False)])
def test_a_label_stays_on_the_picture(ymin, inside):
    image = np.zeros((100, 200, 3), np.uint8)
    axes = mb.plot_detections(image, np.array([[1, 0.9, 10, ymin, 50, 80]])).axes[0]
    (label,) = axes.texts
    assert (label.get_position(), label.get_va()) == ((10, ymin), "top" if inside else "bottom")


def test_the_best_detection_is_drawn_last():
    rows = np.array([[1, 0.9, 10, 20, 50, 80], [2, 0.6, 12, 20, 50, 80]])
    axes = mb.plot_detections(np.zeros((100, 200, 3), np.uint8), rows).axes[0]
    assert [t.get_text() for t in axes.texts] == ["2 0.60", "1 0.90"]


def test_ground_truth_alone_is_named():
    record = DATASET[0]
    axes = mb.plot_detections(record.image(), ground_truth=record, class_names=DATASET.class_names).axes[0]
    assert [t.get_text() for t in axes.texts] == [DATASET.class_names[i - 1] for i in record.labels]


def test_a_grid_has_a_cell_for_each_image():
    detections = [np.zeros((0, 6))] * 3
    figure = mb.plot_detection_grid(DATASET, detections, columns=2)
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 0]
    assert [axes.get_title() for axes in figure.axes] == [*(r.image_id for r in DATASET), ""]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["annotated (drawn in white)", "detected (a color for each class)"]
    assert len(mb.plot_detection_grid(DATASET).legends[0].get_texts()) == 1


def test_a_grid_of_nothing():
    with pytest.raises(ValueError, match="the data set is empty"):
        mb.plot_detection_grid(DATASET[:0])


def test_a_grid_of_fewer_detections_than_images():
    with pytest.raises(ValueError, match="1 detections for 3 images"):
        mb.plot_detection_grid(DATASET, [np.zeros((0, 6))])


def test_samples_beside_their_images():
    transform = SampleTransform((40, 60), (Flip(1.0),))
    figure = mb.plot_samples(DATASET[:2], transform, draws=3)
    assert len(figure.axes) == 8
    shapes = [axes.images[0].get_array().shape for axes in figure.axes[:4]]
    assert shapes == [(192, 192, 3)] + 3 * [(40, 60, 3)]
    (original, sample), box = (figure.axes[i].patches[0] for i in (0, 1)), DATASET[0].boxes[0]
    assert original.get_xy() == pytest.approx(tuple(box[:2]))
    assert len(figure.axes[1].texts) == 0
    assert sample.get_xy() == pytest.approx(((192 - box[2]) * 60 / 192, box[1] * 40 / 192), rel=1e-4)
    assert [t.get_text() for t in figure.axes[0].texts] == [
        DATASET.class_names[i - 1] for i in DATASET[0].labels
    ]


def test_samples_are_those_of_a_generator():
    figure = mb.plot_samples(DATASET, mb.ssd_augmentation((40, 60)), draws=2, seed=5)
    generator = mb.DataGenerator(DATASET, 3, mb.ssd_augmentation((40, 60)), shuffle=False, seed=5)
    for epoch in (0, 1):
        generator.epoch = epoch
        for image, row in zip(generator[0][0], range(3), strict=True):
            np.testing.assert_array_equal(figure.axes[3 * row + 1 + epoch].images[0].get_array(), image)


def test_samples_of_nothing():
    with pytest.raises(ValueError, match="the data set is empty"):
        mb.plot_samples(DATASET[:0], mb.ssd_augmentation())


def test_names_with_dollars_are_no_formulas(tmp_path):
    record = DATASET[0]
    names = ["$\\nocommand$"] * 4
    figure = mb.plot_detections(record.image(), np.array([[1, 0.9, 10, 20, 50, 80]]), class_names=names)
    figure.savefig(tmp_path / "boxes.png")
    data = mb.DetectionDataset(("$\\nocommand$", "b", "c", "d"), DATASET.records)
    found = [np.zeros((0, 6))] * len(data)
    mb.plot_precision_recall(mb.evaluate_voc(found, data)).savefig(tmp_path / "curves.png")


def test_names_in_plots_are_one_line(tmp_path):
    record = DATASET[0]
    names = ["a\nb", "c", "d", "e"]
    rows = np.array([[1, 0.9, 10, 20, 50, 80]])
    (label,) = mb.plot_detections(record.image(), rows, class_names=names).axes[0].texts
    assert label.get_text() == r"a\nb 0.90"
    curve = np.array([0.5])
    result = VOCResult({"a\nb": ClassResult(0.0, curve, curve, curve, 1)}, 0.5, "area")
    figure = mb.plot_precision_recall(result)
    assert figure.axes[0].get_title() == r"a\nb 0.000"
    (tmp_path / "history.csv").write_text("epoch,$\\nocommand$\n0,1.5\n")
    figure = mb.plot_history(tmp_path / "history.csv")
    assert figure.axes[0].get_title() == "$\\nocommand$"
    figure.savefig(tmp_path / "history.png")


def test_rows_may_be_a_list():
    figure = mb.plot_detections(np.zeros((50, 60, 3), np.uint8), [[1, 0.9, 10, 20, 50, 40]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["1 0.90"]
