import os
import pickle
import signal
import subprocess
import sys
import time

import cv2
import h5py
import numpy as np
import pytest

from multibox.data_generator import (
    DataGenerator,
    DetectionDataset,
    ImageError,
    Record,
    create_hdf5_dataset,
    load_hdf5,
    load_shapes,
    read_image,
    ssd_augmentation,
)

DRAWN = load_shapes(6, (40, 60))


@pytest.fixture
def files(tmp_path):
    """Three image files of different kinds, the second without objects."""
    records = []
    for i, suffix in enumerate((".jpg", ".png", ".jpg")):
        path = tmp_path / f"{i}{suffix}"
        cv2.imwrite(str(path), np.random.default_rng(i).integers(0, 255, (30 + i, 50, 3), np.uint8))
        boxes = np.array([[1.5, 2, 20.25, 25]] * (i != 1), np.float32).reshape(-1, 4)
        flags = [np.full(len(boxes), on) for on in (True, False, True)]
        records.append(Record(f"né {i}", str(path), 50, 30 + i, boxes, np.full(len(boxes), 2), *flags))
    return DetectionDataset(("a", "ü"), records, "mine")


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("source", ["files", "drawn"])
def test_what_is_written_is_read(tmp_path, request, source, decoded):
    dataset = request.getfixturevalue("files") if source == "files" else DRAWN
    create_hdf5_dataset(dataset, tmp_path / "data.h5", decoded=decoded, progress=False)
    loaded = load_hdf5(tmp_path / "data.h5")
    assert (loaded.class_names, loaded.name, len(loaded)) == (dataset.class_names, dataset.name, len(dataset))
    for a, b in zip(loaded, dataset, strict=True):
        assert (a.image_id, a.width, a.height) == (b.image_id, b.width, b.height)
        for name in ("boxes", "labels", "difficult", "truncated", "crowd"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        np.testing.assert_array_equal(read_image(a.image), read_image(b.image))
    assert [p.name for p in tmp_path.iterdir() if "h5" in p.name] == ["data.h5"]


def test_encoded_files_are_stored_as_they_are(tmp_path, files):
    create_hdf5_dataset(files, tmp_path / "data.h5", progress=False)
    stored = load_hdf5(tmp_path / "data.h5")[0].image()
    assert stored == (tmp_path / "0.jpg").read_bytes()
    assert read_image(lambda: stored, reduction=2).shape == (15, 25, 3)


def samples(dataset, **options):
    batches = DataGenerator(dataset, 2, ssd_augmentation((32, 48)), **options)
    batches.on_epoch_begin()
    try:
        return np.concatenate([batches[i][0] for i in range(len(batches))])
    finally:
        batches.on_epoch_end()


def test_workers_of_every_kind_see_the_same(tmp_path):
    create_hdf5_dataset(DRAWN, tmp_path / "data.h5", progress=False)
    expected = samples(DRAWN, workers=0)
    loaded = load_hdf5(tmp_path / "data.h5")
    for options in ({"workers": 0}, {"workers": 3}, {"workers": 2, "use_multiprocessing": True}):
        np.testing.assert_array_equal(samples(loaded, **options), expected)


def test_an_image_function_is_small_when_it_is_sent_to_a_worker(tmp_path):
    create_hdf5_dataset(DRAWN, tmp_path / "data.h5", decoded=True, progress=False)
    image = load_hdf5(tmp_path / "data.h5")[2].image
    image()
    assert len(pickle.dumps(image)) < 500
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(image))(), image())


