import numpy as np

from multibox.data_generator import SHAPE_CLASSES, load_shapes


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


def test_boxes_are_tight():
    """Redrawing the scene without a shape changes pixels up to its box's edges and nowhere else."""
    from multibox.data_generator import shapes

    canvas = np.zeros((100, 120, 3), np.float32)
    labels, outlines = shapes._plan(np.random.default_rng([0, 3, 0]), (100, 120))
    for outline, box in zip(outlines, load_shapes(4, (100, 120))[3].boxes, strict=True):
        canvas[:] = 0
        shapes._fill(canvas, outline, np.full_like(canvas, 255))
        rows, columns = np.nonzero(canvas[..., 0] > 127)
        drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(drawn, box, atol=1.6)
    assert len(labels) == len(outlines)
