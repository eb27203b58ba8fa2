"""Decodes the bytes of an image file: OpenCV for most, Pillow for AVIF and HEIC, tifffile for odd TIFF files.

OpenCV decodes fastest. What it would decode wrongly goes elsewhere: it turns no AVIF, knows no HEIC,
multiplies the colors of an 8-bit TIFF with its transparency, and takes one channel of several for gray.
"""

from __future__ import annotations

import io
import re
import warnings

import cv2
import numpy as np

from .headers import (
    CMYK,
    JPEG,
    NPY,
    ORIENTATION,
    PILLOW_ERRORS,
    PNG,
    TIFF,
    iso_kind,
    open_pillow,
    tiff_header,
)
from .pixels import ImageError, Pixels, fit_channels, to_uint8, wrong_channels

# A reduced flag alone decodes to gray; combined with the RGB flag it decodes to color.
_COLOR = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
_GRAY = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
REDUCTIONS = tuple(_COLOR)

JPEG_END = b"\xff\xd9"
# In pixel data, FF 00 stands for the byte FF, and FF D0 to FF D7 are restarts. FF before a marker is padding.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

_GRAYS, _RGB, _PALETTE = (0, 1), 2, 3  # "photometric interpretation" of TIFF
_DARK = 255 // 4  # an image of 14 bits in 16 has no larger number after 8 bits are dropped


def decode(
    data: bytes, source: object, reduction: int, pixels: Pixels, is_upright: bool = True
) -> np.ndarray:
    """Decodes an image file.

    Args:
        data: content of the file.
        source: the file, for messages.
        reduction: 1, or for a JPEG 2, 4 or 8.
        pixels: `Pixels`.
        is_upright: whether the EXIF orientation is applied. TIFF and HEIC always come upright.

    Returns:
        (rows, columns, pixels.channels) uint8.

    Raises:
        ImageError: if that is not possible; names the source and the reason.
    """
    if data.startswith(JPEG) and not _jpeg_ends(data):
        raise ImageError(f"{source}: the image file is truncated ({len(data)} bytes)")
    if _is_plain(data, pixels):
        flags = (_COLOR if pixels.channels == 3 else _GRAY)[reduction]
        image = _opencv(data, source, flags if is_upright else flags | cv2.IMREAD_IGNORE_ORIENTATION)
        if _has_16_bits(data) and image.max() <= _DARK:
            _warn_of_darkness()
        return image if pixels.channels == 3 else image[..., None]
    numbers, has_alpha = read_numbers(data, source, pixels.channels, is_upright)
    return fit_channels(to_uint8(numbers, pixels.value_range, source), pixels.channels, has_alpha, source)


def read_numbers(
    data: bytes, source: object, channels: int, is_upright: bool = True
) -> tuple[np.ndarray, bool]:
    """The numbers of an image file as they are, and whether the last channel is transparency.

    Args:
        data: content of the file.
        source: the file, for messages.
        channels: number of channels that is expected; several pages of a TIFF may be channels.
        is_upright: whether the EXIF orientation is applied.

    Returns:
        (rows, columns, n) uint8, uint16, float or other numbers, colors in the order RGB.
    """
    if data.startswith(NPY):
        return _npy(data, source), False
    if data.startswith(TIFF):
        return _tiff(data, source, channels)
    if iso_kind(data):
        return _pillow(data, source, is_upright)
    numbers = _opencv(data, source, cv2.IMREAD_UNCHANGED)
    numbers, has_alpha = _rgb(numbers), numbers.ndim == 3 and numbers.shape[2] == 4
    return (_turned(numbers, _orientation(data)) if is_upright else numbers), has_alpha


def _is_plain(data, pixels):
    """Whether OpenCV decodes the file right into the channels that are expected."""
    if pixels.channels not in (1, 3):
        return False
    if data.startswith(JPEG):
        return True
    if data.startswith(NPY) or iso_kind(data):
        return False
    if data.startswith(TIFF):
        tiff = tiff_header(data)
        return _is_plain_tiff(tiff) and (tiff.bits <= 8 or (tiff.bits == 16 and pixels.value_range is None))
    return pixels.value_range is None or not _has_16_bits(data)


def _is_plain_tiff(tiff):
    is_plain = tiff.samples == (1 if tiff.photometric in (*_GRAYS, _PALETTE) else 3)
    return is_plain and (not tiff.is_planar or tiff.bits <= 8)


def _has_16_bits(data):
    if data.startswith(PNG):
        return len(data) > 24 and data[24] == 16
    return data.startswith(TIFF) and tiff_header(data).bits == 16


def _warn_of_darkness():
    # One text for all images, so that Python shows it once.
    warnings.warn(
        "an image of 16 bits has only numbers in the lowest quarter of their range, so it becomes dark; if "
        "its camera has 10, 12 or 14 bits, read the data set with_pixels(value_range=(0, 1023)), (0, 4095) "
        "or (0, 16383); `check_dataset` tells the largest number",
        stacklevel=4,
    )


def _opencv(data, source, flags):
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        raise ImageError(f"{source}: cannot decode the image: {error.err}") from error
    if image is None:
        raise ImageError(
            f"{source}: the image is damaged, or not one that OpenCV can decode ({len(data)} bytes)"
        )
    return image


