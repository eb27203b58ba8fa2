import numpy as np

from multibox.data_generator import SHAPE_CLASSES, load_shapes, shapes


def test_drawn_images_fit_their_records():
    for record in load_shapes(20, (90, 120), seed=5):
        image = record.image()
        assert (image.shape, image.dtype) == ((90, 120, 3), np.uint8)
        assert (record.width, record.height) == (120, 90)
        assert 1 <= len(record.labels) <= 6
        assert record.labels.min() >= 1
        assert record.labels.max() <= len(SHAPE_CLASSES)
        assert (record.boxes[:, :2] >= 0).all()
        assert (record.boxes[:, 2:] <= (120, 90)).all()
        assert (record.boxes[:, 2:] - record.boxes[:, :2] > 5).all()


def test_the_seed_decides():
    a, b, c = load_shapes(3, seed=1), load_shapes(2, seed=1), load_shapes(2, seed=2)
    np.testing.assert_array_equal(a[1].image(), b[1].image())
    np.testing.assert_array_equal(a[1].boxes, b[1].boxes)
    assert not np.array_equal(b[1].image(), c[1].image())


def test_all_classes_occur():
    labels = np.concatenate([r.labels for r in load_shapes(50)])
    assert (np.bincount(labels, minlength=5)[1:] > 20).all()


def test_small_shapes_are_in_front():
    for seed in range(20):
        _, outlines = shapes._plan(np.random.default_rng(seed), (100, 120))
        areas = [np.prod(np.ptp(outline, axis=0)) for outline in outlines]
        assert areas == sorted(areas, reverse=True)


def test_boxes_are_tight():
    canvas = np.zeros((100, 120, 3), np.float32)
    for record, index in zip(load_shapes(4, (100, 120)), range(4), strict=True):
        _, outlines = shapes._plan(np.random.default_rng([0, index, 0]), (100, 120))
        for outline, box in zip(outlines, record.boxes, strict=True):
            canvas[:] = 0
            shapes._fill(canvas, outline, np.full_like(canvas, 255))
            rows, columns = np.nonzero(canvas[..., 0] > 127)
            drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(drawn, box, atol=1.1)


def test_shapes_are_drawn_where_their_outlines_are():
    """The center of mass of a rectangle, to half a cell of the finer grid."""
    canvas = np.zeros((20, 30, 3), np.float32)
    outline = np.array([[4.0, 6.0], [17.0, 6.0], [17.0, 12.0], [4.0, 12.0]])
    shapes._fill(canvas, outline, np.full_like(canvas, 255))
    weight = canvas[..., 0] / canvas[..., 0].sum()
    center = (weight * (np.arange(30) + 0.5)).sum(), (weight * (np.arange(20)[:, None] + 0.5)).sum()
    np.testing.assert_allclose(center, (10.5, 9.0), atol=0.5 / shapes.FINER + 0.02)
