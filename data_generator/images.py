"""Reading images: RGB uint8, whole or at a reduced scale of the JPEG's cosine transform."""

from pathlib import Path

import cv2
import numpy as np

# A reduced flag alone means grey; together with the RGB flag it is colour at that scale.
_FLAGS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
REDUCTIONS = tuple(_FLAGS)


class ImageError(ValueError):
    """An image that cannot be used; the message names the file and what is wrong with it."""


def read_image(source, reduction=1):
    """Reads one image.

    Args:
        source: path of a file, or a function without arguments that returns an RGB uint8 array.
        reduction: 1, 2, 4 or 8: a JPEG is decoded straight to that fraction of its size.

    Returns:
        (rows, columns, 3) uint8, RGB. The EXIF orientation is applied. Sides are divided by the reduction
        and rounded (up for JPEG, down for other formats).

    Raises:
        ImageError: if the file is missing, not an image, truncated, or too large for OpenCV.
    """
    if callable(source):
        return _reduce(source(), reduction)
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise ImageError(f"{source}: cannot read the image: {error.strerror}") from error
    if _is_truncated(data):
        raise ImageError(f"{source}: the image file is truncated ({len(data)} bytes)")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS[reduction]) if data else None
    except cv2.error as error:
        raise ImageError(f"{source}: cannot decode the image: {error.err}") from error
    if image is None:
        raise ImageError(f"{source}: not an image that OpenCV can decode ({len(data)} bytes)")
    return image


def _reduce(image, reduction):
    if reduction == 1:
        return image
    rows, columns = (-(-side // reduction) for side in image.shape[:2])
    return cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)


def _is_truncated(data):
    """Whether a JPEG lacks its end; decoders would fill the missing part with grey and say nothing.

    The end marker must follow the last start of a scan (a thumbnail inside the header has its own end).
    """
    return data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda")
