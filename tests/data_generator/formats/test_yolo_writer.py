from dataclasses import replace

import numpy as np
import pytest
from written_records import record, records_of_three_boxes

from multibox.data_generator import DetectionDataset, load_shapes, load_yolo, save_yolo

CLASSES = ("no", "sea cow", "7: #")


@pytest.fixture
def dataset(tmp_path):
    return DetectionDataset(CLASSES, records_of_three_boxes(tmp_path, "sub/b c.PNG"), "some")


def save(dataset, folder, *args, **options):
    save_yolo(dataset, folder, *args, progress=False, **options)


def load(folder, split="train"):
    return load_yolo(folder, split, progress=False)


@pytest.mark.filterwarnings("error")
def test_files(dataset, tmp_path):
    save(dataset, tmp_path / "y")
    files = sorted(
        p.relative_to(tmp_path / "y").as_posix() for p in (tmp_path / "y").rglob("*") if p.is_file()
    )
    assert files == [
        "data.yaml",
        "images/train/a.jpg",
        "images/train/sub/b c.png",
        "labels/train/a.txt",
        "labels/train/sub/b c.txt",
    ]
    text = "train: images/train\nnames:\n  0: 'no'\n  1: sea cow\n  2: '7: #'\n"
    assert (tmp_path / "y/data.yaml").read_text() == text
    lines = (tmp_path / "y/labels/train/a.txt").read_text().splitlines()
    assert lines[0] == "1 0.5 0.5 1.0 1.0"
    assert [float(word) for word in lines[1].split()] == pytest.approx(
        [2, 15.4 / 60, 5.625 / 40, 10.6 / 60, 1.25 / 40]
    )
    assert (tmp_path / "y/labels/train/sub/b c.txt").read_text() == ""


@pytest.mark.filterwarnings("error")
def test_round_trip(dataset, tmp_path):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 1, (200, 2)) ** 3 * (50, 30) + 1e-5
    high = np.minimum(low + rng.uniform(0, 1, (200, 2)) ** 3 * (60, 40) + 0.01, (60, 40))
    boxes = np.concatenate([low, high], axis=1)
    more = record(tmp_path, "c.bmp", "train/c", boxes, rng.integers(1, 4, 200))
    dataset = DetectionDataset(CLASSES, [*dataset, more], "some")
    save(dataset, tmp_path / "y")
    same = load(tmp_path / "y")
    assert same.class_names == CLASSES
    assert [r.image_id for r in same] == ["train/a", "train/c", "train/sub/b c"]
    for mine, other in zip(
        sorted(dataset, key=lambda r: r.image_id.removeprefix("train/")), same, strict=True
    ):
        np.testing.assert_array_equal(mine.boxes, other.boxes)
        np.testing.assert_array_equal(mine.labels, other.labels)
    save(same, tmp_path / "again")  # the ids do not grow
    assert [r.image_id for r in load(tmp_path / "again")] == ["train/a", "train/c", "train/sub/b c"]


def test_several_splits(dataset, tmp_path):
    save(dataset[:1], tmp_path / "y")
    (tmp_path / "y/data.yaml").write_text((tmp_path / "y/data.yaml").read_text() + "author: me\n")
    save(dataset[1:], tmp_path / "y", "val", images="link")
    assert (tmp_path / "y/data.yaml").read_text().startswith("val: images/val\ntrain: images/train\nnames:")
    assert "author: me" in (tmp_path / "y/data.yaml").read_text()
    assert [len(load(tmp_path / "y")), len(load(tmp_path / "y", "val"))] == [1, 1]
    target = tmp_path / "y/images/val/sub/b c.png"
    assert target.samefile(dataset[1].image)


def test_images_that_a_function_makes(tmp_path):
    shapes = load_shapes(2)
    save(shapes, tmp_path / "y")
    same = load(tmp_path / "y")
    np.testing.assert_array_equal(same[0].boxes, shapes[0].boxes)
    assert same[0].image.endswith("images/train/shapes-0-0.png")


def test_flags_are_lost_with_a_warning(tmp_path):
    boxes = [[1, 2, 30, 40], [5, 6, 7, 8], [9, 9, 19, 19]]
    flags = {"difficult": [1, 0, 0], "truncated": [1, 1, 0], "crowd": [0, 0, 1]}
    dataset = DetectionDataset(CLASSES, [record(tmp_path, "a.jpg", "a", boxes, [1, 2, 3], **flags)], "some")
    message = (
        "1 crowd regions are left out, 1 objects are no longer difficult, 2 objects are no longer truncated"
    )
    with pytest.warns(UserWarning, match=message):
        save(dataset, tmp_path / "y")
    np.testing.assert_array_equal(load(tmp_path / "y")[0].labels, [1, 2])


def test_nothing_is_overwritten(dataset, tmp_path):
    save(dataset, tmp_path / "y")
    with pytest.raises(FileExistsError, match=r"data\.yaml: the split 'train' exists already"):
        save(dataset, tmp_path / "y")
    (tmp_path / "y/labels/val").mkdir()
    (tmp_path / "y/labels/val/a.txt").write_text("")
    with pytest.raises(FileExistsError, match=r"labels/val/a\.txt exists already"):
        save(dataset, tmp_path / "y", "val")
    (tmp_path / "y/labels/val/a.txt").unlink()
    (tmp_path / "y/images/val").mkdir()
    (tmp_path / "y/images/val/a.png").write_text("")
    with pytest.raises(FileExistsError, match=r"images/val/a\.png exists already"):
        save(dataset, tmp_path / "y", "val")
    assert not (tmp_path / "y/images/val/sub").exists()


def test_what_is_refused(dataset, tmp_path):
    save(dataset, tmp_path / "y")
    other = DetectionDataset(("dog", "cat", "cow"), dataset.records, "other")
    with pytest.raises(
        ValueError, match=r"data\.yaml: has the class names no, sea cow, 7: #, but .* dog, cat, cow"
    ):
        save(other, tmp_path / "y", "val")
    for split in ("a/b", "names", "", "..", "a b"):
        with pytest.raises(ValueError, match="save_yolo: split must be"):
            save(dataset, tmp_path / "z", split)
    with pytest.raises(ValueError, match='images must be "copy" or "link"'):
        save(dataset, tmp_path / "z", images="move")
    for image_id, message in {
        "/x": "must be a path",
        ".x": "must not start with a dot",
        "x/.y": "must not start with a dot",
    }.items():
        records = [replace(dataset[0], image_id=image_id)]
        with pytest.raises(ValueError, match=message):
            save(DetectionDataset(CLASSES, records, "some"), tmp_path / "z")
    records = [replace(dataset[0], image_id="train/a"), dataset[0]]
    with pytest.raises(ValueError, match="some image ids differ only in 'train/'"):
        save(DetectionDataset(CLASSES, records, "some"), tmp_path / "z")
    assert not (tmp_path / "z").exists()
    text = (tmp_path / "y/data.yaml").read_text()
    for foreign in (f"path: .\n{text}", f"---\n{text}"):
        (tmp_path / "y/data.yaml").write_text(foreign)
        with pytest.raises(ValueError, match=r"data\.yaml: (was not written by save_yolo|not a readable)"):
            save(dataset, tmp_path / "y", "val")
