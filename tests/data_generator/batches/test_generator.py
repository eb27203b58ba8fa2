import multiprocessing
import subprocess
import sys
import warnings
from functools import partial

import cv2
import keras
import numpy as np
import psutil
import pytest

from multibox import SSD7, SSDLoss, anchors_of
from multibox.data_generator import (
    DataGenerator,
    DetectionDataset,
    GroundTruthEncoder,
    ImageError,
    Record,
    SampleTransform,
    load_shapes,
    resize_only,
    ssd_augmentation,
)
from multibox.data_generator.batches import processes

SIZE = (64, 96)
DATASET = load_shapes(10, (80, 100))


@pytest.fixture(scope="module")
def model():
    return SSD7(4, image_size=SIZE)


@pytest.fixture(scope="module")
def encoder(model):
    return GroundTruthEncoder(anchors_of(model), 4)


def generator(encoder=None, **options):
    return DataGenerator(
        DATASET, transform=ssd_augmentation(SIZE), encoder=encoder, **{"batch_size": 4, **options}
    )


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


WORKERS = [
    {"workers": 1},
    {"workers": 2},
    {"workers": 4},
    {"workers": 1, "use_multiprocessing": True},
    {"workers": 2, "use_multiprocessing": True},
    {"workers": 4, "use_multiprocessing": True},
]


def epoch(batches, start=0):
    """The batches of an epoch as `fit` takes them, from number `start` on."""
    batches.on_epoch_begin()
    taken = [batches[i] for i in range(start, len(batches))]
    batches.on_epoch_end()
    return taken


@pytest.mark.parametrize("options", WORKERS, ids=str)
def test_samples_are_the_same_from_workers_of_every_kind(encoder, options):
    """To the last bit, in two epochs, and when stopped in the middle of the second and begun again."""
    options = {**options, "max_queue_size": 2}
    alone, helped = generator(encoder, workers=0), generator(encoder, **options)
    first, second = epoch(alone), epoch(alone)
    for expected in (first, second):
        for a, b in zip(epoch(helped), expected, strict=True):
            np.testing.assert_array_equal(a[0], b[0])
            np.testing.assert_array_equal(a[1], b[1])
    assert not np.array_equal(first[0][0], second[0][0])
    again = generator(encoder, **options)
    again.epoch = 1
    for a, b in zip(epoch(again, start=1), second[1:], strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


@pytest.mark.parametrize("options", WORKERS[::3], ids=str)
def test_annotations_come_from_workers_too(options):
    for a, b in zip(epoch(generator(**options)), epoch(generator(workers=0)), strict=True):
        for x, y in zip(a[1], b[1], strict=True):
            assert x["image_id"] == y["image_id"]
            np.testing.assert_array_equal(x["boxes"], y["boxes"])


def test_processes_that_are_started_afresh(encoder, monkeypatch):
    """As on systems without fork."""
    context = multiprocessing.get_context("spawn")
    monkeypatch.setattr(processes.multiprocessing, "get_context", lambda: context)
    batches = epoch(generator(encoder, workers=1, use_multiprocessing=True))
    np.testing.assert_array_equal(batches[1][0], generator(encoder, workers=0)[1][0])


def test_an_interrupted_epoch_can_be_begun_again(encoder):
    batches = generator(encoder, workers=2, max_queue_size=1)
    batches.on_epoch_begin()
    batches[0]
    batches.epoch = 5
    np.testing.assert_array_equal(batches[1][0], epoch_of(5)[1][0])  # not what was made ahead for epoch 0
    batches.epoch = 0
    taken = epoch(batches)
    np.testing.assert_array_equal(taken[2][0], generator(encoder)[2][0])
    assert batches.epoch == 1


def epoch_of(number):
    batches = generator(workers=0)
    batches.epoch = number
    return batches


class Spy(SampleTransform):
    """Notes the epochs of the samples that are drawn."""

    def __call__(self, record, rng):
        seen.append(rng.bit_generator.seed_seq.entropy[1])
        return super().__call__(record, rng)


seen = []


def test_fit_draws_each_epoch_once(model, encoder):
    """Also with a model that Keras has not seen a batch of, for which it opens an epoch before the first."""
    model.compile(optimizer="sgd", loss=SSDLoss())
    batches = DataGenerator(DATASET, 4, Spy(SIZE), encoder, workers=1)
    taken = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda number, logs: taken.append(batches.epoch))
    seen.clear()
    model.fit(batches, epochs=3, verbose=0, shuffle=False, callbacks=[note])
    assert batches.epoch == 3
    assert set(seen) == {0, 1, 2}
    assert taken == [1, 2, 3]


