import os
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, features

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
        (np.full((4, 5, 3), (10 << 8, 20 << 8, 230 << 8), np.uint16), (230, 20, 10)),
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


TWELVE_BITS = np.array([[0, 1000, 2048], [4095, 5000, 65535]], np.uint16)


def test_a_range_maps_12_bits_and_leaves_8_bits_alone(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), TWELVE_BITS)
    image = read_image(tmp_path / "a.png", value_range=(0, 4095))
    # 255 * 1000 / 4095 = 62.3, 255 * 2048 / 4095 = 127.5
    assert image[..., 0].tolist() == [[0, 62, 128], [255, 255, 255]]
    assert image.shape == (2, 3, 3)
    path = write(tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(path, value_range=(0, 4095)), RGB)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_of_color_keep_the_order_of_the_channels(tmp_path, suffix):
    cv2.imwrite(str(tmp_path / f"a{suffix}"), np.full((4, 5, 3), (1000, 2000, 4000), np.uint16))  # BGR
    image = read_image(tmp_path / f"a{suffix}", value_range=(0, 4000))
    assert (image == (255, 128, 64)).all()


def test_16_bits_without_a_range_warn_only_if_they_are_dark(tmp_path, recwarn):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 5), 65535, np.uint16))
    assert read_image(tmp_path / "a.png").max() == 255
    assert not recwarn.list
    cv2.imwrite(str(tmp_path / "b.png"), np.full((4, 5), 4095, np.uint16))
    with pytest.warns(UserWarning, match=r"with_pixels\(value_range="):
        assert read_image(tmp_path / "b.png").max() == 15


def test_percentiles_of_each_image(tmp_path):
    numbers = np.arange(10001, dtype=np.uint16).reshape(73, 137)  # the percentiles are 100 and 9900
    cv2.imwrite(str(tmp_path / "a.tif"), numbers)
    image = read_image(tmp_path / "a.tif", value_range="percentile")[..., 0].reshape(-1)
    assert image[[0, 100, 5000, 9900, 10000]].tolist() == [0, 0, 128, 255, 255]


