import io

import cv2
import numpy as np
import pytest
from PIL import Image

import multibox as mb

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

from multibox.exporting.encoded_pictures import orientation, read_pictures  # noqa: E402


def picture(height=40, width=60):
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (5, 7, 3), np.uint8), (width, height))


def exif(value, order):
    """A TIFF header of a camera: another tag first, then the orientation."""
    little = order == "little"
    numbers = [(42, 2), (8, 4), (2, 2), (0x010F, 2), (2, 2), (1, 4), (65, 4), (0x0112, 2), (3, 2), (1, 4)]
    content = b"".join(number.to_bytes(size, order) for number, size in numbers)
    return (
        b"Exif\0\0" + (b"II" if little else b"MM") + content + value.to_bytes(2, order) + bytes(2) + bytes(4)
    )


def jpeg(tags=b""):
    stream = io.BytesIO()
    Image.fromarray(picture()).save(stream, "JPEG", quality=95, exif=tags)
    return stream.getvalue()


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("value", range(1, 9))
def test_pictures_come_upright_as_read_image_has_them(tmp_path, value, order):
    content = jpeg(exif(value, order))
    (tmp_path / "a.jpg").write_bytes(content)
    expected = mb.read_image(tmp_path / "a.jpg")
    found, sizes = read_pictures(tf.constant([content]), (*expected.shape[:2], 3))
    assert orientation(tf.constant(content)).numpy() == value
    assert sizes.numpy().tolist() == [list(expected.shape[:2])]
    np.testing.assert_allclose(found[0].numpy().astype(int), expected, atol=1)


@pytest.mark.parametrize(
    "content",
    [
        jpeg(),
        jpeg(exif(0, "big")),
        jpeg(exif(9, "little")),
        jpeg(exif(6, "big")[:12]),  # cut
        jpeg(b"Exif\0\0MM\0*\xff\xff\xff\xff"),  # points far outside
    ],
)
def test_damaged_tags_leave_the_picture_as_it_is(content):
    assert orientation(tf.constant(content)).numpy() == 1
    _, sizes = read_pictures(tf.constant([content]), (20, 20, 3))
    assert sizes.numpy().tolist() == [[40, 60]]


@pytest.mark.parametrize("channels", [1, 3])
def test_sizes_and_colors(channels):
    """A PNG and a JPEG of different sizes in one batch; resized as OpenCV does it."""
    png = cv2.imencode(".png", picture(30, 50)[..., ::-1])[1].tobytes()
    found, sizes = read_pictures(tf.constant([png, jpeg()]), (24, 32, channels))
    assert sizes.numpy().tolist() == [[30, 50], [40, 60]]
    assert found.shape == (2, 24, 32, channels) and found.dtype == tf.uint8
    if channels == 3:
        expected = cv2.resize(picture(30, 50), (32, 24), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(found[0].numpy().astype(int), expected, atol=1)


def test_bytes_that_are_no_picture():
    with pytest.raises(tf.errors.InvalidArgumentError):
        read_pictures(tf.constant([b"no picture at all"]), (20, 20, 3))
