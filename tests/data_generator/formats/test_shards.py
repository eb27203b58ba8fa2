import json
import pickle
import tarfile
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from annotated_images import write_image

from multibox.data_generator import (
    DataGenerator,
    DetectionDataset,
    ImageError,
    Record,
    load_dataset,
    load_hdf5,
    load_shapes,
    load_shards,
    resize_only,
    save_shards,
)
from multibox.data_generator.formats import shard_writer
from multibox.data_generator.formats import shards as shards_module
from multibox.data_generator.record import FLAGS

SIZE = (40, 60)


@pytest.fixture
def data(tmp_path):
    """Ten images in JPEG and PNG files with 0 to 3 objects and all flags."""
    records = []
    for i in range(10):
        suffix = (".jpg", ".png")[i % 2]
        image = str(write_image(tmp_path / f"pictures/{i}{suffix}", seed=i))
        boxes = np.array([[1, 2, 30, 20.5], [0, 0, 60, 40], [5, 5, 6, 6]], np.float32)[: i % 4]
        labels = np.array([1, 2, 1], np.int32)[: i % 4]
        flags = [np.array([a, b, False])[: i % 4] for a, b in ((True, False), (False, True), (True, True))]
        records.append(Record(f"röad/{i}", image, 60, 40, boxes, labels, *flags))
    return DetectionDataset(("cat", "dog", "emu"), records, "street")


def check_equal(found, expected):
    assert found.class_names == expected.class_names
    by_id = {record.image_id: record for record in found}
    assert len(by_id) == len(found) == len(expected)
    for record in expected:
        same = by_id[record.image_id]
        assert (same.width, same.height) == (record.width, record.height)
        for field in ("boxes", "labels", *FLAGS):
            np.testing.assert_array_equal(getattr(same, field), getattr(record, field))
            assert getattr(same, field).dtype == getattr(record, field).dtype
        np.testing.assert_array_equal(same.read(), record.read())


def test_shards_read_back(data, tmp_path):
    save_shards(data, tmp_path / "shards", shard_bytes=10_000, progress=False)
    shards = sorted((tmp_path / "shards").glob("*.tar"))
    assert len(shards) > 2
    found = load_shards(tmp_path / "shards")
    assert found.name == "street"
    check_equal(found, data)
    assert pickle.loads(pickle.dumps(found[3].image))() == found[3].image()
    assert load_dataset(tmp_path / "shards")[2].image_id == found[2].image_id


def test_a_shard_has_the_files_of_webdataset(data, tmp_path):
    save_shards(data, tmp_path / "shards", seed=None, progress=False)
    with tarfile.open(tmp_path / "shards/00000.tar") as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar}
    assert list(content)[:4] == ["000000000.jpg", "000000000.json", "000000001.png", "000000001.json"]
    for i, record in enumerate(data):
        picture = content[f"{i:09d}{('.jpg', '.png')[i % 2]}"]
        assert picture == Path(record.image).read_bytes()
    assert json.loads(content["000000002.json"]) == {
        **{"image_id": "röad/2", "width": 60, "height": 40, "classes": ["cat", "dog"]},
        "boxes": [[1, 2, 30, 20.5], [0, 0, 60, 40]],
        **{"difficult": [True, False], "truncated": [False, True], "crowd": [True, True]},
    }


def test_the_seed_decides_the_order(data, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1), ("d", None)):
        save_shards(data, tmp_path / name, seed=seed, progress=False)
    a, b, c, d = ([record.image_id for record in load_shards(tmp_path / name)] for name in "abcd")
    assert a == b != c
    assert sorted(a) == sorted(c) == d == [record.image_id for record in data]
    assert (tmp_path / "a/00000.tar").read_bytes() == (tmp_path / "b/00000.tar").read_bytes()


def test_shards_have_equally_many_images(data, tmp_path):
    save_shards(data, tmp_path / "shards", shard_bytes=10_000, progress=False)
    images = load_shards(tmp_path / "shards").records.images
    counts = np.bincount(images.shard_numbers)
    assert counts.max() - counts.min() <= 1
    assert len(counts) == len(images.shards)


def test_drawn_images_become_png(tmp_path):
    shapes = load_shapes(3, (64, 64), seed=0)
    save_shards(shapes, tmp_path / "shards", progress=False)
    check_equal(load_shards(tmp_path / "shards"), shapes)
    save_shards(load_shards(tmp_path / "shards"), tmp_path / "again", progress=False)
    check_equal(load_shards(tmp_path / "again"), shapes)


def test_parts_of_the_data_set(data, tmp_path):
    """Slices, subsets and splits of what is made when it is asked for equal those of a list."""
    save_shards(data, tmp_path / "shards", seed=None, shard_bytes=10_000, progress=False)
    table = load_shards(tmp_path / "shards")
    plain = DetectionDataset(table.class_names, list(table), table.name)
    assert repr(table) == repr(plain)
    assert table.class_counts() == plain.class_counts()
    for part in (
        lambda d: d[3:9:2],
        lambda d: d[3:9][1:4],
        lambda d: d.split(0.6, seed=3)[0],
        lambda d: d.split(0.6, seed=3)[1][1:],
        lambda d: d.subset(["dog"], exclude_difficult=True),
        lambda d: d[:3] + d[5:],
        lambda d: d.with_pixels(channels=1),
        lambda d: d[4:].with_pixels(value_range=(0, 100)),
    ):
        a, b = part(table), part(plain)
        assert [r.image_id for r in a] == [r.image_id for r in b]
        assert a.pixels == b.pixels
        assert a.class_counts() == b.class_counts()
        assert repr(a) == repr(b)
        check_equal(a, b)
    with pytest.raises(IndexError):
        table[10]
    assert table[-1].image_id == plain[-1].image_id