def test_floating_point_needs_a_range(tmp_path):
    Image.fromarray(np.array([[0.0, 0.5], [1.0, np.nan]], np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: .* float32 numbers, here from 0 to 1.*value_range"):
        read_image(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif", value_range=(0, 1))[..., 2].tolist() == [[0, 128], [255, 0]]


@pytest.mark.parametrize(
    "options",
    [
        {"value_range": (5, 5)},
        {"value_range": 4095},
        {"value_range": "auto"},
        {"value_range": (0, np.inf)},
        {"channels": 0},
        {"channels": "3"},
        {"channels": 1000},
    ],
    ids=str,
)
def test_options_that_cannot_be(options):
    with pytest.raises(ValueError, match=f"read_image: {next(iter(options))} must be"):
        read_image(lambda: RGB, **options)


def test_arrays_of_other_types_need_a_range():
    numbers = RGB.astype(np.float32) / 255
    np.testing.assert_array_equal(read_image(lambda: numbers, value_range=(0, 1)), RGB)
    with pytest.raises(ImageError, match="float32"):
        read_image(lambda: numbers)


def test_gray_as_one_channel(tmp_path):
    for suffix in (".jpg", ".png"):
        image = read_image(write(tmp_path / f"a{suffix}"), channels=1)
        assert image.shape == (41, 63, 1)
        assert abs(int(image[0, 0, 0]) - 87) <= 2  # 0.299 * 250 + 0.587 * 10 + 0.114 * 60
    assert read_image(tmp_path / "a.jpg", channels=1, reduction=2).shape == (21, 32, 1)


FOUR = np.arange(4 * 5 * 4, dtype=np.uint8).reshape(4, 5, 4)


def test_four_channels_of_png_tiff_and_numpy(tmp_path):
    Image.fromarray(FOUR, "RGBA").save(tmp_path / "a.png")
    Image.fromarray(FOUR, "RGBA").save(tmp_path / "b.tif")  # transparency
    cv2.imwrite(str(tmp_path / "c.tif"), FOUR[..., [2, 1, 0, 3]])
    cv2.imwrite(str(tmp_path / "d.tif"), FOUR[..., [2, 1, 0, 3]].astype(np.uint16) * 16)
    np.save(tmp_path / "e.npy", FOUR)
    for name in ("a.png", "b.tif", "c.tif", "d.tif", "e.npy"):
        image = read_image(tmp_path / name, channels=4, size=(5, 4), value_range=(0, 16 * 255))
        np.testing.assert_array_equal(image, FOUR, err_msg=name)
        assert image_size(tmp_path / name) == (5, 4)
    for name in ("a.png", "b.tif"):  # transparency is dropped; colors do not depend on it
        np.testing.assert_array_equal(read_image(tmp_path / name), FOUR[..., :3])


def test_pages_of_a_tiff_are_channels(tmp_path):
    five = np.arange(5 * 4 * 6, dtype=np.uint16).reshape(5, 4, 6)
    pages = [Image.fromarray(page) for page in five]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    image = read_image(tmp_path / "a.tif", channels=5, value_range=(0, 255))
    np.testing.assert_array_equal(image, np.moveaxis(five, 0, -1))
    with pytest.raises(ImageError, match="has 5 channels, expected 4"):
        read_image(tmp_path / "a.tif", channels=4)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_more_channels_in_one_page_of_a_tiff(tmp_path, planar):
    tifffile = pytest.importorskip("tifffile")
    six = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)
    stored = six if planar == "contig" else np.moveaxis(six, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar)
    assert image_size(tmp_path / "a.tif") == (5, 4)
    image = read_image(tmp_path / "a.tif", channels=6, value_range=(0, 255), size=(5, 4))
    np.testing.assert_array_equal(image, six)
    with pytest.raises(ImageError, match=r"a\.tif: the image has 6 channels, expected 3"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(("suffix", "channels"), [(".jpg", 4), (".png", 4), (".bmp", 2)])
def test_the_wrong_number_of_channels(tmp_path, suffix, channels):
    path = write(tmp_path / f"a{suffix}")
    with pytest.raises(ImageError, match=rf"a\{suffix}: the image has 3 channels, expected {channels}"):
        read_image(path, channels=channels)


def test_a_fourth_channel_that_is_no_transparency_is_not_dropped(tmp_path):
    cv2.imwrite(str(tmp_path / "a.tif"), FOUR)
    np.save(tmp_path / "b.npy", FOUR)
    for name in ("a.tif", "b.npy"):
        with pytest.raises(ImageError, match=f"{name}: the image has 4 channels, expected 3"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_four_channels_are_turned_like_three(tmp_path, orientation):
    path = oriented(tmp_path / "a.png", orientation)
    with Image.open(path) as image:
        image.convert("RGBA").save(tmp_path / "b.png", exif=image.getexif())
    four = read_image(tmp_path / "b.png", channels=4)
    np.testing.assert_array_equal(four[..., :3], read_image(path))


@pytest.mark.parametrize("content", [b"\x93NUMPY\x01\x00v\x00{'descr': '<f8'}", b"\x93NUMPY"])
def test_damaged_arrays(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.npy"):
        read_image(tmp_path / "a.npy")


def test_an_array_that_would_execute_code_or_is_too_short(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[print, 1]], object), allow_pickle=True)
    with pytest.raises(ImageError, match=r"a\.npy"):
        read_image(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", FOUR)
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:-1])
    with pytest.raises(ImageError, match=r"b\.npy: .*truncated"):
        read_image(tmp_path / "b.npy")


@pytest.mark.parametrize("orientation", [1, 6])
def test_avif_is_turned(tmp_path, orientation):
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path = oriented(tmp_path / "a.avif", orientation)
    size, corner = ((60, 40), (5, 5)) if orientation == 1 else ((40, 60), (5, 35))
    assert image_size(path) == size
    image = read_image(path, size=size)
    np.testing.assert_allclose(image[corner], (250, 0, 0), atol=20)
    assert read_image(path, size=(60, 40)).shape == (40, 60, 3)


def test_jpeg_2000(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.jp2", irreversible=False)
    assert image_size(tmp_path / "a.jp2") == (63, 41)
    np.testing.assert_array_equal(read_image(tmp_path / "a.jp2", size=(63, 41)), RGB)


HEIC = b"\x00\x00\x00\x1cftypheic\x00\x00\x00\x00mif1heicmiaf" + bytes(40)


def test_heic_without_its_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind != "HEIF"])
    (tmp_path / "a.heic").write_bytes(HEIC)
    for read in (read_image, image_size):
        with pytest.raises(ImageError, match=r"a\.heic: .*pip install pillow-heif"):
            read(tmp_path / "a.heic")


def test_heic(tmp_path):
    pytest.importorskip("pillow_heif").register_heif_opener()
    path = oriented(tmp_path / "a.heic", 1)
    assert image_size(path) == (60, 40)
    np.testing.assert_allclose(read_image(path, size=(60, 40))[5, 5], (250, 0, 0), atol=20)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_tiff_is_turned_and_its_size_too(tmp_path, orientation):
    pixels = np.zeros((40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.tif", tiffinfo={0x0112: orientation})
    size = (40, 60) if orientation == 6 else (60, 40)
    assert image_size(tmp_path / "a.tif") == size
    assert read_image(tmp_path / "a.tif", size=size).shape[1::-1] == size


def zeros_png(path, width, height):
    """A PNG of black pixels: each row is a zero byte for its filter, then zeros."""
    squeeze = zlib.compressobj(9)
    rows = b"".join(squeeze.compress(bytes(1 + width)) for _ in range(height)) + squeeze.flush()
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", rows),
        (b"IEND", b""),
    )
    parts = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def test_a_bomb_is_not_decoded(tmp_path, monkeypatch):
    path = zeros_png(tmp_path / "a.png", 3000, 2000)
    monkeypatch.setattr(cv2, "imdecode", None)  # would fail
    with pytest.raises(ImageError, match="annotated size is 500x281 pixels, the image has 3000x2000"):
        read_image(path, size=(500, 281))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2_500_000)
    with pytest.raises(
        ImageError, match=r"a\.png: the image has 3000x2000 pixels, more than the limit of 5,000,"
    ):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif", ".jp2"])
def test_every_format_states_its_size_before_it_is_decoded(tmp_path, suffix, monkeypatch):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(RGB).save(path)
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(ImageError, match="annotated size is 64x41 pixels, the image has 63x41"):
        read_image(path, size=(64, 41))


@pytest.mark.parametrize("read", [read_image, image_size])
def test_what_is_not_a_file(tmp_path, read):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, what in (
        (tmp_path / "pipe.jpg", "a named pipe"),
        (tmp_path, "a folder"),
        ("/dev/zero", "a device"),
    ):
        with pytest.raises(ImageError, match=f"expected a file, but this is {what}"):
            read(path)


@pytest.mark.parametrize("length", [4, 0x7FFFFFF0])
def test_a_part_of_a_png_that_is_longer_than_the_file(tmp_path, length):
    """OpenCV would allocate the length, two gigabytes for a file of 45 bytes."""
    header = struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + b"".join((struct.pack(">I", 13), b"IHDR", header, bytes(4)))
    path = tmp_path / "a.png"
    path.write_bytes(start + struct.pack(">I", length) + b"IDAT")
    with pytest.raises(ImageError, match=rf"a\.png: .* cut off or damaged: {length + 4} bytes are missing"):
        read_image(path)


def test_a_png_without_pixels(tmp_path):
    """OpenCV looks for them behind the end, and takes what lies there for the length of a part."""
    header = struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + b"".join((struct.pack(">I", 13), b"IHDR", header, bytes(4)))
    path = tmp_path / "a.png"
    path.write_bytes(start + bytes(4) + b"IEND" + bytes(4) + b"\x7f\x00\x00\x00IEND")
    with pytest.raises(ImageError, match=r"a\.png: .* cut off or damaged: it has no pixels"):
        read_image(path)


def test_a_tiff_without_rows(tmp_path, monkeypatch):
    """A damaged header can make tifffile return a single number."""
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((4, 6, 5), np.uint8), photometric="minisblack", planarconfig="contig")
    assert read_image(path, channels=5).shape == (4, 6, 5)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda page: np.zeros((), np.uint8))
    with pytest.raises(ImageError, match=r"a\.tif: expected rows, columns and channels, got the shape \(\)"):
        read_image(path, channels=5)
