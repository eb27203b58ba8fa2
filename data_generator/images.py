"""Reading images: RGB uint8, whole or at a reduced scale of the JPEG's cosine transform."""

import re
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

# A reduced flag alone means grey; together with the RGB flag it is colour at that scale.
_FLAGS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
REDUCTIONS = tuple(_FLAGS)


ORIENTATION = 0x0112  # EXIF tag; of its values, 5 to 8 turn the picture on its side
TURNED = (5, 6, 7, 8)

JPEG_START = b"\xff\xd8"
END_OF_IMAGE = 0xD9
# Among pixels, 00 after FF stands for FF itself and D0 to D7 are restarts; FF before a marker is padding.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class ImageError(ValueError):
    """An image that cannot be used; the message names the file and what is wrong with it."""


def read_image(source, reduction=1):
    """Reads one image.

    Args:
        source: path of a file, or a function without arguments that returns an RGB uint8 array.
        reduction: 1, 2, 4 or 8, by which the sides are divided (rounded up). A JPEG is decoded straight to
            that size, which is faster than decoding all of it.

    Returns:
        (rows, columns, 3) uint8, RGB. The EXIF orientation is applied.

    Raises:
        ImageError: if the file is missing, not an image, truncated, or too large for OpenCV, or if the
            function returns something else than RGB uint8.
    """
    if callable(source):
        image = source()
        if np.shape(image)[2:] != (3,) or image.dtype != np.uint8:
            raise ImageError(f"{source}: expected (rows, columns, 3) uint8, got {_describe(image)}")
        return _reduce(image, reduction)
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise ImageError(f"{source}: cannot read the image: {error.strerror}") from error
    is_jpeg = data.startswith(JPEG_START)
    if is_jpeg and not _jpeg_ends(data):
        raise ImageError(f"{source}: the image file is truncated ({len(data)} bytes)")
    try:
        flags = _FLAGS[reduction if is_jpeg else 1]
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        raise ImageError(f"{source}: cannot decode the image: {error.err}") from error
    if image is None:
        raise ImageError(f"{source}: not an image that OpenCV can decode ({len(data)} bytes)")
    return image if is_jpeg else _reduce(image, reduction)


def image_size(source):
    """(width, height) in pixels of an image file as shown upright, from its header alone.

    Raises:
        ImageError: if the file is missing or is no image.
    """
    try:
        with Image.open(source) as image:
            size = image.size
            turned = image.getexif().get(ORIENTATION, 1) in TURNED
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{source}: cannot read the size of the image: {error}") from error
    return size[::-1] if turned else size


def _describe(image):
    return f"{getattr(image, 'shape', type(image).__name__)} {getattr(image, 'dtype', '')}"


def _reduce(image, reduction):
    if reduction == 1:
        return image
    rows, columns = (-(-side // reduction) for side in image.shape[:2])
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)


def _jpeg_ends(data):
    """Whether a JPEG is complete; of a truncated one, decoders fill the rest with grey and say nothing.

    Walks from marker to marker, so that neither a thumbnail in the header nor bytes that a camera appended
    after the end are taken for the picture's own markers.
    """
    at = len(JPEG_START)
    while (marker := _MARKER.search(data, at)) is not None:
        kind, at = marker[0][1], marker.end()
        if kind == END_OF_IMAGE:
            return True
        # A segment tells its length. After the header of a scan, its pixels run up to the next marker.
        at += int.from_bytes(data[at : at + 2], "big")
    return False