def _rgb(image):
    """OpenCV's (rows, columns), BGR or BGRA as (rows, columns, channels), RGB or RGBA."""
    if image.ndim == 2:
        return image[..., None]
    order = (2, 1, 0, 3) if image.shape[2] == 4 else (2, 1, 0)
    return np.ascontiguousarray(image[..., order]) if image.shape[2] > 2 else image


def _pillow(data, source, is_upright=True):
    try:
        with open_pillow(io.BytesIO(data)) as image:
            orientation = image.getexif().get(ORIENTATION, 1) if is_upright else 1
            has_alpha = image.mode in ("RGBA", "LA")
            known = image.mode in ("RGB", "RGBA", "RGBX", "L", "LA")
            numbers = np.asarray(image if known else image.convert("RGB"))
    except PILLOW_ERRORS as error:
        kind = iso_kind(data)
        remedy = {"HEIC": "pip install pillow-heif", "AVIF": 'pip install -U "pillow>=11.3"'}.get(kind)
        hint = f"; if Pillow cannot decode {kind} here: {remedy}" if remedy else ""
        raise ImageError(f"{source}: cannot decode the image: {error}{hint}") from error
    return _turned(numbers if numbers.ndim == 3 else numbers[..., None], orientation), has_alpha


def _tiff(data, source, channels):
    """As `read_numbers`."""
    tiff = tiff_header(data)
    is_paged = tiff.has_more and tiff.samples == 1 and tiff.photometric in _GRAYS and channels not in (1, 3)
    if is_paged:
        return _pages(data, source, channels), False
    if tiff.photometric == CMYK:
        return _pillow(data, source)
    if _is_plain_tiff(tiff):
        return _rgb(_opencv(data, source, cv2.IMREAD_UNCHANGED)), False
    if not tiff.has_alpha and tiff.samples != channels:
        raise wrong_channels(tiff.samples, channels, source)
    if tiff.samples == 4 and tiff.photometric == _RGB and not tiff.is_planar:
        if tiff.bits == 8:
            return _pillow(data, source)[0], tiff.has_alpha
        return _rgb(_opencv(data, source, cv2.IMREAD_UNCHANGED)), tiff.has_alpha
    return _turned(_tifffile(data, source), tiff.orientation), tiff.has_alpha


def _pages(data, source, channels):
    """One channel from each page of a TIFF."""
    try:
        buffer = np.frombuffer(data, np.uint8)
        _, pages = cv2.imdecodemulti(buffer, cv2.IMREAD_UNCHANGED, range=(0, channels + 1))
    except cv2.error as error:
        raise ImageError(f"{source}: cannot decode the image: {error.err}") from error
    if len({(page.shape, page.dtype) for page in pages}) != 1:
        raise ImageError(f"{source}: expected pages of one size, each a channel")
    return np.dstack(pages)


def _tifffile(data, source):
    try:
        import tifffile
    except ImportError as error:
        raise ImageError(
            f"{source}: a TIFF file with these channels needs a package that is not installed: "
            "pip install tifffile"
        ) from error
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            numbers = page.asarray()
            axes = page.axes
    except Exception as error:  # it raises many types for damaged files
        raise ImageError(f"{source}: cannot decode the image: {type(error).__name__}: {error}") from error
    if numbers.ndim not in (2, 3):
        raise ImageError(f"{source}: expected rows, columns and channels, got the shape {numbers.shape}")
    return np.moveaxis(numbers, 0, -1) if axes == "SYX" else numbers


def _npy(data, source):
    """A NumPy array (rows, columns) or (rows, columns, channels); nothing in the file is executed."""
    try:
        numbers = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, OSError) as error:
        raise ImageError(f"{source}: cannot read the array: {error}") from error
    numbers = numbers[..., None] if numbers.ndim == 2 else numbers
    if numbers.ndim != 3 or not numbers.size or numbers.dtype.kind not in "buif":
        raise ImageError(
            f"{source}: expected an array (rows, columns, channels) of numbers, got {numbers.shape} "
            f"{numbers.dtype}"
        )
    return numbers


def _orientation(data):
    try:
        with open_pillow(io.BytesIO(data)) as image:
            return image.getexif().get(ORIENTATION, 1)
    except PILLOW_ERRORS:
        return 1


def _turned(image, orientation):
    """The upright image, from one as stored and its EXIF orientation."""
    if orientation in (2, 4, 5, 7):
        image = image[:, ::-1]
    turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(image, turns))


def encode_png(image: np.ndarray, source: object) -> bytes:
    """A PNG file of an image (rows, columns, channels) uint8.

    Raises:
        ImageError: for a number of channels that PNG does not have; names the source.
    """
    if image.shape[2] not in (1, 3, 4):
        raise ImageError(f"{source}: PNG has 1, 3 or 4 channels, the image has {image.shape[2]}")
    return cv2.imencode(".png", _rgb(image))[1].tobytes()  # swaps red and blue back


def _jpeg_ends(data):
    """Whether a JPEG is complete. Decoders fill the rest of a truncated one with gray, without an error.

    If the file does not end with the end marker, walks from marker to marker. A thumbnail in the header, and
    bytes that a camera appended after the end, hold markers too; these are skipped.
    """
    if data.endswith(JPEG_END):
        return True
    at = len(JPEG)
    while (marker := _MARKER.search(data, at)) is not None:
        if marker[0] == JPEG_END:
            return True
        # A segment states its length. After a scan's header, pixel data runs up to the next marker.
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return False
