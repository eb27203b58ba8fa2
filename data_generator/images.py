"""Reads images as uint8: RGB or other channels, at full size or at a reduced scale of a JPEG's transform.

Boxes refer to the image as it is shown: upright, after its EXIF orientation. Some labeling tools ignore that
tag. If the annotated width and height fit the stored pixels but not the upright image, the image is used as
stored, because its boxes were drawn that way.

The header is looked at before anything is decoded: a file of some kilobytes can hold a picture that fills the
memory.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..files import check_regular, read_bytes
from ..messages import printable
from .decoding import REDUCTIONS, decode
from .headers import (
    JPEG,
    NPY,
    ORIENTATION,
    PILLOW_ERRORS,
    TIFF,
    TURNED,
    iso_kind,
    open_pillow,
    stored_size,
    tiff_header,
    too_large,
)
from .pixels import ImageError, Pixels, ValueRange, checked_pixels, fit_channels, to_uint8

__all__ = ["REDUCTIONS", "ImageError", "image_size", "read_image"]

MAX_BYTES = 1 << 31  # of a file


def read_image(
    source: str | os.PathLike[str] | Callable[[], np.ndarray | bytes],
    *,
    reduction: int = 1,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    value_range: ValueRange = None,
) -> np.ndarray:
    """Reads one image.

    With three channels, gray, palette, 16-bit and CMYK images become RGB, and transparency is dropped.
    Files may be of the formats JPEG, PNG, BMP, WebP, TIFF, JPEG 2000, AVIF (with Pillow 11.3), HEIC (with
    pillow-heif) and NumPy (`.npy`, an array (rows, columns, channels)).

    Args:
        source: path of a file, or a function without arguments that returns a uint8 array (rows, columns,
            channels), or the bytes of an image file.
        reduction: 1, 2, 4 or 8. A JPEG is decoded with its sides divided by this (rounded up), which is
            faster. Other formats are read at full size.
        size: annotated (width, height), or None. It decides whether the EXIF orientation is applied, see
            above.
        channels: number of channels of the result. 1 is gray. For 2, 4 and more the file must have as many:
            PNG with transparency, TIFF, or NumPy. The pages of a TIFF may be its channels. More than four in
            one page of a TIFF need the package tifffile.
        value_range: for images with more than 8 bits, which numbers become 0 and 255:

            * (lowest, highest), for example (0, 4095) for a camera of 12 bits. Numbers outside are clipped.
            * "percentile": the 1st and the 99th percentile of each image.
            * None: 0 and 65535 for 16 bits. Images of floating-point numbers are refused.

            With a range, functions may return arrays of other types than uint8. Images of 8 bits stay as
            they are.

    Returns:
        (rows, columns, channels) uint8; the first three channels are RGB.

    Raises:
        TypeError: for a source that is neither a path nor a function.
        ImageError: if the file is missing, not a file, not an image, truncated, not of the given `size`, or
            has other channels; if it has more than 179 million pixels (twice `PIL.Image.MAX_IMAGE_PIXELS`);
            or if the function returns something else.
        ValueError: for another reduction or size, or for `channels` or a `value_range` that
            cannot be.
    """
    _check_arguments(source, reduction, size)
    pixels = checked_pixels("read_image", channels, value_range)
    data = source() if callable(source) else _read_bytes(source)
    if not isinstance(data, bytes):
        image, reduction = _of_array(data, source, pixels), 1
    else:
        reduction = reduction if data.startswith(JPEG) else 1
        _check_size(data, source, size)
        image = decode(data, source, reduction, pixels)
        if size is not None and image.shape[:2] == _reduced(size, reduction) != image.shape[1::-1]:
            # Annotated as stored, before the EXIF orientation; or another image.
            image = decode(data, source, reduction, pixels, is_upright=False)
    if size is not None and image.shape[1::-1] != _reduced(size, reduction):
        height, width = (side * reduction for side in image.shape[:2])
        raise _wrong_size(source, size, (width, height))
    return image


def _check_arguments(source, reduction, size):
    if not (isinstance(source, str | os.PathLike) or callable(source)):
        raise TypeError(f"read_image: source must be a path or a function, got {type(source).__name__}")
    if reduction is True or not (isinstance(reduction, int) and reduction in REDUCTIONS):
        raise ValueError(f"read_image: reduction must be 1, 2, 4 or 8, got {reduction!r}")
    if size is not None and (not isinstance(size, tuple | list) or len(size) != 2 or min(size) < 1):
        raise ValueError(f"read_image: size must be (width, height) or None, got {size!r}")


def image_size(source: str | os.PathLike[str] | io.BytesIO) -> tuple[int, int]:
    """(width, height) in pixels of an image as shown upright, from its header alone.

    Args:
        source: path of an image file, or its content as an open file.

    Raises:
        ImageError: if the file is missing or is not an image.
    """
    try:
        if isinstance(source, io.BytesIO):
            return _shown_size(source)
        check_regular(source)
        with Path(source).open("rb") as file:
            return _shown_size(file)
    except PILLOW_ERRORS as error:
        raise ImageError(f"{source}: cannot read the size of the image: {error}") from error


def _shown_size(file):
    """(width, height) of an open file as shown upright."""
    start = file.read(16)
    file.seek(0)
    if start.startswith(TIFF):
        tiff = tiff_header(file.read())
        size = tiff.width, tiff.height
        return size[::-1] if tiff.orientation in TURNED else size
    if start.startswith(NPY):
        return stored_size(file.read())
    try:
        with open_pillow(file) as image:
            size = image.size
            return size[::-1] if image.getexif().get(ORIENTATION, 1) in TURNED else size
    except OSError as error:
        if iso_kind(start + bytes(48)) == "HEIC":
            raise ValueError("HEIC needs a package that is not installed: pip install pillow-heif") from error
        raise


def _read_bytes(path):
    try:
        return read_bytes(path, MAX_BYTES)
    except OSError as error:
        raise ImageError(f"{path}: cannot read the image: {error.strerror}") from error
    except ValueError as error:
        raise ImageError(str(error)) from error


def _check_size(data, source, size):
    """Refuses an image that is too large, or not of the annotated size either way, before it is decoded."""
    try:
        stored = stored_size(data)
        samples = tiff_header(data).samples if data.startswith(TIFF) else 1
    except ValueError as error:
        raise ImageError(f"{source}: cannot decode the image: {printable(error, 300)}") from error
    if stored is None:
        if iso_kind(data) == "HEIC":
            raise ImageError(f"{source}: HEIC needs a package that is not installed: pip install pillow-heif")
        raise ImageError(f"{source}: not an image that OpenCV or Pillow can decode ({len(data)} bytes)")
    if reason := too_large(*stored, samples):
        raise ImageError(f"{source}: {reason}")
    if size is not None and tuple(size) not in (stored, stored[::-1]):
        with suppress(*PILLOW_ERRORS):  # only the orientation is unknown then
            stored = _shown_size(io.BytesIO(data))
        raise _wrong_size(source, size, stored)


def _wrong_size(source, size, found):
    return ImageError(
        f"{source}: the annotated size is {size[0]}x{size[1]} pixels, the image has {found[0]}x{found[1]}"
    )


def _of_array(image, source, pixels: Pixels):
    """The array that a function returned, as uint8."""
    shape, dtype = np.shape(image), getattr(image, "dtype", None)
    is_number = dtype is not None and dtype.kind in "buif"
    fits = dtype == np.uint8 or (pixels.value_range is not None and is_number)
    if shape[2:] != (pixels.channels,) or not fits:
        what = f"{shape or type(image).__name__} {dtype or ''}".rstrip()
        raise ImageError(f"{source}: expected (rows, columns, {pixels.channels}) uint8 or bytes, got {what}")
    return fit_channels(to_uint8(image, pixels.value_range, source), pixels.channels, False, source)


def _reduced(size, reduction):
    return -(-size[0] // reduction), -(-size[1] // reduction)
