"""Writes a data set into one HDF5 file: annotations, and images as encoded files or decoded pixels."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from ...arguments import checked
from ...files import atomic, check_absent
from ..dataset import DetectionDataset
from ..decoding import encode_png
from ..images import ImageError
from ..record import Record
from .hdf5 import FORMAT
from .hdf5_fields import FIELDS, annotation_fields, check_one_kind, write_annotations

FLUSH_EVERY = 64  # images; a killed run repeats at most these


@checked()
def create_hdf5_dataset(
    dataset: DetectionDataset, path: str | os.PathLike[str], *, decoded: bool = False, progress: bool = True
) -> None:
    """Writes a data set to one file, which `load_hdf5` opens in any number of workers.

    Every image is decoded once to check it. An interrupted run resumes where it stopped.

    Args:
        dataset: a `DetectionDataset`.
        path: path of the file, which must not exist. Until it is complete its name is `<path>.partial`.
        decoded: False stores the image files as they are, and drawn images as PNG. True stores pixels, a
            byte for each channel: about six times the size for photographs, but reading needs no decoding.
        progress: whether to show a progress bar.

    Raises:
        FileExistsError: if the file exists, or if its `.partial` file belongs to another data set.
        ImageError: for an image that cannot be read; names it.
        ValueError: for an empty data set, or images that are read in different ways.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    check_absent([path])
    check_one_kind(dataset, "create_hdf5_dataset")
    fields = annotation_fields(dataset)
    fingerprint = _fingerprint(dataset, fields, decoded)
    if not partial.exists():
        _lay_out(partial, dataset, fields, fingerprint, decoded)
    with _open_partial(partial, fingerprint) as file:
        bar = tqdm(dataset, path.name, unit=" images", disable=not progress, leave=False)
        _write_images(file, bar, decoded)
    partial.replace(path)


def _fingerprint(dataset, fields, decoded):
    digest = hashlib.sha256(
        json.dumps([FORMAT, decoded, dataset.class_names, dataset.name, dataset.pixels]).encode()
    )
    digest.update(json.dumps([record.image_id for record in dataset]).encode())
    for name in FIELDS:
        digest.update(fields[name].tobytes())
    return digest.hexdigest()


def _lay_out(partial, dataset, fields, fingerprint, decoded):
    """Makes a file with the annotations and with room for the images."""
    if decoded:
        sizes = dataset.pixels.channels * fields["width"].astype(np.int64) * fields["height"]
    else:
        sizes = [_encoded_size(record) for record in dataset]
    starts = np.cumsum([0, *sizes])
    # A partial file that exists can always be resumed.
    with atomic(partial) as new, h5py.File(new, "w") as file:
        file.attrs.update(format=FORMAT, decoded=decoded, fingerprint=fingerprint)
        write_annotations(file, dataset, fields)
        file["image_starts"] = starts
        _create_contiguous(file, "written", len(dataset))[:] = 0
        _create_contiguous(file, "images", int(starts[-1]))


def _create_contiguous(file, name, size):
    """A uint8 dataset that is allocated at once and in one piece, so that an image is a range of the file."""
    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    options.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((size,))
    return h5py.Dataset(h5py.h5d.create(file.id, name.encode(), h5py.h5t.STD_U8LE, space, options))


def _open_partial(partial, fingerprint):
    try:
        file = h5py.File(partial, "r+")
    except OSError as error:
        raise FileExistsError(f"{partial}: cannot be resumed ({error}); delete it and run again") from error
    if file.attrs.get("fingerprint") != fingerprint:
        file.close()
        raise FileExistsError(
            f"{partial} belongs to a different data set or `decoded` setting; delete it to start over"
        )
    return file


def _write_images(file, records, decoded):
    starts, images, written = file["image_starts"][:], file["images"], file["written"]
    done = written[:]
    for i, record in enumerate(records):
        if done[i]:
            continue
        pixels = record.read()
        content = pixels.reshape(-1) if decoded else np.frombuffer(encoded_picture(record), np.uint8)
        if len(content) != starts[i + 1] - starts[i]:
            raise ImageError(f"{record.image}: the image file was changed while the data set was written")
        images[starts[i] : starts[i + 1]] = content
        written[i] = 1
        if i % FLUSH_EVERY == 0:
            file.flush()


def _encoded_size(record):
    if callable(record.image):
        return len(encoded_picture(record))
    try:
        return Path(record.image).stat().st_size
    except OSError as error:
        raise ImageError(f"{record.image}: cannot read the image: {error.strerror}") from error


def encoded_picture(record: Record) -> bytes:
    """Bytes of the image file; a drawn image becomes a PNG."""
    if not callable(record.image):
        return Path(record.image).read_bytes()
    image = record.image()
    if isinstance(image, bytes):
        return image
    return encode_png(record.read(), record.image_id)