def test_goes_on_after_an_interruption(tmp_path):
    done = []

    def draw(i):
        if i == 3 and len(done) < 4:
            done.append("stop")
            raise KeyboardInterrupt
        done.append(i)
        return np.full((20, 30, 3), i, np.uint8)

    from functools import partial

    empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    dataset = DetectionDataset(["a"], [Record(str(i), partial(draw, i), 30, 20, *empty) for i in range(5)])
    with pytest.raises(KeyboardInterrupt):
        create_hdf5_dataset(dataset, tmp_path / "data.h5", decoded=True, progress=False)
    assert not (tmp_path / "data.h5").exists()
    create_hdf5_dataset(dataset, tmp_path / "data.h5", decoded=True, progress=False)
    assert done == [0, 1, 2, "stop", 3, 4]
    assert [int(r.image().mean()) for r in load_hdf5(tmp_path / "data.h5")] == [0, 1, 2, 3, 4]


KILLED = """
import time
from functools import partial
import numpy as np
from multibox.data_generator import DetectionDataset, Record, create_hdf5_dataset

def draw(i):
    if i >= 200:
        if {stop}:
            print("ready", flush=True)
            time.sleep(60)
    return np.full((20, 30, 3), i % 256, np.uint8)

empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
records = [Record(str(i), partial(draw, i), 30, 20, *empty) for i in range(300)]
create_hdf5_dataset(DetectionDataset(["a"], records), {path!r}, decoded=True, progress=False)
"""


