"""A data set in one HDF5 file: annotations, and images as encoded files or decoded pixels."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import h5py
import numpy as np
from tqdm import tqdm

from ...arguments import checked
from ...files import atomic, check_absent
from ..dataset import FLAGS, DetectionDataset, Record
from ..images import ImageError, read_image

FORMAT = "multibox 1"
FLUSH_EVERY = 64  # images; a killed run repeats at most these
FIELDS = ("width", "height", "object_starts", "boxes", "labels", *FLAGS)


@checked()
def create_hdf5_dataset(
    dataset: DetectionDataset, path: str | os.PathLike[str], *, decoded: bool = False, progress: bool = True
) -> None:
    """Writes a data set to one file, which `load_hdf5` opens in any number of workers.

    Every image is decoded once to check it. An interrupted run resumes where it stopped.

    Args:
        dataset: a `DetectionDataset`.
        path: path of the file, which must not exist. Until it is complete its name is `<path>.partial`.
        decoded: False stores the image files as they are, and drawn images as PNG. True stores pixels, three
            bytes each: about six times the size for photographs, but reading needs no decoding.
        progress: whether to show a progress bar.

    Raises:
        FileExistsError: if the file exists, or if its `.partial` file belongs to another data set.
        ImageError: for an image that cannot be read; names it.
        ValueError: for an empty data set.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    check_absent([path])
    if len(dataset) == 0:
        raise ValueError(f"create_hdf5_dataset: the data set is empty: {dataset!r}")
    fields = _fields(dataset)
    fingerprint = _fingerprint(dataset, fields, decoded)
    if not partial.exists():
        _lay_out(partial, dataset, fields, fingerprint, decoded)
    with _open_partial(partial, fingerprint) as file:
        bar = tqdm(dataset, path.name, unit=" images", disable=not progress, leave=False)
        _write_images(file, bar, decoded)
    partial.replace(path)