def test_drop_last_leaves_out_what_fills_no_batch():
    batches = generator(drop_last=True)
    assert [len(batches[i][0]) for i in range(len(batches))] == [4, 4]
    everything = {record.image_id for record in DATASET}
    left_out = [everything - set(samples(batches, epoch)) for epoch in range(3)]
    assert [len(ids) for ids in left_out] == [2, 2, 2]
    assert len(set(map(frozenset, left_out))) > 1
    whole = generator()
    for epoch in range(2):
        first = samples(batches, epoch)
        assert same(first, {name: sample for name, sample in samples(whole, epoch).items() if name in first})


def test_fit_with_drop_last(model, encoder):
    model.compile(optimizer="sgd", loss=SSDLoss())
    batches = generator(encoder, drop_last=True, workers=1)
    model.fit(batches, epochs=2, verbose=0, shuffle=False)
    assert batches.epoch == 2
    assert int(model.optimizer.iterations) == 4


def test_when_drop_last_leaves_out_nothing_or_all():
    assert len(generator(drop_last=True, batch_size=5)) == len(generator(batch_size=5)) == 2
    with pytest.raises(ValueError, match="drop_last leaves no batch: there are 10 samples, a batch has 12;"):
        generator(drop_last=True, batch_size=12)
    with pytest.raises(ValueError, match=r"the last batch has 1 samples for 3 hosts; .* pass drop_last=True"):
        generator(batch_size=1, host=(0, 3))
    assert len(generator(batch_size=1, host=(0, 3), drop_last=True)) == 3


def children():
    return [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]


def test_closing_ends_the_processes_and_a_closed_generator_works_again(encoder):
    before = len(children())
    batches = generator(encoder, workers=2, use_multiprocessing=True)
    assert len(children()) == before  # none before they are needed
    for _ in range(2):
        first = epoch(batches)[0][0]
        assert len(children()) == before + 2
        batches.close()
        assert len(children()) == before
    assert first.shape == (4, *SIZE, 3)


def test_a_worker_that_dies_is_reported_and_replaced(encoder):
    batches = generator(encoder, workers=1, use_multiprocessing=True)
    before = {p.pid for p in children()}
    batches.on_epoch_begin()
    (worker,) = (p for p in children() if p.pid not in before)
    worker.kill()
    with pytest.raises(RuntimeError, match="a worker process died, perhaps for lack of memory"):
        for i in range(len(batches)):
            batches[i]
    assert len(epoch(batches)) == 3
    batches.close()


ORPHANS = """
import time
from multibox.data_generator import DataGenerator, load_shapes, resize_only
batches = DataGenerator(load_shapes(4), 2, resize_only((8, 8)), workers=2, use_multiprocessing=True)
batches.on_epoch_begin()
batches[0]
import psutil
print(*[p.pid for p in psutil.Process().children()], flush=True)
time.sleep(60)
"""


def test_workers_end_with_a_main_process_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True) as main:
        workers = [psutil.Process(int(pid)) for pid in main.stdout.readline().split()]
        assert len(workers) == 2
        main.kill()
    assert psutil.wait_procs(workers, timeout=10)[1] == []


def test_an_image_that_cannot_be_sent_to_a_process_is_named():
    record = Record("mine", lambda: np.zeros((50, 60, 3), np.uint8), 60, 50, *empty())
    batches = DataGenerator(
        DetectionDataset(("a",), [record]), 1, resize_only((8, 8)), workers=1, use_multiprocessing=True
    )
    with pytest.raises(TypeError, match="mine or another image of its batch cannot be sent to a process"):
        epoch(batches)
    batches.close()