def test_goes_on_after_being_killed(tmp_path):
    path = tmp_path / "data.h5"
    command = [sys.executable, "-c"]
    stopping = [*command, KILLED.format(stop=True, path=str(path))]
    with subprocess.Popen(stopping, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
    assert not path.exists()
    with h5py.File(f"{path}.partial") as file:
        assert 128 <= file["written"][:].sum() <= 200
    subprocess.run([*command, KILLED.format(stop=False, path=str(path))], check=True)
    assert [int(r.image()[0, 0, 0]) for r in load_hdf5(path)] == [i % 256 for i in range(300)]


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    with pytest.raises(FileExistsError, match=r"data\.h5 exists already"):
        create_hdf5_dataset(DRAWN, path, progress=False)
    path.rename(f"{path}.partial")
    with pytest.raises(
        FileExistsError, match="belongs to a different data set or `decoded` setting; delete it"
    ):
        create_hdf5_dataset(DRAWN[:2], path, progress=False)
    (tmp_path / "data.h5.partial").write_bytes(b"nothing")
    with pytest.raises(FileExistsError, match=r"data\.h5\.partial: cannot be resumed"):
        create_hdf5_dataset(DRAWN, path, progress=False)


def test_a_broken_image_is_named_and_can_be_put_right(tmp_path, files):
    path = tmp_path / "2.jpg"
    sound = path.read_bytes()
    path.write_bytes(sound[:-500] + bytes(500))
    with pytest.raises(ImageError, match=r"2\.jpg: the image file is truncated"):
        create_hdf5_dataset(files, tmp_path / "data.h5", progress=False)
    path.write_bytes(sound)
    create_hdf5_dataset(files, tmp_path / "data.h5", progress=False)
    assert load_hdf5(tmp_path / "data.h5")[2].image() == sound


@pytest.mark.parametrize(
    "field", ["format", "images", "image_starts", "written", "class_names", "labels", "boxes"]
)
def test_files_that_are_no_such_data_set(tmp_path, field):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    with h5py.File(path, "r+") as file:
        if field in file.attrs:
            del file.attrs[field]
        elif field == "written":
            file[field][2] = 0
        else:
            del file[field]
            file[field] = np.zeros((3, 4) if field == "boxes" else 3, np.uint8)
    with pytest.raises(ValueError, match=r"data\.h5: not a data set of create_hdf5_dataset: "):
        load_hdf5(path)


def test_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_hdf5(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.h5: not a data set"):
        load_hdf5(tmp_path / "text.h5")
    with pytest.raises(ValueError, match="the data set is empty"):
        create_hdf5_dataset(DRAWN[:0], tmp_path / "empty.h5")


def test_a_file_that_changes_after_it_was_opened(tmp_path):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    loaded = load_hdf5(path)
    os.utime(path, (time.time() + 5, time.time() + 5))
    with pytest.raises(ImageError, match="changed after it was loaded"):
        read_image(loaded[0].image)


def replaced(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def declared(file):
    """Ten thousand million labels of which nothing is stored."""
    del file["labels"]
    file.create_dataset("labels", (10**10,), "i4", chunks=(1 << 16,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            attribute("class_names", [1, 2]),
            "the attribute class_names of /: expected a text, got whole numbers",
        ),
        (attribute("class_names", "3"), "class_names: expected a JSON list of texts, got 3"),
        (attribute("class_names", '[["a"]]'), "class_names: expected a JSON list of texts"),
        (attribute("name", 3), "the attribute name of /: expected a text"),
        (attribute("decoded", "yes"), "the attribute decoded of /: expected a number, got text"),
        (replaced("image_id", np.arange(6)), "an array of type whole numbers in /image_id"),
        (lambda f: f.move("labels", "x") or f.create_group("labels"), "no dataset in /labels"),
        (replaced("boxes", ["a", "b"]), "an array of type text in /boxes"),
        (replaced("width", np.full(5, 60)), r"width: expected the shape \(6,\), got \(5,\)"),
        (replaced("width", np.full(6, -1)), "width: expected numbers of pixels from 1 to 999999"),
        (replaced("object_starts", np.zeros(7)), "object_starts: expected whole numbers, got float64"),
        (declared, "/labels of shape .10000000000,., but 0 bytes for it"),
        (replaced("labels", h5py.SoftLink("/labels")), "a link to another place in /labels"),
        (replaced("boxes", h5py.ExternalLink("other.h5", "/boxes")), "a link to another place in /boxes"),
    ],
)
def test_wrong_fields_are_named(tmp_path, change, message):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=message) as error:
        load_hdf5(path)
    assert str(error.value).startswith(f"{path}: not a data set of create_hdf5_dataset: ")
    assert "\n" not in str(error.value)


def test_labels_with_a_fraction_and_falling_starts(tmp_path):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    with h5py.File(path, "r+") as file:
        labels = file["labels"][:] + 0.5
        del file["labels"]
        file["labels"] = labels
    with pytest.raises(ValueError, match="labels: expected whole numbers, got float64"):
        load_hdf5(path)
    with h5py.File(path, "r+") as file:
        del file["labels"]
        file["labels"] = labels.astype(int)
        file["object_starts"][2] = 10_000
    with pytest.raises(ValueError, match="object_starts: expected numbers that rise from 0"):
        load_hdf5(path)


@pytest.mark.parametrize(
    ("name", "decoded"), [("width", True), ("width", False), ("decoded", False), ("decoded", True)]
)
def test_an_image_of_another_size_is_an_image_error(tmp_path, name, decoded):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, decoded=decoded, progress=False)
    with h5py.File(path, "r+") as file:
        if name == "width":
            file["width"][:] = 2 * file["width"][:]
        else:
            file.attrs["decoded"] = not decoded
    record = load_hdf5(path)[0]
    with pytest.raises(ImageError):
        read_image(record.image, size=(record.width, record.height))


def test_a_damaged_heap_is_refused(tmp_path):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    data = bytearray(path.read_bytes())
    start = data.find(b"GCOL\x01\0\0\0")
    data[start + 16 : start + 32] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"data\.h5: .*a damaged heap of strings"):
        load_hdf5(path)


def test_texts_cannot_declare_more_bytes_than_the_file(tmp_path):
    """The HDF5 library would allocate 750 MB for this file of 50 KB before it compares the length."""
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    with h5py.File(path) as file:
        place = file["image_id"].id.get_offset()
    data = bytearray(path.read_bytes())
    data[place + 3] = 47
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match=r"texts of 788529\d+ bytes in /image_id, but the file has \d+ bytes"
    ):
        load_hdf5(path)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="expected a file, but this is a named pipe"):
        load_hdf5(tmp_path / "pipe")
