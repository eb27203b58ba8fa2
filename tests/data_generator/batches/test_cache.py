import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest

from multibox.data_generator import (
    DataGenerator,
    DetectionDataset,
    ImageError,
    cache_in_ram,
    load_shapes,
    read_image,
    ssd_augmentation,
)
from multibox.data_generator.batches import cache as cache_module

DATASET = load_shapes(7, (40, 60))


def test_images_are_decoded_once(tmp_path):
    records = []
    for i, suffix in enumerate((".jpg", ".png")):
        path = tmp_path / f"{i}{suffix}"
        cv2.imwrite(str(path), np.random.default_rng(i).integers(0, 255, (40, 60, 3), np.uint8))
        records.append(replace(DATASET[i], image=str(path)))
    cached = cache_in_ram(DetectionDataset(DATASET.class_names, records), progress=False)
    expected = [read_image(record.image) for record in records]
    for record in records:
        (tmp_path / record.image).unlink()
    for record, pixels, original in zip(cached, expected, records, strict=True):
        np.testing.assert_array_equal(read_image(record.image), pixels)
        np.testing.assert_array_equal(record.boxes, original.boxes)
    with pytest.raises(ImageError):
        read_image(records[0].image)


@pytest.mark.parametrize("options", [{"workers": 2}, {"workers": 2, "use_multiprocessing": True}], ids=str)
def test_cached_samples_are_the_same(options):
    batches = DataGenerator(DATASET, 3, ssd_augmentation((24, 32)), cache="ram", **options)
    plain = DataGenerator(DATASET, 3, ssd_augmentation((24, 32)), workers=0)
    batches.on_epoch_begin()
    for i in range(len(plain)):
        np.testing.assert_array_equal(batches[i][0], plain[i][0])
    batches.on_epoch_end()


def test_an_image_that_cannot_be_read_fails_when_it_is_used(tmp_path):
    broken = replace(DATASET[1], image=str(tmp_path / "none.jpg"))
    cached = cache_in_ram(DetectionDataset(DATASET.class_names, [DATASET[0], broken]), progress=False)
    np.testing.assert_array_equal(read_image(cached[0].image), read_image(DATASET[0].image))
    with pytest.raises(ImageError, match=r"none\.jpg"):
        read_image(cached[1].image)


def test_too_large_for_the_memory(monkeypatch):
    monkeypatch.setattr(
        cache_module.psutil, "virtual_memory", lambda: type("", (), {"available": 40 * 60 * 20})
    )
    with pytest.raises(MemoryError, match=r"<shapes: 7 images.* decoded, 0\.0 GiB are free; use create_hdf5"):
        cache_in_ram(DATASET)


def test_a_process_without_the_memory_says_so():
    image = cache_in_ram(DATASET, progress=False)[0].image
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(image))(), image())
    data = pickle.dumps(image)
    del image
    with pytest.raises(RuntimeError, match="cached in RAM was sent to a process that does not share it"):
        pickle.loads(data)()