def test_a_tiny_box_far_to_the_right_does_not_end_a_training():
    edge = np.float32(7000)
    box = np.array([[edge, 10, np.nextafter(edge, np.float32(8000)), 20]], np.float32)
    record = Record("speck", lambda: np.zeros((100, 8000, 3), np.uint8), 8000, 100, box, np.array([1]))
    wide = GroundTruthEncoder(anchors_of(SSD7(1, image_size=SIZE)), 1)
    for number in range(20):
        batches = DataGenerator(
            DetectionDataset(("a",), [record]), 1, ssd_augmentation(SIZE), wide, workers=0
        )
        batches.epoch = number
        assert np.isfinite(batches[0][1]).all()


@pytest.mark.parametrize("options", WORKERS[1::3], ids=str)
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
    epoch(straight)
    epoch(straight)
    resumed = generator()
    resumed.epoch = 2
    np.testing.assert_array_equal(straight[1][0], resumed[1][0])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_images_than_a_batch(encoder, count):
    batches = DataGenerator(DATASET[:count], 8, resize_only(SIZE), encoder)
    assert len(batches) == 1
    assert batches[0][0].shape[0] == batches[0][1].shape[0] == count


def test_images_without_objects_train(model, encoder):
    blank = Record("blank", lambda: np.zeros((50, 60, 3), np.uint8), 60, 50, *empty())
    batches = DataGenerator(
        DetectionDataset(DATASET.class_names, [blank] * 3), 3, ssd_augmentation(SIZE), encoder
    )
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
        DataGenerator(dataset, 1, resize_only(SIZE))[0]


def draw(color, broken):
    """An image function; some fail as a damaged file does."""
    if broken:
        raise ImageError(f"image {color} is damaged")
    return np.full((50, 60, 3), color, np.uint8)


def with_broken(count, broken):
    """Images of one color each, which is their number; some are damaged."""
    records = [Record(str(i), partial(draw, i, i in broken), 60, 50, *empty()) for i in range(count)]
    return DetectionDataset(("a",), records)


