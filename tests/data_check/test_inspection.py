import cv2
import numpy as np
import pytest
from annotated_images import annotation, write_image
from PIL import Image

from multibox.data_check.inspection import inspect_image, inspect_images

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


@pytest.mark.parametrize(
    ("mode", "suffix", "kind"),
    [
        ("RGB", "png", "RGB"),
        ("L", "jpg", "grayscale"),
        ("1", "png", "black and white"),
        ("P", "png", "palette"),
        ("RGBA", "png", "RGBA"),
        ("LA", "png", "grayscale with transparency"),
        ("CMYK", "jpg", "CMYK"),
        ("I;16", "png", "16 bit"),
    ],
)
def test_kinds_of_images(tmp_path, mode, suffix, kind):
    path = tmp_path / f"a.{suffix}"
    Image.new(mode, (60, 40)).save(path)
    facts = inspect_image(path)
    assert (facts.kind, facts.error) == (kind, None)


def test_sixteen_bit_color(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((40, 60, 3), np.uint16))
    assert inspect_image(path).kind == "16 bit"


def test_many_images_stay_in_order(tmp_path):
    path = write_image(tmp_path / "a.png")
    names = [str(i) for i in range(150)]  # more than two chunks
    items = inspect_images("train", (annotation(path, image_id=name) for name in names), workers=2)
    assert [item.annotation.image_id for item in items] == names


def test_pixels_from_a_function():
    facts = inspect_image(lambda: PIXELS)
    assert (facts.stored, facts.shown, facts.kind) == ((60, 40), (60, 40), "RGB")
    assert (facts.error, facts.missing, facts.damage) == (None, False, None)
    assert facts.digest == inspect_image(PIXELS.copy).digest
    assert facts.digest != inspect_image(lambda: PIXELS[::-1]).digest
    assert facts.digest != inspect_image(lambda: PIXELS.reshape(60, 40, 3)).digest


def test_a_file_from_a_function_is_like_the_file(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (60, 40)).save(tmp_path / "a.jpg", exif=exif)
    facts = inspect_image((tmp_path / "a.jpg").read_bytes)
    assert facts == inspect_image(tmp_path / "a.jpg")
    assert (facts.stored, facts.shown, facts.kind) == ((60, 40), (40, 60), "grayscale")


def broken():
    raise KeyError("image 3")


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (broken, "KeyError: 'image 3'"),
        (lambda: None, "expected RGB uint8 pixels or bytes, got NoneType"),
        (lambda: PIXELS[:, :, 0], "expected (rows, columns, 3) uint8 or bytes, got (40, 60) uint8"),
        (lambda: PIXELS / 255, "expected (rows, columns, 3) uint8 or bytes, got (40, 60, 3) float64"),
        (lambda: b"hello", "not an image that OpenCV or Pillow can decode (5 bytes)"),
    ],
)
def test_functions_that_make_no_image(function, error):
    facts = inspect_image(function)
    assert (facts.error, facts.stored) == (error, None)


def test_a_function_whose_file_is_missing(tmp_path):
    assert inspect_image((tmp_path / "a.jpg").read_bytes).missing
