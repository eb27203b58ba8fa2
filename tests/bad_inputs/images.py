"""Damaged pictures of every format."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache, partial

import cv2
import numpy as np
from PIL import Image

import multibox as mb

from .case import Case, Either, Refused, Result, Target
from .damage import WRONG_FILES
from .special import special_files

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def _target(suffix):
    return Target(f"image {suffix}", lambda folder: mb.read_image(folder / f"a{suffix}").shape, f"a{suffix}")


def _pillow(kind, image=None, **options):
    out = io.BytesIO()
    (image or Image.fromarray(PIXELS)).save(out, kind, **options)
    return out.getvalue()


def _npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@cache
def contents() -> dict[str, bytes]:
    encoded = {
        s: cv2.imencode(s, PIXELS)[1].tobytes() for s in (".png", ".jpg", ".bmp", ".webp", ".tif", ".jp2")
    }
    return {**encoded, ".avif": _pillow("AVIF"), ".npy": _npy(PIXELS)}


SOUND = Result((48, 64, 3))


def write(suffix, content, folder):
    (folder / f"a{suffix}").write_bytes(content)


def cases() -> Iterator[Case]:
    for suffix, content in contents().items():
        target, writes = _target(suffix), partial(write, suffix)
        yield Case(target, "sound", partial(writes, content), SOUND)
        for kind, data in WRONG_FILES.items():
            yield Case(target, f"file {kind}", partial(writes, data), Refused())
        for other, data in contents().items():
            if other != suffix:
                yield Case(target, f"is in truth {other}", partial(writes, data), SOUND)
        for share in range(1, 20):
            end = len(content) * share // 20
            # Of BMP, JPEG 2000 and AVIF some decoders read what is there.
            lenient = suffix in (".bmp", ".jp2", ".avif", ".webp", ".tif") and share > 1
            expected = Either((Refused(), SOUND)) if lenient and suffix == ".jp2" else Refused()
            yield Case(target, f"cut after {share * 5} %", partial(writes, content[:end]), expected)
        for length in (1, 2, 4, 8, 12, 16, 20, 24, 30):
            yield Case(target, f"cut after {length} bytes", partial(writes, content[:length]), Refused())
        yield Case(target, "bytes after the end", partial(writes, content + b"abc" * 100), SOUND)
        yield Case(
            target,
            "zeros in place of the data",
            partial(writes, content[:40] + bytes(len(content) - 40)),
            Either((Refused(), SOUND)),
        )
        yield from special_files(target, partial(writes, content), f"a{suffix}")
    for suffix, kind, content, expected in (*_png(), *_headers(), *_arrays(), *_channels()):
        yield Case(_target(suffix), kind, partial(write, suffix, content), expected)


def png_chunks(*chunks):
    parts = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _png():
    def header(width=64, height=48, bits=8, color=2, compression=0, filters=0, interlace=0):
        return struct.pack(">IIBBBBB", width, height, bits, color, compression, filters, interlace)

    rows = b"".join(b"\0" + PIXELS[i].tobytes() for i in range(48))
    data, end = (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    yield ".png", "sound chunks", png_chunks((b"IHDR", header()), data, end), SOUND
    for kind, changes in {
        "width 0": {"width": 0},
        "height 0": {"height": 0},
        "width 2**31": {"width": 2**31},
        "width 2**32 - 1": {"width": 2**32 - 1},
        "a bomb of 20000 x 20000": {"width": 20_000, "height": 20_000},
        "a bomb of 2**31 - 1 x 1": {"width": 2**31 - 1, "height": 1},
        "a bomb of 10**6 x 10**6": {"width": 10**6, "height": 10**6},
        "bits 3": {"bits": 3},
        "bits 255": {"bits": 255},
        "color 1": {"color": 1},
        "color 9": {"color": 9},
        "compression 1": {"compression": 1},
        "interlace 7": {"interlace": 7},
    }.items():
        yield ".png", f"IHDR {kind}", png_chunks((b"IHDR", header(**changes)), data, end), Refused()
    yield ".png", "no IDAT", png_chunks((b"IHDR", header()), end), Refused()
    yield ".png", "IDAT no zlib", png_chunks((b"IHDR", header()), (b"IDAT", b"abc" * 99), end), Refused()
    yield (
        ".png",
        "IDAT short",
        png_chunks((b"IHDR", header()), (b"IDAT", zlib.compress(rows[:100])), end),
        Refused(),
    )
    yield (
        ".png",
        "IHDR twice",
        png_chunks((b"IHDR", header()), (b"IHDR", header()), data, end),
        Either((SOUND, Refused())),
    )
    yield ".png", "IHDR last", png_chunks(data, (b"IHDR", header()), end), Refused()
    wrong = bytearray(png_chunks((b"IHDR", header()), data, end))
    wrong[60] ^= 1
    yield ".png", "a wrong checksum", bytes(wrong), Refused()
    bomb = zlib.compress(bytes(3 * 10**8), 9)
    yield (
        ".png",
        "IDAT of 300 MB for 64 x 48",
        png_chunks((b"IHDR", header()), (b"IDAT", bomb), end),
        Either((Refused(), SOUND)),
    )


def _headers():
    bmp = contents()[".bmp"]
    for kind, place, form, value in (
        ("width 0", 18, "<i", 0),
        ("width negative", 18, "<i", -64),
        ("width 2**31 - 1", 18, "<i", 2**31 - 1),
        ("height 2**31 - 1", 22, "<i", 2**31 - 1),
        ("height 10**6", 22, "<i", 10**6),
        ("bits 7", 28, "<H", 7),
        ("compression 77", 30, "<I", 77),
        ("data beyond the end", 10, "<I", 10**9),
    ):
        changed = bytearray(bmp)
        struct.pack_into(form, changed, place, value)
        yield ".bmp", f"header {kind}", bytes(changed), Refused()
    jpeg = contents()[".jpg"]
    frame = jpeg.index(b"\xff\xc0")
    for kind, size in {
        "0 x 64": (0, 64),
        "48 x 0": (48, 0),
        "65535 x 65535": (65535, 65535),
        "30000 x 30000": (30000, 30000),
    }.items():
        changed = bytearray(jpeg)
        struct.pack_into(">HH", changed, frame + 5, *size)
        yield ".jpg", f"frame of {kind}", bytes(changed), Refused()
    for samples in (0, 2, 5, 255):
        changed = bytearray(jpeg)
        changed[frame + 9] = samples
        yield ".jpg", f"{samples} components", bytes(changed), Refused()
    yield ".jpg", "only markers", b"\xff\xd8" + b"\xff" * 10_000, Refused()
    yield ".jpg", "only the end", b"\xff\xd8\xff\xd9", Refused()
    tiff = contents()[".tif"]
    for place, kind in ((4, "first directory"),):
        for value in (0, 4, len(tiff), 2**31, 2**32 - 1):
            changed = bytearray(tiff)
            struct.pack_into("<I", changed, place, value)
            yield ".tif", f"{kind} at {value}", bytes(changed), Refused()


def _arrays():
    head = contents()[".npy"]
    for kind, array in {
        "one dimension": PIXELS.reshape(-1),
        "four dimensions": PIXELS[None],
        "no dimension": np.array(7, np.uint8),
        "no rows": PIXELS[:0],
        "two channels": PIXELS[..., :2],
        "five channels": np.repeat(PIXELS[..., :1], 5, 2),
        "float": PIXELS.astype(np.float32),
        "complex": PIXELS.astype(np.complex64),
        "bool": PIXELS > 7,
        "texts": PIXELS.astype("S3"),
        "int64": PIXELS.astype(np.int64),
    }.items():
        yield (
            ".npy",
            f"array of {kind}",
            _npy(array),
            Either((Refused(), SOUND)) if kind in ("bool",) else Refused(),
        )
    out = io.BytesIO()
    np.save(out, np.array([{}] * 9, object), allow_pickle=True)
    yield ".npy", "array of objects", out.getvalue(), Refused()
    for kind, new in {
        "huge": b"(4800000000, 64, 3), ",
        "negative": b"(-48, 64, 3), ",
        "a text": b"'abc', ",
        "open": b"(48, 64, 3, ",
        "an expression": b"__import__('os'), ",
    }.items():
        changed = head.replace(b"(48, 64, 3), }", new + b"}")
        yield ".npy", f"shape {kind}", changed[: len(head)].ljust(len(head), b"\0"), Refused()
    yield ".npy", "version 9", head[:6] + b"\x09\x00" + head[8:], Refused()


def _channels():
    image = Image.fromarray(PIXELS)
    for kind, content in {
        "gray": _pillow("PNG", image.convert("L")),
        "of a palette": _pillow("PNG", image.convert("P")),
        "with transparency": _pillow("PNG", image.convert("RGBA")),
        "of 16 bits": cv2.imencode(".png", PIXELS.astype(np.uint16) * 257)[1].tobytes(),
        "black and white": _pillow("PNG", image.convert("1")),
        "interlaced": _pillow("PNG", image, interlace=1),
    }.items():
        yield ".png", kind, content, SOUND
    for orientation in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255):
        exif = Image.Exif()
        exif[274] = orientation
        turned = Result((64, 48, 3)) if orientation in (5, 6, 7, 8) else SOUND
        yield ".jpg", f"orientation {orientation}", _pillow("JPEG", image, exif=exif), turned
    yield ".jpg", "CMYK", _pillow("JPEG", image.convert("CMYK")), SOUND
    yield (
        ".jpg",
        "damaged EXIF",
        _pillow("JPEG", image, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 40),
        SOUND,
    )