@checked()
def load_hdf5(path: str | os.PathLike[str]) -> DetectionDataset:
    """Opens a file of `create_hdf5_dataset`.

    Args:
        path: path of the file.

    Returns:
        `DetectionDataset`. Each process opens its own memory map of the images. Any number of threads and
        processes may share the data set.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file has another format, is incomplete or is damaged; states what is wrong.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with h5py.File(path) as file:
            if file.attrs.get("format") != FORMAT:
                raise ValueError(f"expected the format {FORMAT!r}, got {file.attrs.get('format')!r}")
            return _read(path, file)
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: not a data set of create_hdf5_dataset: {error}") from error


@dataclass(frozen=True, eq=False, slots=True)
class StoredImage:
    """An image function (see `read_image`) that reads from a file that holds many images.

    Attributes:
        path: path of the file.
        changed: time of its last change, in nanoseconds since 1970.
        start: position of the image's first byte.
        stop: position after its last byte.
        shape: (rows, columns, 3) of stored pixels, or None for an encoded image.
    """

    path: str
    changed: int
    start: int
    stop: int
    shape: tuple[int, int, int] | None

    def __call__(self):
        content = _mapped(self.path, self.changed)[self.start : self.stop]
        return content.tobytes() if self.shape is None else content.reshape(self.shape)

    def __str__(self):
        return f"{self.path} (bytes {self.start} to {self.stop})"


@lru_cache(maxsize=16)
def _mapped(path, changed):
    """The bytes of a file. Each process has its own map, or inherits a read-only one."""
    try:
        if Path(path).stat().st_mtime_ns != changed:
            raise ImageError(f"{path}: the file was changed after load_hdf5")
        return np.memmap(path, np.uint8, "r")
    except OSError as error:
        raise ImageError(f"{path}: cannot read the images: {error.strerror}") from error


def _fields(dataset):
    """{name: array} of all annotations, concatenated over the images."""
    counts = [len(record.labels) for record in dataset]
    joined = {name: np.concatenate([getattr(record, name) for record in dataset]) for name in FIELDS[3:]}
    return {
        "width": np.array([record.width for record in dataset], np.int32),
        "height": np.array([record.height for record in dataset], np.int32),
        "object_starts": np.cumsum([0, *counts]),
        **joined,
        "boxes": joined["boxes"].astype(np.float32),
        "labels": joined["labels"].astype(np.int32),
    }


def _fingerprint(dataset, fields, decoded):
    digest = hashlib.sha256(json.dumps([FORMAT, decoded, dataset.class_names, dataset.name]).encode())
    digest.update(json.dumps([record.image_id for record in dataset]).encode())
    for name in FIELDS:
        digest.update(fields[name].tobytes())
    return digest.hexdigest()


def _lay_out(partial, dataset, fields, fingerprint, decoded):
    """Makes a file with the annotations and with room for the images."""
    if decoded:
        sizes = 3 * fields["width"].astype(np.int64) * fields["height"]
    else:
        sizes = [_encoded_size(record) for record in dataset]
    starts = np.cumsum([0, *sizes])
    # A partial file that exists can always be resumed.
    with atomic(partial) as new, h5py.File(new, "w") as file:
        file.attrs.update(
            format=FORMAT,
            name=dataset.name,
            class_names=json.dumps(dataset.class_names),
            decoded=decoded,
            fingerprint=fingerprint,
        )
        file["image_id"] = [record.image_id for record in dataset]
        for name in FIELDS:
            file[name] = fields[name]
        file["image_starts"] = starts
        _create_contiguous(file, "written", len(dataset))[:] = 0
        _create_contiguous(file, "images", int(starts[-1]))


def _create_contiguous(file, name, size):
    """A uint8 dataset that is allocated at once and in one piece, as a memory map needs it."""
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
        pixels = read_image(record.image, size=(record.width, record.height))
        content = pixels.reshape(-1) if decoded else np.frombuffer(_encoded(record), np.uint8)
        if len(content) != starts[i + 1] - starts[i]:
            raise ImageError(f"{record.image}: the image file was changed while the data set was written")
        images[starts[i] : starts[i + 1]] = content
        written[i] = 1
        if i % FLUSH_EVERY == 0:
            file.flush()


def _encoded_size(record):
    if callable(record.image):
        return len(_encoded(record))
    try:
        return Path(record.image).stat().st_size
    except OSError as error:
        raise ImageError(f"{record.image}: cannot read the image: {error.strerror}") from error


def _encoded(record):
    """Bytes of the image file; a drawn image becomes a PNG."""
    if not callable(record.image):
        return Path(record.image).read_bytes()
    image = record.image()
    if isinstance(image, bytes):
        return image
    return cv2.imencode(".png", cv2.cvtColor(read_image(lambda: image), cv2.COLOR_RGB2BGR))[1].tobytes()


def _read(path, file):
    decoded, changed = bool(file.attrs["decoded"]), path.stat().st_mtime_ns
    fields = {name: file[name][:] for name in FIELDS}
    ids, objects, starts = file["image_id"].asstr()[:], fields["object_starts"], file["image_starts"][:]
    _check_starts("object_starts", objects, len(ids), len(fields["labels"]))
    _check_starts("image_starts", starts, len(ids), len(file["images"]))
    if not file["written"][:].all():
        raise ValueError("the file is incomplete")
    offset = file["images"].id.get_offset()
    if offset is None:
        raise ValueError("the images are not stored in one piece")
    records = []
    for i, image_id in enumerate(ids):
        mine = slice(objects[i], objects[i + 1])
        width, height = int(fields["width"][i]), int(fields["height"][i])
        shape = (height, width, 3) if decoded else None
        image = StoredImage(str(path), changed, int(offset + starts[i]), int(offset + starts[i + 1]), shape)
        values = (fields[name][mine] for name in FIELDS[3:])
        records.append(Record(image_id, image, width, height, *values))
    return DetectionDataset(json.loads(file.attrs["class_names"]), records, file.attrs["name"])


def _check_starts(name, starts, count, total):
    if len(starts) != count + 1 or starts[0] != 0 or starts[-1] != total or (np.diff(starts) < 0).any():
        raise ValueError(f"{name} must rise from 0 to {total} in {count} steps")
