"""Decoding of images."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

import multibox as mb

from .. import mutators as m
from .target import IMAGE, MEGABYTE, Target

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def images() -> list[Target]:
    formats = {
        **{suffix: [cv2.imencode(suffix, PIXELS)[1].tobytes()] for suffix in (".bmp", ".webp", ".jp2")},
        ".jpg": _jpegs(),
        ".png": _pngs(),
        ".tif": _tiffs(),
        ".avif": [_pillow(Image.fromarray(PIXELS), "AVIF")],
        ".npy": _arrays(),
    }
    targets = []
    for suffix, corpus in formats.items():
        mutate = m.several(m.change_png, IMAGE) if suffix == ".png" else IMAGE
        prepare = lambda folder, s=suffix, c=corpus: (folder / f"a{s}").write_bytes(c[0])  # noqa: E731
        read = lambda folder, s=suffix: _image(folder / f"a{s}")  # noqa: E731
        targets.append(
            Target(f"image {suffix}", prepare, f"a{suffix}", read, mutate, corpus, 1200 * MEGABYTE)
        )
    return targets


def _image(path):
    size = None
    if path.stat().st_size % 3:  # as data sets do: with the annotated size
        size = (64, 48)
    image = mb.read_image(path, size=size)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size
    assert size is None or image.shape[:2] == (48, 64)


def _pillow(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _jpegs():
    image = Image.fromarray(PIXELS)
    exif = Image.Exif()
    exif[274] = 6
    return [
        cv2.imencode(".jpg", PIXELS)[1].tobytes(),
        _pillow(image, "JPEG", progressive=True, exif=exif),
        _pillow(image.convert("CMYK"), "JPEG"),
        _pillow(image.convert("L"), "JPEG"),
    ]


def _pngs():
    image = Image.fromarray(PIXELS)
    kinds = [image.convert("P"), image.convert("RGBA"), image.convert("L"), image.convert("1")]
    deep = cv2.imencode(".png", PIXELS.astype(np.uint16) * 256)[1].tobytes()
    return [cv2.imencode(".png", PIXELS)[1].tobytes(), deep, *(_pillow(one, "PNG") for one in kinds)]


def _tiffs():
    image = Image.fromarray(PIXELS)
    options = ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "jpeg"})
    return [
        *(_pillow(image, "TIFF", **o) for o in options),
        cv2.imencode(".tif", PIXELS.astype(np.uint16))[1].tobytes(),
    ]


def _arrays():
    out = []
    for array in (PIXELS, PIXELS[..., 0], np.asfortranarray(PIXELS)):
        file = io.BytesIO()
        np.save(file, array)
        out.append(file.getvalue())
    return out