def colors(batches):
    images = np.concatenate([batch[0] for batch in epoch(batches)])
    assert (images == images[:, :1, :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("options", [{"workers": 0}, *WORKERS[::3]], ids=str)
def test_skipping_replaces_counts_and_names_once(options):
    def batches(**workers):
        return DataGenerator(
            with_broken(60, {7, 20}), 8, resize_only((8, 8)), shuffle=False, on_error="skip", **workers
        )

    skipping = batches(**options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first, second = colors(skipping), colors(skipping)
    # Other code's, such as of a file that is collected just now, are not ours to count.
    assert [str(w.message) for w in caught if w.category is UserWarning] == [
        "DataGenerator: skipped: image 7 is damaged",
        "DataGenerator: skipped: image 20 is damaged",
    ]
    assert skipping.failed_images == {"7": "image 7 is damaged", "20": "image 20 is damaged"}
    good = [i for i in range(60) if i not in (7, 20)]
    assert [first[i] for i in good] == [second[i] for i in good] == good
    assert {7, 20}.isdisjoint(first)
    assert (first[7], first[20]) != (second[7], second[20])  # another epoch, another one
    assert skipping.num_failures == 2  # of the last epoch
    # The one that stands in depends on (seed, epoch, index), too.
    with pytest.warns(UserWarning):
        assert colors(batches(workers=0)) == first


def test_too_many_failures_end_the_run():
    few = DataGenerator(with_broken(200, range(0, 200, 20)), 10, resize_only((8, 8)), on_error="skip")
    with pytest.warns(UserWarning, match="skipped"):
        epoch(few)
    many = DataGenerator(
        with_broken(200, range(0, 200, 4)), 10, resize_only((8, 8)), on_error="skip", workers=0
    )
    with (
        pytest.raises(
            ImageError, match=r"1\d of \d+ samples had an image that cannot be used.*the last: image"
        ),
        pytest.warns(UserWarning),
    ):
        epoch(many)
    with pytest.raises(ImageError, match="none of 20 images could replace a broken one"):
        DataGenerator(with_broken(3, range(3)), 8, resize_only((8, 8)), on_error="skip")[0]


def test_one_broken_image_raises_by_default_wherever_it_is_read():
    for options in ({"workers": 0}, *WORKERS[::3]):
        with pytest.raises(ImageError, match="image 7 is damaged"):
            epoch(DataGenerator(with_broken(20, {7}), 4, resize_only((8, 8)), **options))


def test_no_batch_after_the_last():
    with pytest.raises(IndexError, match="batch 3 of 3"):
        generator()[3]


def test_impossible_options(encoder):
    with pytest.raises(ValueError, match="the data set is empty"):
        DataGenerator(DATASET[:0], 4, resize_only(SIZE))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        generator(batch_size=0)
    with pytest.raises(ValueError, match="workers must be at least 0, got -1"):
        generator(workers=-1)
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        generator(workers=0, use_multiprocessing=True)
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        generator(seed=-1)
    for name in ("batch_size", "workers", "max_queue_size"):
        with pytest.raises(TypeError, match=rf"{name} must be a whole number.*, got float 2\.5"):
            generator(**{name: 2.5})
    with pytest.raises(TypeError, match=r"expected a SampleTransform.* got function"):
        DataGenerator(DATASET, 4, lambda record, rng: None)
    with pytest.raises(TypeError, match="dataset must be a DetectionDataset, got list"):
        DataGenerator([1], 4, resize_only(SIZE))
    with pytest.raises(ValueError, match="max_queue_size must be at least 1, got 0"):
        generator(max_queue_size=0)
    with pytest.raises(ValueError, match="cache must be \"ram\" or None, got str 'disk'"):
        generator(cache="disk")
    with pytest.raises(ValueError, match='on_error must be "raise" or "skip", got str \'ignore\''):
        generator(on_error="ignore")
    with pytest.raises(ValueError, match=r"images of \(96, 64\) .* anchors are for \(64, 96\)"):
        DataGenerator(DATASET, 4, resize_only((96, 64)), encoder)
    with pytest.raises(ValueError, match="encoder has 4 classes, the data set 5"):
        DataGenerator(DetectionDataset(list("abcde"), DATASET.records), 4, resize_only(SIZE), encoder)
    with pytest.raises(TypeError):
        generator(seed=None)
    with pytest.raises(TypeError, match="image_size must be 2 values, each a whole number, got int 300"):
        resize_only(300)


def test_the_order_depends_on_the_seed():
    a, b = (DataGenerator(DATASET, 10, resize_only((16, 16)), seed=seed) for seed in (0, 1))
    assert [x["image_id"] for x in a[0][1]] != [x["image_id"] for x in b[0][1]]


def test_annotations_say_who_is_difficult():
    boxes, hard = np.array([[0, 0, 20, 20], [60, 40, 80, 60]], np.float32), np.array([True, False])
    record = Record("a", lambda: np.zeros((60, 80, 3), np.uint8), 80, 60, boxes, np.array([1, 1]), hard, hard)
    _, (annotation,) = DataGenerator(DetectionDataset(("a",), [record]), 1, resize_only((16, 16)))[0]
    np.testing.assert_array_equal(annotation["difficult"], [True, False])


def test_labels_follow_the_models_class_order():
    names = DATASET.class_names[::-1]
    encoder = GroundTruthEncoder(SSD7(class_names=names, image_size=SIZE), sparse=True)
    with pytest.warns(UserWarning, match="the model's classes in another order"):
        batches = DataGenerator(DATASET, 4, resize_only(SIZE), encoder, shuffle=False, workers=0)
    for record, targets in zip(DATASET, batches[0][1], strict=False):
        ids = set(targets[:, 4].astype(int)) - {0, -1}
        assert {names[i - 1] for i in ids} == {DATASET.class_names[i - 1] for i in record.labels}


def test_other_classes_than_the_models_are_refused():
    other = SSD7(class_names=("a", "b", "c", "star"), image_size=SIZE)
    with pytest.raises(ValueError, match="the class names differ: only the model has 'a', 'b', 'c'"):
        DataGenerator(DATASET, 4, resize_only(SIZE), GroundTruthEncoder(other))
