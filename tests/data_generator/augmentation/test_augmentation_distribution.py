"""The training chain draws the distribution of ssd_keras' chain (statistics of 20,000 of its draws)."""

import json

import cv2
import numpy as np
import pytest

from multibox.data_generator import Record, View, ssd_augmentation

CLASSES = (7, 15, 2)
GEOMETRY_DRAWS = 60_000
PIXEL_DRAWS = 4_000

# Quantiles agree to about 0.01 between samples of the reference's size; besides, it rounds boxes to whole
# pixels of the 300 pixel image.
FRACTION = 0.01 + 0.5 / 300
# Of the small box, 10,700 of 20,000 survive: three standard deviations of a share among so many.
LEVEL = 0.0145
GRAY_LEVELS = 2.0


@pytest.fixture(scope="module")
def expected(small_golden):
    return json.loads((small_golden / "ssd_keras" / "augmentation_statistics.json").read_text())


@pytest.fixture(scope="module")
def record(golden, expected):
    """The picture of the reference, which is stored at 300 x 300, at its original size again."""
    rgb = np.load(golden / "caffe" / "ssd300_plain.npz")["image_rgb_uint8"]
    height, width = expected["image_size_hw"]
    image = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC)
    truth = np.array(expected["ground_truth_class_xmin_ymin_xmax_ymax"])
    flags = np.zeros(len(truth), bool)
    return Record(
        "fish-bike", lambda: image, width, height, truth[:, 1:].astype(np.float32), truth[:, 0], flags, flags
    )


@pytest.fixture(scope="module")
def geometry(record):
    """{class: (boxes, 3) area, center x, center y} and the number of boxes of each draw."""
    start, transforms = View.of_record(record), ssd_augmentation().geometry
    boxes, labels, counts = [], [], []
    for i in range(GEOMETRY_DRAWS):
        view, rng = start, np.random.default_rng([7, i])
        for transform in transforms:
            view = transform(view, rng)
        boxes.append(view.relative_boxes())
        labels.append(view.labels)
        counts.append(len(view.labels))
    boxes, labels = np.concatenate(boxes), np.concatenate(labels)
    sides = boxes[:, 2:] - boxes[:, :2]
    values = np.column_stack([sides.prod(axis=1), (boxes[:, :2] + boxes[:, 2:]) / 2])
    return {c: values[labels == c] for c in CLASSES}, counts


def inner_quantiles(values, expected):
    levels = np.array(expected["quantile_levels"])[1:-1]
    return np.quantile(values, levels)


def test_number_of_objects(geometry, expected):
    values, counts = geometry
    histogram = np.bincount(counts, minlength=4) / GEOMETRY_DRAWS
    np.testing.assert_allclose(
        histogram, [expected["kept_boxes_histogram"][str(n)] for n in range(4)], atol=0.01
    )
    for c in CLASSES:
        assert len(values[c]) / GEOMETRY_DRAWS == pytest.approx(
            expected["box_kept_fraction"][str(c)], abs=0.01
        )


@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("column, name", enumerate(["box_area", "box_center_x", "box_center_y"]))
def test_boxes(geometry, expected, label, column, name):
    values = geometry[0][label][:, column]
    for level, value in zip(
        expected["quantile_levels"], expected[f"{name}_fraction_quantiles"][str(label)], strict=True
    ):
        if 0.05 <= level <= 0.95:
            # The value, or where values are spread thinly (the small box's centers) its level.
            near = abs(np.quantile(values, level) - value) <= FRACTION
            assert near or (values <= value).mean() == pytest.approx(level, abs=LEVEL), level


@pytest.fixture(scope="module")
def pixels(record):
    """Mean color, standard deviation and share of the fill color of each draw."""
    transform = ssd_augmentation()
    rows = []
    for i in range(PIXEL_DRAWS):
        image, _ = transform(record, np.random.default_rng([8, i]))
        fill = (image == transform.fill).all(axis=-1).mean()
        rows.append((*image.mean(axis=(0, 1)), image.std(), fill))
    return np.array(rows)


@pytest.mark.parametrize("channel", range(3))
def test_mean_color(pixels, expected, channel):
    reference = expected["mean_pixel_quantiles_rgb"][channel][1:-1]
    np.testing.assert_allclose(inner_quantiles(pixels[:, channel], expected), reference, atol=GRAY_LEVELS)


def test_standard_deviation_of_pixels(pixels, expected):
    reference = expected["pixel_std_quantiles"][1:-1]
    np.testing.assert_allclose(inner_quantiles(pixels[:, 3], expected), reference, atol=GRAY_LEVELS)


def test_share_of_the_fill_color(pixels, expected):
    # Half of the draws have none and then it rises steeply, so the levels are compared, not the values.
    for level, value in zip(expected["quantile_levels"], expected["fill_fraction_quantiles"], strict=True):
        if 0.01 < value < 0.99:
            assert (pixels[:, 4] <= value).mean() == pytest.approx(level, abs=0.02)
