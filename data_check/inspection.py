"""Decodes every image to learn what it holds; the pixels are not kept."""

import hashlib
import io
import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from ..data_generator.decoding import read_numbers
from ..data_generator.formats.annotation import Annotation
from ..data_generator.headers import (
    CMYK,
    NPY,
    ORIENTATION,
    PILLOW_ERRORS,
    TIFF,
    TURNED,
    npy_shape,
    open_pillow,
    stored_size,
    tiff_header,
)
from ..data_generator.images import MAX_BYTES, ImageError, read_image
from ..data_generator.pixels import RGB as PLAIN
from ..files import read_bytes

RGB = "RGB"
SIXTEEN_BITS = "16 bit"
# Names of Pillow's modes other than RGB.
_MODES = {
    "1": "black and white",
    "L": "grayscale",
    "LA": "grayscale with transparency",
    "P": "palette",
    "PA": "palette",
    "RGBA": "RGBA",
    "CMYK": "CMYK",
    "I": "16 or 32 bit",
    "F": "floating point",
}
_CHUNK = 64  # images that are decoded before the decoder's warnings are looked at
_STDERR = 2
# libjpeg decodes damaged files, too, and only prints a warning to the standard error stream.
_DAMAGE = re.compile(r"(Corrupt JPEG data[^\n]*|Premature end of JPEG[^\n]*)")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image holds.

    Attributes:
        stored: (width, height) in pixels as stored, or None if the header cannot be read.
        orientation: EXIF orientation; 1 is upright.
        kind: "RGB", or a name of another kind.
        digest: of the file's bytes or of the pixels, or None if there are none.
        missing: whether the file does not exist.
        error: why the image cannot be decoded, or None.
        damage: the decoder's warning about damage inside the image, or None.
        largest: largest number of a 16-bit image, or None for other images.
    """

    stored: tuple[int, int] | None = None
    orientation: int = 1
    kind: str = RGB
    digest: str | None = None
    missing: bool = False
    error: str | None = None
    damage: str | None = None
    largest: int | None = None

    @property
    def shown(self):
        """(width, height) in pixels after the EXIF orientation is applied, or None."""
        return self.stored[::-1] if self.stored and self.orientation in TURNED else self.stored


@dataclass(frozen=True, eq=False, slots=True)
class CheckedImage:
    """An `Annotation`, its split, and the `ImageFacts` of its image."""

    split: str
    annotation: Annotation
    facts: ImageFacts

    @property
    def size(self):
        """(width, height) in pixels that boxes refer to; None if unknown, or if the `sizes_differ`."""
        return None if self.sizes_differ else self.annotation.size or self.facts.shown

    @property
    def sizes_differ(self):
        """Whether the annotated size is neither that of the stored nor that of the upright image."""
        facts = self.facts
        return facts.stored is not None and self.annotation.size not in (None, facts.stored, facts.shown)

    @property
    def boxes(self):
        """(objects, 4) xyxy in pixels as annotated; relative (0..1) if there is no size."""
        a = self.annotation
        return a.boxes * (*self.size, *self.size) if a.relative and self.size else a.boxes


def inspect_images(split, annotations, workers=None):
    """Yields a `CheckedImage` for each `Annotation`, in order.

    For moments, the standard error stream of the whole process is redirected to read the decoder's warnings.

    Args:
        split: name of the split.
        annotations: iterable of `Annotation`; it is read a little ahead of what is yielded.
        workers: number of threads; None takes one for each core, at most 8.
    """
    annotations = iter(annotations)
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        while chunk := list(islice(annotations, _CHUNK)):
            facts = _inspect_chunk([(a.image, a.pixels) for a in chunk], pool)
            yield from map(CheckedImage, [split] * len(chunk), chunk, facts)


def inspect_image(image, pixels=PLAIN):
    """Reads and decodes one image.

    Args:
        image: path of a file, or a function that returns uint8 pixels or the bytes of an image file.
        pixels: how the image is read.

    Returns:
        `ImageFacts`. Problems are recorded there; nothing is raised.
    """
    try:
        content = image() if callable(image) else _content(image)
    except ImageError as error:
        return ImageFacts(error=str(error))
    except OSError as error:
        return ImageFacts(missing=isinstance(error, FileNotFoundError), error=error.strerror or str(error))
    except Exception as error:  # a function of the user may raise anything
        return ImageFacts(error=f"{type(error).__name__}: {error}")
    if isinstance(content, bytes):
        return _facts_of_file(content, pixels)
    if isinstance(content, np.ndarray):
        return _facts_of_pixels(content, pixels)
    return ImageFacts(error=f"expected RGB uint8 pixels or bytes, got {type(content).__name__}")


def _content(path):
    try:
        return read_bytes(path, MAX_BYTES)
    except ValueError as error:
        raise ImageError(str(error).removeprefix(f"{path}: ")) from error


def capture_stderr(action):
    """Returns what `action` returns, and what was written to the standard error stream meanwhile.

    This is the stream of the process, so it includes what other threads write.
    """
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), _STDERR)
            try:
                result = action()
            finally:
                os.dup2(kept, _STDERR)
            file.seek(0)
            return result, file.read().decode(errors="replace")
    finally:
        os.close(kept)


def _inspect_chunk(images, pool):
    """`ImageFacts` of (image, pixels). After a warning, each is decoded again to find which it is about."""
    facts, warnings = capture_stderr(lambda: list(pool.map(lambda image: inspect_image(*image), images)))
    return [_inspect_alone(image) for image in images] if _DAMAGE.search(warnings) else facts


def _inspect_alone(image):
    facts, warnings = capture_stderr(lambda: inspect_image(*image))
    damage = _DAMAGE.search(warnings)
    return replace(facts, damage=damage[0]) if damage else facts


def _facts_of_file(data, pixels):
    digest = _digest(data)
    try:
        stored, orientation, kind, channels = _header(data)
    except PILLOW_ERRORS as reason:
        error = _decoding_error(data, pixels) or f"cannot read the size of the image: {reason}"
        return ImageFacts(digest=digest, error=error)
    if pixels.channels == 3 and channels is not None:
        # Which channels a model takes is not known here; that the file has others is a finding of its own.
        pixels = pixels._replace(channels=channels)
    is_measured = kind == SIXTEEN_BITS and pixels.value_range is None
    if is_measured:
        pixels = pixels._replace(value_range=(0, 65535))  # no warning of dark images: they become a finding
    error, largest = _decoding_error(data, pixels), None
    if error is None and is_measured:
        largest = int(read_numbers(data, "", pixels.channels)[0].max())
    return ImageFacts(stored, orientation, kind, digest, error=error, largest=largest)


def _header(data):
    """(width, height) as stored, EXIF orientation, kind, and the number of channels if they are unusual."""
    if data.startswith(TIFF):
        tiff = tiff_header(data)
        # All decoders turn TIFF files.
        size = (tiff.height, tiff.width) if tiff.orientation in TURNED else (tiff.width, tiff.height)
        if tiff.samples not in (1, 3) and not tiff.has_alpha and tiff.photometric != CMYK:
            return size, 1, f"{tiff.samples} channels", tiff.samples
        if tiff.bits == 16:
            return size, 1, SIXTEEN_BITS, None
    if data.startswith(NPY):
        channels = npy_shape(data)[2:] or (1,)
        return stored_size(data), 1, f"NumPy array of {channels[0]} channels", channels[0]
    with open_pillow(io.BytesIO(data)) as header:
        # The kind comes first: looking for EXIF may read the file to its end, after which it is lost.
        kind, stored = _kind(header), header.size
        orientation = 1 if data.startswith(TIFF) else header.getexif().get(ORIENTATION, 1)
    return stored, orientation, kind, None


def _facts_of_pixels(array, pixels):
    error = _decoding_error(array, pixels)
    if error is not None:
        return ImageFacts(error=error)
    height, width = array.shape[:2]
    return ImageFacts((width, height), digest=_digest(repr(array.shape).encode(), array.tobytes()))


def _decoding_error(content, pixels):
    """Why `read_image` refuses bytes or pixels, or None."""

    def source():
        return content

    try:
        # The smallest scale reads all data of a JPEG and saves most of the arithmetic.
        read_image(source, reduction=8, **pixels._asdict())
    except ImageError as error:
        return str(error).removeprefix(f"{source}: ")
    return None


def _digest(*parts):
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _kind(header):
    # 16-bit color opens as RGB; only the raw mode of the decoder tells it from 8 bits.
    if "16" in header.mode or any("16" in str(tile[3]) for tile in header.tile):
        return SIXTEEN_BITS
    return _MODES.get(header.mode, RGB)
