import os
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from colored_boxes import BLACK, assert_boxes_on_colors, colored_record

from multibox.data_generator import (
    Albumentations,
    DataGenerator,
    Flip,
    Patch,
    Record,
    RightAngleTurn,
    SampleTransform,
    View,
    load_shapes,
)

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask the network for its latest version


class FakePipeline:
    """Mirrors left to right and forgets the first object; notes what it was given and what its dice say."""

    def __init__(self, image_format="pascal_voc", fields=("names",), result=None):
        params = SimpleNamespace(format=image_format, label_fields=list(fields))
        self.processors = {"bboxes": SimpleNamespace(params=params)}
        self.result = result
        self.calls = []

    def __deepcopy__(self, memo):
        return self  # the test wants to see what was noted

    def set_random_state(self, random_generator, py_random):
        self.dice = random_generator.random(), py_random.random()

    def __call__(self, image, bboxes, names):
        self.calls.append((image, bboxes, names, self.dice))
        mirrored = np.stack(
            [image.shape[1] - bboxes[:, 2], bboxes[:, 1], image.shape[1] - bboxes[:, 0], bboxes[:, 3]]
        )
        result = {"image": image[:, ::-1], "bboxes": mirrored.T[1:].tolist(), "names": names[1:].tolist()}
        return result if self.result is None else {**result, "image": self.result}


def record(width=200, height=100):
    image = np.zeros((height, width, 3), np.uint8)
    image[10:80, 20:60] = 100
    boxes = np.array([[100, 5, 180, 95], [20, 10, 60, 80], [150, 60, 199, 99]], np.float32)
    difficult = np.array([False, True, False])
    return Record("a", lambda: image, width, height, boxes, np.array([7, 8, 9], np.int32), difficult)


def apply(pipeline, view, seed=0, **options):
    return Albumentations(pipeline, **options)(view, np.random.default_rng(seed))


def test_pixels_boxes_and_flags_of_the_result():
    out = apply(FakePipeline(), View.of_record(record()))
    assert out.rect.tolist() == [0, 0, 200, 100]
    np.testing.assert_allclose(out.boxes, [[140, 10, 180, 80], [1, 60, 50, 99]], atol=1e-4)
    assert out.labels.tolist() == [8, 9]
    assert out.difficult.tolist() == [True, False]
    (picture,) = out.pictures
    assert (picture.image()[10:80, 140:180] == 100).all()
    assert picture.image().sum() == 70 * 40 * 3 * 100


@pytest.mark.parametrize(("turns", "shape"), [(0, (100, 200)), (1, (200, 100))])
def test_the_view_is_drawn_as_it_is_seen(turns, shape):
    pipeline = FakePipeline()
    out = apply(pipeline, View.of_record(record()).turned(turns))
    image, boxes, objects, _ = pipeline.calls[0]
    assert image.shape == (*shape, 3)
    assert objects.tolist() == [0, 1, 2]
    assert (out.flipped, out.turns) == (False, 0)
    left, top, right, bottom = boxes[1].round().astype(int)
    assert (image[top:bottom, left:right] == 100).all()


def test_large_views_are_drawn_smaller():
    pipeline = FakePipeline()
    apply(pipeline, View.of_record(record()), max_side=50)
    image, boxes = pipeline.calls[0][:2]
    assert image.shape == (25, 50, 3)
    np.testing.assert_allclose(boxes[1], [5, 2.5, 15, 20])


def test_what_lies_outside_is_filled():
    pipeline = FakePipeline()
    wide = Patch((2.0, 2.0), (2.0, 2.0))(View.of_record(record()), np.random.default_rng(0))
    apply(pipeline, wide, fill=(1, 2, 3))
    assert (pipeline.calls[0][0] == (1, 2, 3)).all(axis=-1).sum() == 3 * 200 * 100


def test_all_randomness_comes_from_the_generator():
    pipeline, view = FakePipeline(), View.of_record(record())
    for seed in (1, 1, 2):
        apply(pipeline, view, seed)
    first, again, other = (call[3] for call in pipeline.calls)
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


