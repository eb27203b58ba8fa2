import pickle

import cv2
import numpy as np
import pytest
from colored_boxes import (
    BLACK,
    assert_box_on_mask,
    assert_boxes_on_colors,
    colored_dataset,
    magnification,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from multibox.data_generator import (
    DataGenerator,
    DetectionDataset,
    Expand,
    Flip,
    IoUCrop,
    MixUp,
    Mosaic,
    Patch,
    Record,
    RightAngleTurn,
    SampleTransform,
    Scale,
    VerticalFlip,
    View,
    load_shapes,
)
from multibox.data_generator.augmentation.render import render

SEEDS = st.integers(0, 2**32 - 1)
SIZES = [(300, 200), (170, 260), (240, 240), (400, 160)] * 4
COLORED = colored_dataset(np.random.default_rng(0), SIZES)
SHAPES = load_shapes(6, (60, 80))


def plain(value, size=(200, 100), boxes=(), crowd=None, **kwargs):
    """A `Record` of one gray level."""
    width, height = size
    image = np.full((height, width, 3), value, np.uint8)
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.full(len(boxes), value, np.int32)
    return Record(str(value), lambda: image, width, height, boxes, labels, crowd=crowd, **kwargs)


def dataset(*records):
    return DetectionDataset(map(str, range(1, 256)), records)


def sample(transforms, record, seed=0, image_size=(160, 200)):
    transform = SampleTransform(image_size, transforms, None, (cv2.INTER_NEAREST,), BLACK)
    return transform(record, np.random.default_rng(seed))


def ids(view):
    return [picture.image for picture in view.pictures]


MOSAICS = {
    "mosaic": (Mosaic(COLORED, 1.0),),
    "then the paper's": (Mosaic(COLORED, 1.0), Expand(), IoUCrop(), Flip()),
    "then a patch": (Mosaic(COLORED, 1.0), VerticalFlip(), RightAngleTurn(), Patch((0.5, 1.5))),
    "of a view": (Expand(), IoUCrop(), Scale(), Mosaic(COLORED, 1.0), RightAngleTurn(probability=1.0)),
    "of a mosaic": (Mosaic(COLORED, 1.0), Mosaic(COLORED, 1.0)),
}


@pytest.mark.parametrize("image_size", [(300, 300), (240, 360)])
@pytest.mark.parametrize("chain", MOSAICS.values(), ids=MOSAICS)
@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_boxes_of_a_mosaic_are_where_their_pixels_are(chain, image_size, seed):
    image, view = sample(chain, COLORED[seed % len(COLORED)], seed, image_size)
    # A picture that was drawn twice shows its colors twice, which would prove nothing.
    once = [ids(view).count(COLORED[(label - 1) // 6].image) == 1 for label in view.labels]
    view = view.keep(np.array(once, bool))
    assert_boxes_on_colors(image, view, 1.5 + 0.5 * max(1.0, magnification(view, image_size)))


@pytest.mark.parametrize("first", [Scale((1.0, 1.0), 1.0), Scale((2.0, 2.0), 1.0)])
@settings(deadline=None)
@given(seed=SEEDS)
def test_tiles_cover_the_view_and_keep_aspect_ratios(first, seed):
    rng = np.random.default_rng(seed)
    start = first(View.of_record(plain(1, (600, 400))), rng)
    others = dataset(plain(2, (100, 300)), plain(3, (400, 100)), plain(4, (50, 50)))
    view = Mosaic(others, 1.0)(start, rng)
    assert len(view.pictures) == 4
    assert view.rect is start.rect
    windows = np.array([p.window for p in view.pictures])
    assert (windows[:, 2:] - windows[:, :2]).prod(axis=1).sum() == pytest.approx(start.size.prod())
    for picture, window in zip(view.pictures, windows, strict=True):
        place = np.array(picture.place)
        scale = (place[2:] - place[:2]) / picture.size
        assert scale[0] == pytest.approx(scale[1])
        assert (place[:2] <= window[:2] + 1e-6).all()
        assert (place[2:] >= window[2:] - 1e-6).all()
        # What was seen of it is no larger than need be.
        seen = start.size if picture.image is start.pictures[0].image else picture.size
        assert (seen * scale / (window[2:] - window[:2])).min() == pytest.approx(1)
    image = render(view, (200, 300), cv2.INTER_NEAREST, (9, 9, 9))
    assert not (image == 9).any()


def test_a_mosaic_by_hand():
    # The center is the middle; each picture of 200 x 100 shrinks to its tile of 100 x 50 exactly.
    box = [[20, 10, 60, 80]]
    view = Mosaic(dataset(plain(2, boxes=box)), 1.0, (0.5, 0.5))(
        View.of_record(plain(1, boxes=box)), np.random.default_rng(0)
    )
    own = [10, 5, 30, 40]
    tiles = np.array([[0, 0, 0, 0], [100, 0, 100, 0], [0, 50, 0, 50], [100, 50, 100, 50]])
    assert sorted(view.boxes.tolist()) == sorted((own + tiles).tolist())
    assert sorted(view.labels.tolist()) == [1, 2, 2, 2]
    image = render(view, (100, 200), cv2.INTER_NEAREST, BLACK)
    for label, b in zip(view.labels, view.boxes.astype(int), strict=True):
        assert (image[b[1] : b[3], b[0] : b[2]] == label).all()


def test_the_view_may_be_in_any_tile():
    mosaic, start = (
        Mosaic(dataset(plain(2)), 1.0, (0.5, 0.5)),
        View.of_record(plain(1, boxes=[[0, 0, 200, 100]])),
    )
    boxes = [tuple(mosaic(start, np.random.default_rng(seed)).boxes[0]) for seed in range(200)]
    for tile in [(0, 0, 100, 50), (100, 0, 200, 50), (0, 50, 100, 100), (100, 50, 200, 100)]:
        assert boxes.count(tile) / 200 == pytest.approx(0.25, abs=0.1)


@given(SEEDS)
def test_the_center_is_within_its_bounds(seed):
    view = Mosaic(dataset(plain(2)), 1.0, (0.3, 0.4))(View.of_record(plain(1)), np.random.default_rng(seed))
    corners = np.array([p.window for p in view.pictures])
    x, y = corners[:, 2].min(), corners[:, 3].min()
    assert 60 <= x <= 80
    assert 30 <= y <= 40


def lone_object(label, rng):
    """A black picture with one object, which is bright in one channel: red for label 1, green for label 2."""
    width, height = (300, 200) if rng.random() < 0.5 else (170, 260)
    left, top, right, bottom = box = np.array([30, 20, 60, 50]) + np.tile(rng.integers(0, 100, 2), 2)
    image = np.zeros((height, width, 3), np.uint8)
    image[top:bottom, left:right, label - 1] = 200
    boxes = box[None].astype(np.float32)
    return Record(f"lone-{label}", lambda: image, width, height, boxes, np.array([label], np.int32))


@pytest.mark.parametrize("chain", [(), (IoUCrop(), Flip()), (Patch(), RightAngleTurn())], ids=str)
@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_boxes_of_a_mixture_are_where_their_pixels_are(chain, seed):
    rng = np.random.default_rng(seed)
    mix = MixUp(dataset(lone_object(2, rng)), 1.0)
    image, view = sample((mix, *chain), lone_object(1, rng), seed, (240, 300))
    for label, box in zip(view.labels, view.relative_boxes(), strict=True):
        tolerance = 1.5 + 0.5 * max(1.0, magnification(view, (240, 300)))
        assert_box_on_mask(image[..., label - 1] > 40, box, tolerance)


def test_a_mixture_by_hand():
    first, second = plain(100, boxes=[[20, 10, 60, 80]]), plain(200, (100, 50), [[10, 10, 90, 40]])
    start = View.of_record(first)
    view = MixUp(dataset(second), 1.0)(start, np.random.default_rng(0))
    assert view.labels.tolist() == [100, 200]
    # The second picture is half as large and has the same shape: it is doubled.
    np.testing.assert_allclose(view.boxes, [[20, 10, 60, 80], [20, 20, 180, 80]])
    opacity = view.pictures[1].opacity
    assert 0.2 < opacity < 0.8
    image = render(view, (100, 200), cv2.INTER_NEAREST, BLACK)
    assert (image == round(200 * opacity + 100 * (1 - opacity))).all()


def test_any_part_of_a_picture_may_be_shown():
    # 100 pixels of 300 fit, once as width and once as height.
    for size, axis in (((300, 100), 0), ((100, 300), 1)):
        mix, start = MixUp(dataset(plain(2, size)), 1.0), View.of_record(plain(1, (100, 100)))
        views = [mix(start, np.random.default_rng(seed)) for seed in range(1000)]
        places = np.array([view.pictures[1].place for view in views])
        np.testing.assert_allclose(np.quantile(places[:, axis], (0, 0.5, 1)), (-200, -100, 0), atol=10)
        np.testing.assert_allclose(places[:, 1 - axis], 0, atol=1e-6)


def test_the_opacity_is_of_a_beta_distribution():
    others, start = dataset(plain(2)), View.of_record(plain(1))

    def opacities(alpha):
        mix = MixUp(others, 1.0, alpha)
        return np.array([mix(start, np.random.default_rng(seed)).pictures[1].opacity for seed in range(2000)])

    # The variance of Beta(a, a) is 1 / (8 a + 4).
    for alpha in (1.5, 32.0):
        assert opacities(alpha).mean() == pytest.approx(0.5, abs=0.02)
        assert opacities(alpha).var() == pytest.approx(1 / (8 * alpha + 4), rel=0.1)


KINDS = [Mosaic, MixUp]


@pytest.mark.parametrize("kind", KINDS)
def test_probability_one_half(kind):
    transform, start = kind(SHAPES), View.of_record(SHAPES[0])
    share = np.mean([transform(start, np.random.default_rng(s)) is not start for s in range(400)])
    assert 0.4 < share < 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_takes_part(kind):
    transform, start = kind(SHAPES, 1.0), View.of_record(SHAPES[0])
    views = [transform(start, np.random.default_rng(seed)) for seed in range(100)]
    assert {image for view in views for image in ids(view)} == {record.image for record in SHAPES}
    assert all(ids(view)[0] is SHAPES[0].image for view in views)


@pytest.mark.parametrize("kind", KINDS)
def test_images_without_objects_and_crowd_regions(kind):
    empty = plain(2)
    crowded = plain(3, boxes=[[0, 0, 200, 100], [50, 20, 150, 80]], crowd=np.array([True, False]))
    hard = plain(4, boxes=[[50, 20, 150, 80]], difficult=np.array([True]))
    for records in ([empty], [empty, crowded], [crowded], [crowded, hard]):
        transform = kind(dataset(*records), 1.0)
        for record in records:
            image, view = sample((transform, Expand(), IoUCrop(), Flip()), record)
            assert image.shape == (160, 200, 3)
            assert view.relative_boxes().shape == (len(view.labels), 4)
            np.testing.assert_array_equal(view.difficult, view.labels == 4)
    counts = [len(MixUp(dataset(crowded), 1.0)(View.of_record(crowded), np.random.default_rng(0)).labels)]
    assert counts == [2]  # one of each, no crowd


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", [Flip(1.0), RightAngleTurn(probability=1.0)])
def test_oriented_views_are_refused(kind, orientation):
    rng = np.random.default_rng(0)
    view = orientation(View.of_record(SHAPES[0]), rng)
    with pytest.raises(ValueError, match=f"{kind.__name__}: .* put this transform before flips and turns"):
        kind(SHAPES, 1.0)(view, rng)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_data_set(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__}: the data set is empty: <shapes: 0 images"):
        kind(SHAPES[:0])


def test_samples_do_not_depend_on_workers():
    transform = SampleTransform((50, 60), (Mosaic(SHAPES), MixUp(SHAPES), IoUCrop(), Flip()))

    def batches(**workers):
        generator = DataGenerator(SHAPES, 2, transform, seed=3, **workers)
        generator.on_epoch_begin()
        found = [generator[i] for i in range(len(generator))]
        generator.on_epoch_end()
        return found

    alone = batches(workers=0)
    for workers in ({"workers": 2}, {"workers": 2, "use_multiprocessing": True}):
        for (images, annotations), (images_2, annotations_2) in zip(alone, batches(**workers), strict=True):
            np.testing.assert_array_equal(images, images_2)
            for a, b in zip(annotations, annotations_2, strict=True):
                np.testing.assert_array_equal(a["boxes"], b["boxes"])


@pytest.mark.parametrize("kind", KINDS)
def test_they_can_be_pickled(kind):
    transform = kind(SHAPES, 1.0)
    copy = pickle.loads(pickle.dumps(transform))
    images = [sample((t,), SHAPES[0], seed=4)[0] for t in (transform, copy)]
    np.testing.assert_array_equal(*images)
