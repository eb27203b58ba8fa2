import cv2
import numpy as np
import pytest
from PIL import Image

from multibox.data_generator.images import ImageError, image_size, read_image

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
def test_a_jpeg_is_reduced_other_images_come_whole(tmp_path, reduction, size):
    image = read_image(write(tmp_path / "a.jpg"), reduction=reduction, size=(63, 41))
    assert image.shape == (*size, 3)
    np.testing.assert_allclose(image[0, 0], RGB[0, 0], atol=6)
    for source in (write(tmp_path / "a.png"), lambda: RGB):
        np.testing.assert_array_equal(read_image(source, reduction=reduction, size=(63, 41)), RGB)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (np.full((4, 5), 77, np.uint8), (77, 77, 77)),
        (np.full((4, 5, 4), (10, 20, 30, 128), np.uint8), (30, 20, 10)),  # BGR and transparency
        (np.full((4, 5, 3), (10 << 8, 20 << 8, 30 << 8), np.uint16), (30, 20, 10)),
    ],
    ids=["gray", "rgba", "16 bits"],
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


def oriented(path, orientation):
    """A picture with a red top left corner as stored, whose EXIF orientation says how to turn it."""
    pixels = np.full((40, 60, 3), 128, np.uint8)
    pixels[:20, :30] = (250, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, quality=95, exif=exif)
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png"])
@pytest.mark.parametrize(
    ("orientation", "size", "corner"),
    [(1, (60, 40), (5, 5)), (3, (60, 40), (35, 55)), (6, (40, 60), (5, 35)), (8, (40, 60), (55, 5))],
)
def test_exif_orientation_is_applied_at_every_scale(tmp_path, suffix, orientation, size, corner):
    path = oriented(tmp_path / f"a{suffix}", orientation)
    assert image_size(path) == size
    for reduction in (1, 2):
        image = read_image(path, reduction=reduction, size=size)
        factor = reduction if suffix == ".jpg" else 1
        assert image.shape[1::-1] == tuple(side // factor for side in size)
        np.testing.assert_allclose(image[corner[0] // factor, corner[1] // factor], (250, 0, 0), atol=20)
    np.testing.assert_array_equal(read_image(path), read_image(path, size=size))


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_picture_annotated_as_it_is_stored_is_not_turned(tmp_path, suffix, orientation):
    path = oriented(tmp_path / f"a{suffix}", orientation)
    for reduction in (1, 2):
        image = read_image(path, reduction=reduction, size=(60, 40))
        factor = reduction if suffix == ".jpg" else 1
        assert image.shape == (40 // factor, 60 // factor, 3)
        np.testing.assert_allclose(image[5 // factor, 5 // factor], (250, 0, 0), atol=20)


def test_a_size_that_is_neither(tmp_path):
    path = oriented(tmp_path / "a.jpg", 6)
    with pytest.raises(ImageError, match=r"a\.jpg: the annotated size is 61x40 pixels, the image has 40x60"):
        read_image(path, size=(61, 40))
    # Turned, but nothing in the file says so.
    with pytest.raises(ImageError, match="annotated size is 41x63 pixels, the image has 63x41"):
        read_image(write(tmp_path / "b.png"), size=(41, 63))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("L", {"format": "jpeg"}),
        ("CMYK", {"format": "jpeg", "quality": 95}),
        ("RGB", {"format": "jpeg", "progressive": True, "quality": 95}),
        ("P", {"format": "png"}),
        ("1", {"format": "png"}),
        ("LA", {"format": "png"}),
        ("RGBA", {"format": "webp", "lossless": True}),
        ("RGB", {"format": "webp", "quality": 95}),
        ("P", {"format": "bmp"}),
        ("RGB", {"format": "tiff"}),
    ],
    ids=str,
)
def test_kinds_of_images_look_as_another_decoder_shows_them(tmp_path, mode, options):
    smooth = cv2.resize(np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8), (60, 40))
    stored = Image.fromarray(smooth).convert(mode)
    stored.save(tmp_path / "a", **options)
    image = read_image(tmp_path / "a")
    assert (image.shape, image.dtype) == ((40, 60, 3), np.uint8)
    with Image.open(tmp_path / "a") as other:
        expected = np.asarray(other.convert("RGB")).astype(int)
    assert np.abs(image - expected).mean() < 1.5


def test_bytes_and_arrays_from_functions(tmp_path):
    data = write(tmp_path / "a.jpg").read_bytes()
    np.testing.assert_array_equal(
        read_image(lambda: data, reduction=2), read_image(tmp_path / "a.jpg", reduction=2)
    )
    with pytest.raises(ImageError, match="truncated"):
        read_image(lambda: data[:-9])


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_sizes_of_files_that_are_no_images(tmp_path, content):
    path = tmp_path / "x.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=r"x\.jpg: cannot read the size of the image"):
        image_size(path)
