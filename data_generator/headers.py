"""What the header of an image file says. Nothing is decoded, so it costs next to nothing."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

JPEG = b"\xff\xd8"
PNG = b"\x89PNG\r\n\x1a\n"
NPY = b"\x93NUMPY"
# Little and big endian; the last two are BigTIFF.
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

ORIENTATION = 0x0112  # EXIF tag; its values 5 to 8 swap width and height
TURNED = (5, 6, 7, 8)

CMYK = 5  # "photometric interpretation" of TIFF

# Brands of ISO media files with pictures: what decodes them is another library.
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

# Markers of a JPEG's frame: C0 to CF, but not those of the Huffman tables, of arithmetic coding and reserved.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

# Raised by Pillow for what is no image, or a damaged one.
PILLOW_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    RuntimeError,
    EOFError,
    zlib.error,
    struct.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True, slots=True)
class Tiff:
    """The first image of a TIFF file.

    Attributes:
        width: pixels, as stored.
        height: pixels, as stored.
        bits: of one number.
        samples: numbers of a pixel.
        photometric: 0 and 1 gray, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr.
        is_planar: whether each channel is stored by itself.
        has_alpha: whether the last sample is transparency.
        orientation: as in EXIF.
        has_more: whether there are more images.
    """

    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    is_planar: bool
    has_alpha: bool
    orientation: int
    has_more: bool


def stored_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels as stored, before any EXIF orientation; None if the file is no image.

    Raises:
        ValueError: for a damaged header.
    """
    try:
        if data.startswith(JPEG):
            return _jpeg_size(data) or pillow_size(data)
        if data.startswith(PNG):
            _check_chunks(data)
            return struct.unpack_from(">II", data, 16)
        if data.startswith(TIFF):
            tiff = tiff_header(data)
            return tiff.width, tiff.height
        if data.startswith(NPY):
            rows, columns, *_ = npy_shape(data)
            return columns, rows
        return pillow_size(data)
    except struct.error:
        raise ValueError("the header of the image is cut off") from None


def _check_chunks(data):
    """Refuses a PNG file with a part longer than the file: OpenCV allocates a length that it reads."""
    at = len(PNG)
    name, has_pixels = b"", False
    while name != b"IEND" and at + 8 <= len(data):  # anything may follow the last part
        length, name = struct.unpack_from(">I4s", data, at)
        has_pixels |= name == b"IDAT"
        at += 12 + length  # length, name, content, check sum
        if at > len(data):
            raise ValueError(f"the PNG file is cut off or damaged: {at - len(data)} bytes are missing")
    if not has_pixels:  # OpenCV would look for pixels behind the last part
        raise ValueError("the PNG file is cut off or damaged: it has no pixels")


def pillow_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) by Pillow, or None if it cannot tell."""
    try:
        with open_pillow(io.BytesIO(data)) as image:
            return image.size
    except PILLOW_ERRORS:
        return None


def open_pillow(file):
    """Opens a file or a path with Pillow, HEIC included if pillow-heif is installed.

    Sizes are not limited here, see `images.read_image`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            return Image.open(file)
        except Image.UnidentifiedImageError:
            if not _add_heif():
                raise
            if hasattr(file, "seek"):
                file.seek(0)
            return Image.open(file)


def _add_heif():
    """Teaches Pillow HEIC. Returns whether that made a difference."""
    if "HEIF" in Image.OPEN:
        return False
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def iso_kind(data: bytes) -> str | None:
    """ "AVIF" or "HEIC" for files of these kinds, else None."""
    if data[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(data[:4], "big"), 64)
    brands = {data[at : at + 4] for at in range(8, length, 4)}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if brands & _HEIF_BRANDS else None


def _jpeg_size(data):
    at, end = 2, len(data) - 9
    while at <= end and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return (width, height) if width and height else None
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def npy_shape(data: bytes) -> tuple[int, ...]:
    """(rows, columns) or (rows, columns, channels) of an array in a NumPy file.

    Raises:
        ValueError: if it has another shape, or the file is damaged.
    """
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read(file)
    except (SyntaxError, TypeError, tokenize.TokenError) as error:  # numpy reads it as a line of Python
        raise ValueError("the header of the array is damaged") from error
    if len(shape) not in (2, 3):
        raise ValueError(f"expected an array (rows, columns, channels), got {shape}")
    if math.prod(shape) * dtype.itemsize > len(data) - file.tell():
        raise ValueError(f"the file is truncated ({len(data)} bytes)")
    return shape


def tiff_header(data: bytes) -> Tiff:
    """The header of a TIFF file.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        tags, has_more = _tiff_tags(data)
        samples = tags.get(277, (1,))[0]
        extra = tags.get(338, ())
        return Tiff(
            width=tags[256][0],
            height=tags[257][0],
            bits=tags.get(258, (1,))[0],
            samples=samples,
            photometric=tags.get(262, (1,))[0],
            is_planar=tags.get(284, (1,))[0] == 2 and samples > 1,
            has_alpha=bool(extra) and extra[-1] in (1, 2),
            orientation=tags.get(274, (1,))[0],
            has_more=has_more,
        )
    except (struct.error, KeyError, IndexError, OverflowError):
        raise ValueError("the header of the TIFF file is damaged") from None


def _tiff_tags(data):
    """{tag: numbers} of the first directory, whole numbers only; and whether another directory follows."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    word, count_form = ("Q", "Q") if is_big else ("I", "H")
    (at,) = struct.unpack_from(order + word, data, 8 if is_big else 4)
    (count,) = struct.unpack_from(order + count_form, data, at)
    at += struct.calcsize(count_form)
    entry = struct.Struct(f"{order}HH{word}")
    room = struct.calcsize(word)  # where a short value stands in place of its offset
    tags = {}
    for _ in range(min(count, 4096)):
        tag, kind, length = entry.unpack_from(data, at)
        form = {3: "H", 4: "I", 16: "Q"}.get(kind)
        if form and length <= 64:
            values = struct.Struct(f"{order}{length}{form}")
            place = at + entry.size
            if values.size > room:
                (place,) = struct.unpack_from(order + word, data, place)
            tags[tag] = values.unpack_from(data, place)
        at += entry.size + room
    return tags, struct.unpack_from(order + word, data, at)[0] != 0


def too_large(width: int, height: int, samples: int = 1) -> str | None:
    """Why an image of this size is not decoded, or None.

    The limit is that of Pillow's DecompressionBombError: 179 million pixels, twice the number that a program
    may change, `PIL.Image.MAX_IMAGE_PIXELS`. A file of some kilobytes can hold a picture that fills the
    memory.
    """
    limit = 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else math.inf
    if width * height * max(1, samples / 4) <= limit:
        return None
    channels = f" and {samples} channels" if samples > 4 else ""
    return (
        f"the image has {width}x{height} pixels{channels}, more than the limit of {limit:,} pixels; cut it "
        "into tiles, or raise PIL.Image.MAX_IMAGE_PIXELS"
    )
