import numpy as np
import pytest

import multibox as mb
from multibox.data_generator.class_balance import num_repeated, repeated


def dataset(*labels_of_images, crowd=()):
    """Images of 40 x 40 by the labels of their objects; the objects of the images `crowd` are regions."""
    records = []
    for i, labels in enumerate(labels_of_images):
        boxes = np.tile(np.array([5, 5, 30, 30], np.float32), (len(labels), 1))
        flags = np.full(len(labels), i in crowd)
        pixels = np.full((40, 40, 3), i, np.uint8)
        labels = np.array(labels, np.int32)
        records.append(mb.Record(str(i), lambda p=pixels: p, 40, 40, boxes, labels, crowd=flags))
    return mb.DetectionDataset(("cat", "dog", "hen"), records)


def test_repeat_factors_by_hand():
    """Cats are in 12 of 16 images, dogs in one, in which there is a cat, too; hens only in a crowd region."""
    data = dataset([1, 2], *[[1, 1]] * 11, [], [], [], [3], crowd=(15,))
    np.testing.assert_allclose(mb.repeat_factors(data, 0.25), [2, *[1] * 15])  # sqrt(0.25 / (1 / 16))
    np.testing.assert_allclose(mb.repeat_factors(data, 1)[:2], [4, (16 / 12) ** 0.5])
    np.testing.assert_allclose(mb.repeat_factors(data, 0.01), [1] * 16)


@pytest.mark.parametrize("threshold", [0, -1, 1.5, float("nan")])
def test_impossible_thresholds(threshold):
    with pytest.raises(ValueError, match=r"threshold must be (above 0 and at most 1|a number), got"):
        mb.repeat_factors(dataset([1]), threshold)


def test_balanced_class_weights_by_hand():
    """One cat and four dogs: 5 / (1 + 2) divided by 1 and by 2. The mean over the objects is 1."""
    weights = mb.balanced_class_weights(dataset([1, 2, 2], [2, 2]))
    assert weights == pytest.approx({"cat": 5 / 3, "dog": 5 / 6, "hen": 1})


def test_repeats_are_right_on_average_and_numbered():
    factors = np.array([1, 2.3, 1, 3, 1.5])
    rng = np.random.default_rng(0)
    epochs = [repeated(factors, rng) for _ in range(2000)]
    assert num_repeated(factors) == 9 and {len(e) for e in epochs} == {9}  # 8.8
    assert all(len(set(e.tolist())) == 9 for e in epochs)
    counts = np.array([np.bincount(e % 5, minlength=5) for e in epochs])
    np.testing.assert_allclose(counts.mean(axis=0), factors * 9 / 8.8, atol=0.03)
    assert (counts.min(axis=0) >= np.floor(factors)).all() and (
        counts.max(axis=0) <= np.ceil(factors) + 1
    ).all()
    np.testing.assert_array_equal(repeated(np.ones(4), rng), [0, 1, 2, 3])


def generator(data, **options):
    return mb.DataGenerator(data, 2, mb.resize_only((40, 40)), workers=0, **options)


def test_a_generator_repeats_images():
    data = dataset([1], [2], [3])
    batches = generator(data, repeat_factors=[1, 3, 1], shuffle=False)
    assert len(batches) == 3
    shown = [a["image_id"] for i in range(3) for a in batches[i][1]]
    assert shown == ["0", "1", "1", "1", "2"]
    shuffled = generator(data, repeat_factors=[1, 3, 1], seed=1)
    assert sorted(a["image_id"] for i in range(3) for a in shuffled[i][1]) == ["0", "1", "1", "1", "2"]


def test_repeats_are_augmented_anew_and_depend_on_the_epoch_only():
    data = dataset([1], [2])
    transform = mb.ssd_augmentation((40, 40))
    first, second = (
        mb.DataGenerator(data, size, transform, workers=0, repeat_factors=[1, 7], shuffle=False)
        for size in (8, 3)
    )
    images = first[0][0]
    np.testing.assert_array_equal(images, np.concatenate([second[i][0] for i in range(3)]))
    assert len({image.tobytes() for image in images[1:]}) > 3
    plain = mb.DataGenerator(data, 2, transform, workers=0, shuffle=False)
    np.testing.assert_array_equal(plain[0][0], images[:2])  # the first of each is that without repeats


@pytest.mark.parametrize("factors", [[1, 1], [1, 1, 0.5], [1, 1, np.nan], np.ones((1, 3))])
def test_impossible_factors(factors):
    with pytest.raises(ValueError, match="repeat_factors must be 3 finite numbers of at least 1"):
        generator(dataset([1], [2], [3]), repeat_factors=factors)


def test_class_weights_by_name():
    model = mb.SSD7(class_names=("cat", "dog"), image_size=(64, 64))
    assert mb.class_weights_of(model, {"dog": 3}) == (1.0, 3.0)
    assert mb.loss_of(model, class_weights={"dog": 3}).class_weights == (1.0, 3.0)
    with pytest.raises(ValueError, match="has no class 'cow'; it has cat, dog"):
        mb.class_weights_of(model, {"cow": 2})
    with pytest.raises(ValueError, match="the model has no class names"):
        mb.loss_of(mb.SSD7(2, image_size=(64, 64)), class_weights={"cat": 2})
