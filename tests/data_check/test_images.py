import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from annotated_images import BOX, annotation, write_image
from PIL import Image

from multibox.data_check.images import duplicate_findings, image_findings, kind_findings
from multibox.data_check.inspection import inspect_images
from multibox.data_generator.headers import ORIENTATION
from multibox.data_generator.pixels import Pixels


def findings(*annotations):
    return [f for item in inspect_images("train", annotations, workers=2) for f in image_findings(item)]


def test_good_images(tmp_path):
    paths = [write_image(tmp_path / f"{i}.{suffix}") for i, suffix in enumerate(("jpg", "png", "bmp"))]
    assert findings(*map(annotation, paths)) == []
    assert findings(annotation(paths[0], size=None)) == []


def test_a_missing_image(tmp_path):
    (finding,) = findings(annotation(tmp_path / "a.jpg"))
    assert (finding.kind, finding.image_id, finding.file) == ("missing-file", "a", str(tmp_path / "a.jpg"))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_truncated_image(tmp_path, suffix, capfd):
    path = write_image(tmp_path / f"a.{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[:2000])
    (finding,) = findings(annotation(path))
    assert finding.kind == "unreadable-image"
    # A PNG is told by its pixels' part, which 12 bytes of the end part follow.
    told = {"jpg": "2000 bytes", "png": f"{len(whole) - 12 - 2000} bytes are missing"}
    assert told[suffix] in finding.message
    assert str(path) not in finding.message
    assert capfd.readouterr().err == ""


def test_a_file_that_is_no_image(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("hello")
    (finding,) = findings(annotation(path))
    assert finding.kind == "unreadable-image"
    assert finding.message == "not an image that OpenCV or Pillow can decode (5 bytes)"


def test_damage_inside_a_jpeg_is_heard_and_not_printed(tmp_path, capfd):
    paths = [write_image(tmp_path / f"{i}.jpg", (300, 200), i) for i in range(5)]
    data = bytearray(paths[3].read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    paths[3].write_bytes(data)
    (finding,) = findings(*(annotation(path, size=(300, 200)) for path in paths))
    assert (finding.kind, finding.image_id) == ("damaged-image", "3")
    assert finding.message.startswith("Corrupt JPEG data: ")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((61, 40), "annotated 61x40, the image has 60x40"),
        ((40, 60), "annotated 40x60, the image has 60x40; width and height are swapped"),
    ],
)
def test_size_mismatch(tmp_path, size, message):
    path = write_image(tmp_path / "a.png")
    (finding,) = findings(annotation(path, size=size))
    assert (finding.kind, finding.message) == ("size-mismatch", message)
    assert finding.file == f"{path}.xml"
    assert finding.detail == {"annotated": list(size), "stored": [60, 40], "shown": [60, 40]}


@pytest.mark.parametrize(
    ("size", "kind", "words"),
    [
        ((60, 40), "exif-orientation", "boxes refer to the image as stored, since 60x40 is annotated"),
        ((40, 60), "exif-orientation", "boxes refer to the upright image"),
        (None, "exif-orientation", "boxes refer to the upright image"),
        ((50, 60), "size-mismatch", "annotated 50x60, the image has 40x60"),
    ],
)
def test_exif_orientation(tmp_path, size, kind, words):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.new("RGB", (60, 40)).save(path, exif=exif)
    (finding,) = findings(annotation(path, size=size))
    assert finding.kind == kind
    assert words in finding.message
    assert (finding.detail["stored"], finding.detail["shown"]) == ([60, 40], [40, 60])


def test_images_without_objects(tmp_path):
    (finding,) = findings(annotation(write_image(tmp_path / "a.png"), boxes=()))
    assert (finding.kind, finding.severity) == ("no-objects", "info")


def test_kinds_are_summed_up(tmp_path):
    annotations = [annotation(write_image(tmp_path / "rgb.png"))]
    for name in ("a", "b"):
        Image.new("L", (60, 40)).save(tmp_path / f"{name}.png")
        annotations.append(annotation(tmp_path / f"{name}.png"))
    (finding,) = kind_findings(list(inspect_images("train", annotations)))
    assert (finding.kind, finding.image_id, finding.count) == ("not-rgb", "a", 2)
    assert finding.message == "grayscale: 2 of 3 images"


def duplicates(**splits):
    """Of {split: annotations}: (kind, split, image id, message)."""
    items = [item for split, annotations in splits.items() for item in inspect_images(split, annotations)]
    return [(f.kind, f.split, f.image_id, f.message) for f in duplicate_findings(items)]


def test_different_images(tmp_path):
    a, b, c = (annotation(write_image(tmp_path / f"{i}.png", seed=i)) for i in range(3))
    assert duplicates(train=[a, b], val=[c]) == []


def test_a_file_listed_twice_in_a_split(tmp_path):
    a = annotation(write_image(tmp_path / "a.png"))
    assert duplicates(train=[a, a]) == [("listed-twice", "train", "a", "same image as a in train")]


def test_two_files_with_one_content(tmp_path):
    a = write_image(tmp_path / "a.png")
    b = shutil.copyfile(a, tmp_path / "b.png")
    assert duplicates(train=[annotation(a), annotation(b)]) == [
        ("identical-images", "train", "b", "same image as a in train")
    ]
    (finding,) = duplicates(train=[annotation(a), annotation(b, boxes=[BOX, BOX])])
    assert finding[3] == "same image as a in train, with other objects"


def test_an_image_in_two_splits(tmp_path):
    a = write_image(tmp_path / "a.png")
    b = shutil.copyfile(a, tmp_path / "b.png")
    for second in (annotation(a), annotation(b)):
        ((kind, split, name, message),) = duplicates(train=[annotation(a)], val=[second])
        assert (kind, split, message) == ("shared-image", "val", "same image as a in train")
        assert name == second.image_id


def test_a_missing_file_in_two_splits(tmp_path):
    a = annotation(tmp_path / "a.png")
    assert [f[0] for f in duplicates(train=[a], val=[a])] == ["shared-image"]


def test_one_name_for_different_images(tmp_path):
    a, b, c, d = (write_image(tmp_path / f"{i}.png", seed=i) for i in range(4))
    ((kind, split, name, message),) = duplicates(
        train=[annotation(a, image_id="x"), annotation(b, image_id="x")]
    )
    assert (kind, split, name, message) == ("repeated-id", "train", "x", f"{a} has this id, too")
    assert duplicates(
        train=[annotation(a, image_id="x"), annotation(b, image_id="y")],
        val=[annotation(c, image_id="y"), annotation(d, image_id="x")],
    ) == [("same-id", "val", "y", "2 ids of val belong to other images in train")]


def checked(paths, **fields):
    given = [replace(annotation(path, size=None), **fields) for path in paths]
    return list(inspect_images("train", given, workers=1))


def test_12_bits_in_16(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.tif"]
    for path, largest in zip(paths, (3000, 4012), strict=True):
        Image.fromarray(np.full((40, 60), largest, np.uint16)).save(path)
    items = checked(paths)
    dark, kind = sorted(kind_findings(items), key=lambda finding: finding.kind)
    assert (dark.kind, dark.severity, dark.count) == ("dark-16-bit", "warning", 2)
    assert dark.message == (
        "the largest number in 2 images is 4012: 12 bits in 16; read them with_pixels(value_range=(0, 4095))"
    )
    assert kind.message == "16 bit: 2 of 2 images"
    # With a range, and with one image that uses all 16 bits, nothing is wrong.
    (kind,) = kind_findings(checked(paths, pixels=Pixels(3, (0, 4095))))
    assert kind.kind == "not-rgb"
    Image.fromarray(np.full((40, 60), 60000, np.uint16)).save(paths[0])
    assert [finding.kind for finding in kind_findings(checked(paths))] == ["not-rgb"]


def test_channels_that_no_reader_knows_of_are_no_error(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((40, 60, 5), np.uint8))
    items = checked([tmp_path / "a.npy"])
    assert (items[0].facts.error, items[0].facts.stored) == (None, (60, 40))
    assert [finding.message for finding in kind_findings(items)] == [
        "NumPy array of 5 channels: 1 of 1 images"
    ]
    (item,) = checked([tmp_path / "a.npy"], pixels=Pixels(4))
    assert item.facts.error.startswith("the image has 5 channels, expected 4")


def test_a_pipe_in_place_of_an_image(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    (item,) = checked([tmp_path / "a.jpg"])
    assert item.facts.error == "expected a file, but this is a named pipe"
