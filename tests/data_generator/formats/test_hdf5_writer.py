import signal
import subprocess
import sys

import cv2
import h5py
import numpy as np
import pytest

from multibox.data_generator import (
    DetectionDataset,
    ImageError,
    Record,
    create_hdf5_dataset,
    load_hdf5,
    load_shapes,
    read_image,
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