@pytest.mark.parametrize(
    "result",
    [np.zeros((5, 5, 3), np.float32), np.zeros((5, 5), np.uint8), np.zeros((3, 5, 5), np.uint8), "image"],
)
def test_other_results_are_refused(result):
    with pytest.raises(ValueError, match=r"expected \(rows, columns, 3\) uint8 from the pipeline, got"):
        apply(FakePipeline(result=result), View.of_record(record()))


@pytest.mark.parametrize(
    ("pipeline", "got"),
    [
        (FakePipeline("yolo"), r"FakePipeline with format='yolo', label_fields=\['names'\]"),
        (FakePipeline(fields=()), r"FakePipeline with format='pascal_voc', label_fields=\[\]"),
        (np.fliplr, "with no bbox_params"),
    ],
)
def test_other_pipelines_are_refused(pipeline, got):
    with pytest.raises(ValueError, match=f"expected a list of transforms, or a Compose with .* got .*{got}"):
        Albumentations(pipeline)


def test_without_the_package_the_error_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(ImportError, match="pip install albumentations"):
        Albumentations([])


@pytest.fixture(scope="module")
def albumentations():
    return pytest.importorskip("albumentations")


def test_boxes_are_where_their_pixels_are(albumentations):
    A = albumentations
    pipeline = [
        A.HorizontalFlip(),
        A.VerticalFlip(),
        A.RandomRotate90(),
        A.RandomCrop(100, 110),
        A.Transpose(),
    ]
    chain = (Patch((0.8, 1.5)), RightAngleTurn(), Albumentations(pipeline, fill=BLACK), Flip())
    transform = SampleTransform((200, 260), chain, fill=BLACK, interpolations=(0,))
    objects = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        image, view = transform(colored_record(rng, (300, 240)), rng)
        assert_boxes_on_colors(image, view, 4)
        objects += len(view.labels)
    assert objects > 50


def test_two_flips_are_drawn_one_by_one(albumentations):
    A = albumentations
    flips = Albumentations([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)])
    view = View.of_record(record())
    places = [tuple(flips(view, np.random.default_rng(seed)).boxes[1].round()) for seed in range(200)]
    assert len(set(places)) == 4
    assert all(places.count(place) > 30 for place in set(places))


def test_samples_do_not_depend_on_workers(albumentations):
    A = albumentations
    shapes = load_shapes(6, (60, 80))
    pipeline = Albumentations([A.Rotate(20, p=0.8), A.GaussNoise(p=0.8), A.HorizontalFlip()])
    transform = SampleTransform((50, 60), (pipeline, Flip()))

    def images(**workers):
        generator = DataGenerator(shapes, 2, transform, seed=3, **workers)
        generator.on_epoch_begin()
        found = [generator[i][0] for i in range(len(generator))]
        generator.on_epoch_end()
        return np.concatenate(found)

    alone = images(workers=0)
    np.testing.assert_array_equal(alone, images(workers=2))
    np.testing.assert_array_equal(alone, images(workers=2, use_multiprocessing=True))


def test_images_without_objects(albumentations):
    A = albumentations
    plain = Record(
        "b",
        lambda: np.zeros((50, 60, 3), np.uint8),
        60,
        50,
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.int32),
    )
    out = apply([A.HorizontalFlip(p=1.0), A.RandomCrop(20, 30)], View.of_record(plain))
    assert out.relative_boxes().shape == (0, 4)
    assert out.size.tolist() == [30, 20]


def test_a_pipeline_of_ones_own(albumentations):
    A = albumentations
    params = A.BboxParams(format="pascal_voc", label_fields=["kinds", "more"], min_visibility=0.9)
    transform = Albumentations(A.Compose([A.Crop(0, 0, 140, 100)], bbox_params=params))
    out = pickle.loads(pickle.dumps(transform))(View.of_record(record()), np.random.default_rng(0))
    assert out.labels.tolist() == [8]
    assert out.difficult.tolist() == [True]
    with pytest.raises(ValueError, match="Compose with no bbox_params"):
        Albumentations(A.Compose([]))
