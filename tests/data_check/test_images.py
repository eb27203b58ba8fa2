import cv2
import numpy as np
import pytest
from annotated_images import annotation, write_image
from PIL import Image

from multibox.data_check.images import image_findings, inspect_image, inspect_images, kind_findings
from multibox.data_generator.images import ORIENTATION


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
    path.write_bytes(path.read_bytes()[:2000])
    (finding,) = findings(annotation(path))
    assert finding.kind == "unreadable-image"
    assert "2000 bytes" in finding.message
    assert str(path) not in finding.message
    assert capfd.readouterr().err == ""


def test_a_file_that_is_no_image(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("hello")
    (finding,) = findings(annotation(path))
    assert finding.kind == "unreadable-image"
    assert finding.message == "not an image that OpenCV can decode (5 bytes)"


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
        ((60, 40), "exif-orientation", "annotated 60x40 is the size as stored: used as stored, not turned"),
        ((40, 60), "exif-orientation", "boxes are taken to refer to the upright picture"),
        (None, "exif-orientation", "boxes are taken to refer to the upright picture"),
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


@pytest.mark.parametrize(
    ("mode", "suffix", "kind"),
    [
        ("RGB", "png", "RGB"),
        ("L", "jpg", "grey"),
        ("1", "png", "black and white"),
        ("P", "png", "palette"),
        ("RGBA", "png", "RGBA"),
        ("LA", "png", "grey with transparency"),
        ("CMYK", "jpg", "CMYK"),
        ("I;16", "png", "16 bit"),
    ],
)
def test_kinds_of_images(tmp_path, mode, suffix, kind):
    path = tmp_path / f"a.{suffix}"
    Image.new(mode, (60, 40)).save(path)
    facts = inspect_image(path)
    assert (facts.kind, facts.error) == (kind, None)


def test_sixteen_bit_colour(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((40, 60, 3), np.uint16))
    assert inspect_image(path).kind == "16 bit"


def test_kinds_are_summed_up(tmp_path):
    annotations = [annotation(write_image(tmp_path / "rgb.png"))]
    for name in ("a", "b"):
        Image.new("L", (60, 40)).save(tmp_path / f"{name}.png")
        annotations.append(annotation(tmp_path / f"{name}.png"))
    (finding,) = kind_findings(list(inspect_images("train", annotations)))
    assert (finding.kind, finding.image_id, finding.count) == ("not-rgb", "a", 2)
    assert finding.message == "grey: 2 of 3 images"


def test_many_images_stay_in_order(tmp_path):
    path = write_image(tmp_path / "a.png")
    names = [str(i) for i in range(150)]  # more than two chunks
    items = inspect_images("train", (annotation(path, image_id=name) for name in names), workers=2)
    assert [item.annotation.image_id for item in items] == names