@pytest.mark.parametrize("in_processes", [False, True])
def test_workers_read_shards(data, tmp_path, in_processes):
    save_shards(data, tmp_path / "shards", shard_bytes=10_000, progress=False)
    found = load_shards(tmp_path / "shards")
    options = {"shuffle": False, "workers": 2, "use_multiprocessing": in_processes}
    batches = DataGenerator(found, 4, resize_only(SIZE), **options)
    batches.on_epoch_begin()
    images = np.concatenate([batches[i][0] for i in range(len(batches))])
    batches.close()
    np.testing.assert_array_equal(images, [record.read() for record in found])


def test_an_existing_folder_is_not_overwritten(data, tmp_path):
    save_shards(data, tmp_path / "shards", progress=False)
    with pytest.raises(FileExistsError, match="shards"):
        save_shards(data, tmp_path / "shards", progress=False)


def test_a_missing_picture_leaves_nothing(data, tmp_path):
    (tmp_path / "pictures/7.png").unlink()
    with pytest.raises(ImageError, match=r"7\.png"):
        save_shards(data, tmp_path / "shards", progress=False)
    (tmp_path / "pictures/7.png").touch()
    with pytest.raises(ImageError, match=r"7\.png: the image file is empty"):
        save_shards(data, tmp_path / "shards", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.parametrize("flaw", ["empty", "ids", "pixels"])
def test_data_sets_that_cannot_be_written(data, tmp_path, flaw):
    wrong = {
        "empty": lambda: data[:0],
        "ids": lambda: DetectionDataset(data.class_names, [data[0], data[0]]),
        "pixels": lambda: data[:2] + data[2:].with_pixels(channels=1),
    }[flaw]()
    message = {"empty": "empty", "ids": "more than once", "pixels": "different ways"}[flaw]
    with pytest.raises(ValueError, match=message):
        save_shards(wrong, tmp_path / "shards", progress=False)


def test_an_interrupted_run_leaves_nothing(data, tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(shard_writer, "write_index", fail)
    with pytest.raises(KeyboardInterrupt):
        save_shards(data, tmp_path / "shards", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_a_shard_that_is_missing_or_cut_off(data, tmp_path):
    save_shards(data, tmp_path / "shards", progress=False)
    shard = tmp_path / "shards/00000.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    found = load_shards(tmp_path / "shards")
    with pytest.raises(ImageError, match=rf"00000.tar: the shard has {len(content) - 1} bytes, its index"):
        found[0].read()
    shard.write_bytes(content)
    found[0].read()
    shard.write_bytes(content[:600])
    with pytest.raises(ImageError, match=r"00000.tar: the shard was cut off after it was opened"):
        found[0].read()
    shard.unlink()
    found = load_shards(tmp_path / "shards")[:1]
    shards_module._opened.cache_clear()
    with pytest.raises(ImageError, match=r"00000.tar: cannot read the shard: No such file"):
        found[0].read()


def test_a_damaged_picture_is_an_error_of_the_picture(data, tmp_path):
    save_shards(data[:1], tmp_path / "shards", progress=False)
    shard = tmp_path / "shards/00000.tar"
    image = load_shards(tmp_path / "shards")[0].image
    content = bytearray(shard.read_bytes())
    content[image.start : image.stop] = bytes(image.stop - image.start)
    shard.write_bytes(content)
    with pytest.raises(ImageError, match=rf"00000.tar \(bytes {image.start} to {image.stop}\)"):
        load_shards(tmp_path / "shards")[0].read()


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"index.h5: no such file; expected a folder"):
        load_shards(tmp_path)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "index.h5").write_bytes((tmp_path / "a.png").read_bytes())
    with pytest.raises(ValueError, match=r"index.h5: not an index of save_shards"):
        load_shards(tmp_path)


WRONG = [
    ("shard_starts", lambda old: old[::-1], "rise from 0"),
    ("shard_starts", lambda old: old[:-1], "shape"),
    ("shard_sizes", lambda old: old * 0, "from 1 to"),
    ("shard_sizes", lambda old: old - 10_000, "picture_starts: expected numbers from 0 to"),
    ("picture_sizes", lambda old: old * 0, "from 1 to"),
    ("picture_sizes", lambda old: old * 0 + 2**40, "from 1 to"),
    ("picture_starts", lambda old: old - 10**6, "from 0 to"),
    ("picture_starts", lambda old: old + 10**6, "from 0 to"),
    ("picture_starts", lambda old: old.astype(np.uint64) + np.uint64(2**63), "from 0 to"),
    ("picture_starts", lambda old: old[:-1], "shape"),
    ("picture_starts", lambda old: old + 0.5, "whole numbers"),
]


@pytest.mark.parametrize("field, change, message", WRONG)
def test_a_damaged_index_is_refused(data, tmp_path, field, change, message):
    save_shards(data, tmp_path / "shards", progress=False)
    with h5py.File(tmp_path / "shards/index.h5", "r+") as file:
        old = file[field][()]
        del file[field]
        file[field] = change(old)
    with pytest.raises(ValueError, match=rf"index.h5: not an index of save_shards.*{message}") as caught:
        load_shards(tmp_path / "shards")
    assert field in str(caught.value) or "picture_starts" in str(caught.value)


def test_an_index_is_no_data_set_with_images(data, tmp_path):
    save_shards(data, tmp_path / "shards", progress=False)
    with pytest.raises(ValueError, match="expected the format 'multibox 1'"):
        load_hdf5(tmp_path / "shards/index.h5")
