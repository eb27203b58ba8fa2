import cv2
import keras
import numpy as np
import pytest

from multibox import SSD7, SSDLoss, anchors_of
from multibox.data_generator import (
    DataGenerator,
    DetectionDataset,
    GroundTruthEncoder,
    ImageError,
    Record,
    load_shapes,
    ssd_eval,
    ssd_train,
)

SIZE = (64, 96)
DATASET = load_shapes(10, (80, 100))


@pytest.fixture(scope="module")
def model():
    return SSD7(4, image_size=SIZE)


@pytest.fixture(scope="module")
def encoder(model):
    return GroundTruthEncoder(anchors_of(model), 4)


def generator(encoder=None, **options):
    return DataGenerator(DATASET, transform=ssd_train(SIZE), encoder=encoder, **{"batch_size": 4, **options})


def samples(generator, epoch=0):
    """{image_id: (image, boxes)} of an epoch."""
    generator.epoch = epoch
    found = {}
    for i in range(len(generator)):
        images, annotations = generator[i]
        for image, a in zip(images, annotations, strict=True):
            found[a["image_id"]] = (image, a["boxes"])
    return found


def same(a, b):
    return a.keys() == b.keys() and all(
        np.array_equal(a[k][0], b[k][0]) and np.array_equal(a[k][1], b[k][1]) for k in a
    )


def test_shapes_and_types(encoder):
    batches = generator(encoder)
    assert len(batches) == 3
    images, targets = batches[0]
    assert (images.shape, images.dtype) == ((4, *SIZE, 3), np.uint8)
    assert (targets.shape, targets.dtype) == ((4, encoder.anchors.num_anchors, 9), np.float32)
    assert batches[2][0].shape[0] == 2  # the rest


def test_targets_are_those_of_the_annotations(encoder):
    _, targets = generator(encoder)[0]
    _, annotations = generator()[0]
    for target, a in zip(targets, annotations, strict=True):
        np.testing.assert_array_equal(target, encoder(a["boxes"], a["labels"]))


def test_every_image_once_an_epoch_in_another_order():
    orders = []
    for epoch in (0, 1):
        batches = generator()
        batches.epoch = epoch
        orders.append([a["image_id"] for i in range(3) for a in batches[i][1]])
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(r.image_id for r in DATASET)
    assert orders[0] != orders[1]
    plain = generator(shuffle=False)
    assert [a["image_id"] for i in range(3) for a in plain[i][1]] == [r.image_id for r in DATASET]


def test_a_sample_depends_on_seed_epoch_and_index_only():
    first = samples(generator(seed=3), epoch=2)
    assert same(first, samples(generator(seed=3, batch_size=3, shuffle=False), epoch=2))
    assert not same(first, samples(generator(seed=4), epoch=2))
    assert not same(first, samples(generator(seed=3), epoch=1))


@pytest.mark.parametrize(
    "options", [{"workers": 2}, {"workers": 4}, {"workers": 2, "use_multiprocessing": True}], ids=str
)
def test_the_number_of_workers_changes_nothing(model, encoder, options):
    """The losses of two epochs of `fit` agree, and the second epoch has other samples."""

    def losses(**workers):
        model.compile(optimizer=keras.optimizers.SGD(0.0), loss=SSDLoss(), run_eagerly=False)
        history = model.fit(generator(encoder, **workers), epochs=2, verbose=0)
        return history.history["loss"]

    before = model.get_weights()
    one = losses(workers=0)
    model.set_weights(before)  # the running statistics have moved
    np.testing.assert_allclose(losses(**options), one, rtol=1e-5)
    assert one[0] != one[1]


def test_resuming_draws_what_would_have_come():
    straight = generator()
    straight.on_epoch_end()
    straight.on_epoch_end()
    resumed = generator()
    resumed.epoch = 2
    np.testing.assert_array_equal(straight[1][0], resumed[1][0])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_images_than_a_batch(encoder, count):
    batches = DataGenerator(DATASET[:count], 8, ssd_eval(SIZE), encoder)
    assert len(batches) == 1
    assert batches[0][0].shape[0] == batches[0][1].shape[0] == count


def test_images_without_objects_train(model, encoder):
    blank = Record("blank", lambda: np.zeros((50, 60, 3), np.uint8), 60, 50, *empty())
    batches = DataGenerator(DetectionDataset(DATASET.class_names, [blank] * 3), 3, ssd_train(SIZE), encoder)
    targets = batches[0][1]
    assert (targets[..., 4] == 1).all()
    model.compile(optimizer="sgd", loss=SSDLoss())
    assert np.isfinite(model.fit(batches, verbose=0).history["loss"][0])


def empty():
    return np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, bool)


def test_a_broken_image_names_its_file(tmp_path):
    path = tmp_path / "broken.jpg"
    cv2.imwrite(str(path), np.zeros((50, 60, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:300])
    dataset = DetectionDataset(("a",), [Record("broken", str(path), 60, 50, *empty())])
    with pytest.raises(ImageError, match=r"broken\.jpg: .*truncated"):
        DataGenerator(dataset, 1, ssd_eval(SIZE))[0]


def test_no_batch_after_the_last():
    with pytest.raises(IndexError, match="batch 3 of 3"):
        generator()[3]


def test_impossible_options(encoder):
    with pytest.raises(ValueError, match="the data set is empty"):
        DataGenerator(DATASET[:0], 4, ssd_eval(SIZE))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        generator(batch_size=0)
    with pytest.raises(ValueError, match=r"images of \(96, 64\) .* anchors are for \(64, 96\)"):
        DataGenerator(DATASET, 4, ssd_eval((96, 64)), encoder)
    with pytest.raises(ValueError, match="encoder has 4 classes, the data set 5"):
        DataGenerator(DetectionDataset("abcde", DATASET.records), 4, ssd_eval(SIZE), encoder)
    with pytest.raises(TypeError):
        generator(seed=None)
    with pytest.raises(ValueError, match=r"image_size: expected \(height, width\)"):
        ssd_eval(300)


def test_the_order_depends_on_the_seed():
    a, b = (DataGenerator(DATASET, 10, ssd_eval((16, 16)), seed=seed) for seed in (0, 1))
    assert [x["image_id"] for x in a[0][1]] != [x["image_id"] for x in b[0][1]]


def test_annotations_say_who_is_difficult():
    boxes, hard = np.array([[0, 0, 20, 20], [60, 40, 80, 60]], np.float32), np.array([True, False])
    record = Record("a", lambda: np.zeros((60, 80, 3), np.uint8), 80, 60, boxes, np.array([1, 1]), hard, hard)
    _, (annotation,) = DataGenerator(DetectionDataset(("a",), [record]), 1, ssd_eval((16, 16)))[0]
    np.testing.assert_array_equal(annotation["difficult"], [True, False])
