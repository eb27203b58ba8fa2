"""The images that a caller gives: a folder, paths, or arrays."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np

from ..data_generator import Record
from ..data_generator.formats.fields import IMAGE_SUFFIXES
from ..data_generator.images import ImageError, image_size


def is_folder(images):
    return isinstance(images, str | os.PathLike) and Path(images).is_dir()


def files_in(folder):
    """Paths of the image files in a folder, sorted."""
    files = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise FileNotFoundError(f"detect: no image ({', '.join(IMAGE_SUFFIXES)}) in the folder {folder}")
    return files


def image_record(source, index, pixels):
    """A `Record` without objects of a path or an array. Its id is the index: a file may be given twice."""
    if isinstance(source, str | os.PathLike):
        if not Path(source).exists():
            raise FileNotFoundError(f"detect: no such image or folder: {source}")
        width, height = image_size(source)
        image = str(source)
    else:
        _check_array(source, index, pixels)
        height, width = source.shape[:2]
        image = partial(np.asarray, source)
    boxes, labels = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    return Record(f"{index}", image, width, height, boxes, labels, pixels=pixels)


def _check_array(array, index, pixels):
    dtype = getattr(array, "dtype", None)
    is_known = dtype == np.uint8 or (pixels.value_range is not None and getattr(dtype, "kind", "") in "uif")
    if np.shape(array)[2:] == (pixels.channels,) and is_known and array.size:
        return
    hint = "for a picture of Pillow pass np.asarray(image.convert('RGB'))"
    if getattr(dtype, "kind", "") == "f" and pixels.value_range is None and array.size:
        low, high = float(np.nanmin(array)), float(np.nanmax(array))
        hint = (
            f"its numbers are {low:g} to {high:g}: the model takes 0 to 255, so pass value_range=(lowest, "
            "highest), such as (0, 1), or for values from 0 to 1 (image * 255).astype('uint8')"
        )
    raise ImageError(
        f"detect: expected a path or an array (height, width, {pixels.channels}) RGB uint8, got "
        f"{np.shape(array)} {dtype or type(array).__name__} at position {index}; {hint}"
    )


def given_source(source):
    return source if isinstance(source, np.ndarray) else str(source)
