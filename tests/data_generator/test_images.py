import cv2
import numpy as np
import pytest

from multibox.data_generator.images import ImageError, read_image

RGB = np.zeros((41, 63, 3), np.uint8)
RGB[:, :31] = (250, 10, 60)
RGB[20:] = (20, 200, 90)


def write(path, image=RGB):
    cv2.imwrite(str(path), image[..., ::-1])
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
def test_rgb_order_and_size(tmp_path, suffix):
    image = read_image(write(tmp_path / f"a{suffix}"))
    assert image.shape == (41, 63, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[5, 5], RGB[5, 5], atol=4)


@pytest.mark.parametrize(("reduction", "size"), [(1, (41, 63)), (2, (21, 32)), (4, (11, 16)), (8, (6, 8))])
def test_reduced_jpeg_and_drawn_images(tmp_path, reduction, size):
    for source in (write(tmp_path / "a.jpg"), write(tmp_path / "a.png"), lambda: RGB):
        image = read_image(source, reduction)
        assert image.shape == (*size, 3)
        np.testing.assert_allclose(image[0, 0], RGB[0, 0], atol=6)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (np.full((4, 5), 77, np.uint8), (77, 77, 77)),
        (np.full((4, 5, 4), (10, 20, 30, 128), np.uint8), (30, 20, 10)),  # BGR and transparency
        (np.full((4, 5, 3), (10 << 8, 20 << 8, 30 << 8), np.uint16), (30, 20, 10)),
    ],
    ids=["grey", "rgba", "16 bits"],
)
def test_other_kinds_of_images_become_rgb(tmp_path, stored, expected):
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    image = read_image(tmp_path / "a.png")
    assert (image.shape, image.dtype) == ((4, 5, 3), np.uint8)
    assert (image == expected).all()


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.97, 0.999])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_files(tmp_path, kept, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    path = write(tmp_path / f"cut{suffix}", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ImageError, match=f"cut{suffix}"):
        read_image(path)


@pytest.mark.parametrize("trailer", [b"trailing", b"\xff\xda\x00\x08 a film", b"\xff\xd8 half a picture"])
def test_bytes_after_the_end_are_no_harm(tmp_path, trailer):
    path = write(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + trailer)
    assert read_image(path).shape == (41, 63, 3)


def test_the_end_of_a_thumbnail_is_not_the_end(tmp_path):
    path = write(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8))
    data, thumbnail = path.read_bytes(), b"\xff\xd8 small \xff\xd9"
    data = data[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + data[2:]
    path.write_bytes(data)
    assert read_image(path).shape == (60, 80, 3)
    path.write_bytes(data[:-20])
    with pytest.raises(ImageError, match="truncated"):
        read_image(path)


def test_progressive_jpeg(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(
        str(path), RGB[..., ::-1], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]
    )
    assert read_image(path).shape == (41, 63, 3)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ImageError, match="truncated"):
        read_image(path)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3)), np.zeros((4, 5, 4), np.uint8)]
)
def test_functions_must_return_rgb_uint8(image):
    with pytest.raises(ImageError, match=r"expected \(rows, columns, 3\) uint8 or bytes, got \(4, 5"):
        read_image(lambda: image)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), (b"", "not an image"), (b"hello", "not an image")]
)
def test_files_that_are_no_images(tmp_path, content, message):
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=f"x.jpg.*{message}"):
        read_image(path)


def test_exif_orientation_is_applied_at_every_scale(tmp_path):
    data = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))[1].tobytes()
    # One directory entry: orientation (0x0112), a short, one value, 6: turned by 90 degrees.
    exif = b"Exif\0\0" + b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    path = tmp_path / "a.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    assert read_image(path).shape == (60, 40, 3)
    assert read_image(path, 2).shape == (30, 20, 3)
