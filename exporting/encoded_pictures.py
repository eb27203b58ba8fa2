"""JPEG and PNG files in TensorFlow's operators, upright and at the size of a network."""

from __future__ import annotations

import tensorflow as tf

from ..data_generator.headers import ORIENTATION

_EXIF = b"Exif\0\0"
_HEAD = (
    1 << 17
)  # bytes at the beginning of a file; a segment has 65,535 at most, and EXIF's is the first or second
_MAX_ENTRIES = 1000
# By orientation from 0 on: whether the stored picture is mirrored, and its quarter turns to the left.
_MIRRORED = (False, False, True, False, True, True, False, True, False)
_TURNS = (0, 0, 0, 2, 2, 1, 3, 3, 1)


def read_pictures(contents: tf.Tensor, shape: tuple[int, int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes pictures, turns them upright by their EXIF orientation, and resizes them.

    Args:
        contents: (batch,) contents of JPEG or PNG files.
        shape: (height, width, channels) of the result; 1 or 3 channels.

    Returns:
        (batch, height, width, channels) uint8, and (batch, 2) int32 heights and widths of the upright
        pictures.
    """
    specs = tf.TensorSpec(shape, tf.uint8), tf.TensorSpec((2,), tf.int32)
    return tf.map_fn(lambda content: _read(content, shape), contents, fn_output_signature=specs)


def _read(content, shape):
    # The name is historical: the operator decodes PNG, too. This method of JPEG is that of OpenCV.
    image = tf.io.decode_jpeg(content, channels=shape[2], dct_method="INTEGER_ACCURATE")
    image = _upright(image, orientation(content))
    resized = tf.image.resize(image, shape[:2])  # bilinear, as OpenCV's
    return tf.cast(tf.round(resized), tf.uint8), tf.shape(image)[:2]


def _upright(image, turned):
    image = tf.where(tf.gather(_MIRRORED, turned), image[:, ::-1], image)
    return tf.image.rot90(image, tf.gather(_TURNS, turned))


def orientation(content: tf.Tensor) -> tf.Tensor:
    """The EXIF orientation 1 to 8 of a JPEG file, int32; 1 if it states none."""
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 0, _HEAD), tf.uint8), tf.int32)
    size = tf.size(head) - len(_EXIF)
    marks = [head[i : size + i] == byte for i, byte in enumerate(_EXIF)]
    is_exif = tf.reduce_all(tf.stack(marks), axis=0)
    start = tf.cast(tf.argmax(tf.cast(is_exif, tf.int32)), tf.int32) + len(_EXIF)
    little = tf.gather(head, start) == ord("I")

    def numbers(places, count):
        """Numbers of `count` bytes at places (n,)."""
        at = places[:, None] + tf.range(count)
        values = tf.gather(head, tf.clip_by_value(at, 0, tf.size(head) - 1))
        values = tf.where(little, values[:, ::-1], values)
        return tf.reduce_sum(values * 256 ** tf.range(count - 1, -1, -1), axis=1)

    directory = start + numbers(start[None] + 4, 4)[0]
    count = tf.clip_by_value(numbers(directory[None], 2)[0], 0, _MAX_ENTRIES)
    entries = directory + 2 + 12 * tf.range(count)
    found = numbers(tf.boolean_mask(entries, numbers(entries, 2) == ORIENTATION) + 8, 2)
    first = tf.concat([found, [1]], axis=0)[0]
    is_stated = tf.reduce_any(is_exif) & (first >= 1) & (first <= 8)
    return tf.where(is_stated, first, 1)
