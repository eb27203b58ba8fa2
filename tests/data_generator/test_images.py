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
    path = write(tmp_path / "a.jpg")
    for source in (path, lambda: RGB):
        image = read_image(source, reduction)
        assert image.shape == (*size, 3)
        np.testing.assert_allclose(image[0, 0], RGB[0, 0], atol=6)


def test_grey_images_become_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((4, 5), 77, np.uint8))
    assert (read_image(tmp_path / "grey.png") == np.full((4, 5, 3), 77)).all()


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.97, 0.999])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_files(tmp_path, kept, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    path = write(tmp_path / f"cut{suffix}", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ImageError, match=f"cut{suffix}"):
        read_image(path)


def test_bytes_after_the_end_are_no_harm(tmp_path):
    path = write(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes() + b"trailing")
    assert read_image(path).shape == (41, 63, 3)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), (b"", "not an image"), (b"hello", "not an image")]
)
def test_files_that_are_no_images(tmp_path, content, message):
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=f"x.jpg.*{message}"):
        read_image(path)
