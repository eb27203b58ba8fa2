"""Reads images as RGB uint8, at full size or at a reduced scale of the JPEG's cosine transform.

Boxes refer to the image as it is shown: upright, after its EXIF orientation. Some labeling tools ignore that
tag. If the annotated width and height fit the stored pixels but not the upright image, the image is used as
stored, because its boxes were drawn that way.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

# A reduced flag alone decodes to gray; combined with the RGB flag it decodes to color.
_FLAGS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
REDUCTIONS = tuple(_FLAGS)

ORIENTATION = 0x0112  # EXIF tag; its values 5 to 8 swap width and height
TURNED = (5, 6, 7, 8)

JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
# In pixel data, FF 00 stands for the byte FF, and FF D0 to FF D7 are restarts. FF before a marker is padding.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class ImageError(ValueError):
    """An image that cannot be used; the message names the file and the reason."""


def read_image(
    source: str | os.PathLike[str] | Callable[[], np.ndarray | bytes],
    *,
    reduction: int = 1,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Reads one image.

    Gray, palette, 16-bit and CMYK images become RGB; transparency is dropped.

    Args:
        source: path of a file, or a function without arguments that returns an RGB uint8 array or the bytes
            of an image file.
        reduction: 1, 2, 4 or 8. A JPEG is decoded with its sides divided by this (rounded up), which is
            faster. Other formats are read at full size.
        size: annotated (width, height), or None. It decides whether the EXIF orientation is applied, see
            above.

    Returns:
        (rows, columns, 3) uint8, RGB.

    Raises:
        TypeError: for a source that is neither a path nor a function.
        ValueError: for another reduction or size.
        ImageError: if the file is missing, not an image, truncated, too large for OpenCV or not of the
            given `size`, or if the function returns neither RGB uint8 nor bytes.
    """
    _check_arguments(source, reduction, size)
    data = source() if callable(source) else _read_bytes(source)
    if not isinstance(data, bytes):
        image, reduction = _check_array(data, source), 1
    else:
        reduction = reduction if data.startswith(JPEG_START) else 1
        image = _decode(data, source, reduction)
        if size is not None and image.shape[:2] == _reduced(size, reduction) != image.shape[1::-1]:
            # Annotated as stored, before the EXIF orientation; or another image.
            image = _decode(data, source, reduction, cv2.IMREAD_IGNORE_ORIENTATION)
    if size is not None and image.shape[1::-1] != _reduced(size, reduction):
        height, width = (side * reduction for side in image.shape[:2])
        raise ImageError(
            f"{source}: the annotated size is {size[0]}x{size[1]} pixels, the image has {width}x{height}"
        )
    return image


def _check_arguments(source, reduction, size):
    if not (isinstance(source, str | os.PathLike) or callable(source)):
        raise TypeError(f"read_image: source must be a path or a function, got {type(source).__name__}")
    if reduction is True or not (isinstance(reduction, int) and reduction in REDUCTIONS):
        raise ValueError(f"read_image: reduction must be 1, 2, 4 or 8, got {reduction!r}")
    if size is not None and (not isinstance(size, tuple | list) or len(size) != 2 or min(size) < 1):
        raise ValueError(f"read_image: size must be (width, height) or None, got {size!r}")


def image_size(source: str | os.PathLike[str]) -> tuple[int, int]:
    """(width, height) in pixels of an image file as shown upright, from its header alone.

    Raises:
        ImageError: if the file is missing or is not an image.
    """
    try:
        with Image.open(source) as image:
            size = image.size
            turned = image.getexif().get(ORIENTATION, 1) in TURNED
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{source}: cannot read the size of the image: {error}") from error
    return size[::-1] if turned else size


def _read_bytes(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot read the image: {error.strerror}") from error


def _decode(data, source, reduction, more_flags=0):
    if data.startswith(JPEG_START) and not _jpeg_ends(data):
        raise ImageError(f"{source}: the image file is truncated ({len(data)} bytes)")
    try:
        flags = _FLAGS[reduction] | more_flags
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        raise ImageError(f"{source}: cannot decode the image: {error.err}") from error
    if image is None:
        raise ImageError(f"{source}: not an image that OpenCV can decode ({len(data)} bytes)")
    return image


def _check_array(image, source):
    if np.shape(image)[2:] != (3,) or image.dtype != np.uint8:
        what = f"{getattr(image, 'shape', type(image).__name__)} {getattr(image, 'dtype', '')}"
        raise ImageError(f"{source}: expected (rows, columns, 3) uint8 or bytes, got {what}")
    return image


def _reduced(size, reduction):
    return -(-size[0] // reduction), -(-size[1] // reduction)


def _jpeg_ends(data):
    """Whether a JPEG is complete. Decoders fill the rest of a truncated one with gray, without an error.

    If the file does not end with the end marker, walks from marker to marker. A thumbnail in the header, and
    bytes that a camera appended after the end, hold markers too; these are skipped.
    """
    if data.endswith(JPEG_END):
        return True
    at = len(JPEG_START)
    while (marker := _MARKER.search(data, at)) is not None:
        if marker[0] == JPEG_END:
            return True
        # A segment states its length. After a scan's header, pixel data runs up to the next marker.
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return False
