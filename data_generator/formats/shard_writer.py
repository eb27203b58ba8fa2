"""Writes a data set as shards: tar files in the layout of WebDataset, and an index of all annotations."""

from __future__ import annotations

import io
import os
import secrets
import tarfile
from pathlib import Path

import h5py
import msgspec
import numpy as np
from tqdm import tqdm

from ...arguments import checked
from ...files import new_folder
from ...limits import SHARD_BYTES
from ..dataset import DetectionDataset
from ..headers import JPEG, PNG
from ..images import ImageError
from ..record import FLAGS, Record
from .fields import IMAGE_SUFFIXES
from .hdf5_fields import annotation_fields, check_one_kind, write_annotations
from .hdf5_writer import encoded_picture
from .new_files import check_unique_ids
from .shards import FORMAT, INDEX, shard_name

_SAMPLE = 1000  # pictures whose mean size decides how many go into a shard


@checked(shard_bytes=SHARD_BYTES, seed=0)
def save_shards(
    dataset: DetectionDataset,
    folder: str | os.PathLike[str],
    *,
    shard_bytes: int = 128 << 20,
    seed: int | None = 0,
    progress: bool = True,
) -> None:
    """Writes a data set as shards, which `load_shards` and `load_dataset` open.

    A million pictures in files of their own are slow on a network disk: each is opened by itself. A shard
    holds many and is read from its beginning to its end.

    - `00000.tar`, `00001.tar`, ...: the image files, byte for byte, and beside each a JSON file with its
      annotations, in the layout of WebDataset. All shards have the same number of images, or one more.
    - `index.h5`: all annotations, and the place of each image file.

    Args:
        dataset: a `DetectionDataset`. Images that a function draws become PNG files.
        folder: path of the folder, which must not exist or be empty. Until it is complete it has a temporary
            name.
        shard_bytes: size of a shard, about.
        seed: seed of the order in which the images are written. It puts a random part of the images into each
            shard, so that the few shards of a `shuffle_window` are like all of them. None keeps the order of
            the data set.
        progress: whether to show a progress bar.

    Raises:
        FileExistsError: if the folder exists and is not empty.
        ImageError: for an image file that cannot be read; names it.
        ValueError: for an empty data set, image ids that occur more than once, or images that are read in
            different ways.
    """
    check_one_kind(dataset, "save_shards")
    check_unique_ids(dataset)
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(dataset))
        records = [dataset[i] for i in order]
        dataset = DetectionDataset(dataset.class_names, records, dataset.name)
    mean = np.mean([len(_content(record)) for record in dataset[:_SAMPLE]])
    per_shard = max(1, round(shard_bytes / max(mean, 1)))
    parts = np.array_split(np.arange(len(dataset)), -(-len(dataset) // per_shard))
    with new_folder(folder) as partial:
        places, sizes = [], []
        bar = tqdm(total=len(dataset), desc="shards", unit=" images", disable=not progress, leave=False)
        with bar:
            for number, part in enumerate(parts):
                path = partial / shard_name(number)
                places += _write_shard(path, dataset, part.tolist(), bar)
                sizes.append(path.stat().st_size)
        counts = [len(part) for part in parts]
        write_index(partial / INDEX, dataset, counts, sizes, np.array(places, np.int64))


def write_index(
    path: Path, dataset: DetectionDataset, counts: list[int], sizes: list[int], places: np.ndarray
) -> None:
    """Writes the index of shards.

    Args:
        path: path of the file.
        dataset: the data set, in the order of the shards.
        counts: number of images in each shard.
        sizes: bytes of each shard.
        places: (images, 2) position of each image file in its shard, and its bytes.
    """
    with h5py.File(path, "w") as file:
        file.attrs.update(format=FORMAT, fingerprint=secrets.token_hex(16))
        write_annotations(file, dataset, annotation_fields(dataset))
        file["shard_starts"] = np.cumsum([0, *counts])
        file["shard_sizes"] = np.array(sizes, np.int64)
        file["picture_starts"], file["picture_sizes"] = places.T


def _write_shard(path, dataset, numbers, bar):
    """Writes a shard. Returns the position and the size of each image file in it."""
    places = []
    # Without the names and times of whoever wrote it: the same data set gives the same bytes.
    with path.open("wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number in numbers:
            record = dataset[number]
            content = _content(record)
            _add(tar, f"{number:09d}{_suffix(record, content)}", content)
            places.append((tar.offset - _padded(len(content)), len(content)))
            _add(tar, f"{number:09d}.json", _annotations(record, dataset.class_names))
            bar.update()
    return places


def _content(record: Record) -> bytes:
    try:
        content = encoded_picture(record)
    except OSError as error:
        raise ImageError(f"{record.image}: cannot read the image: {error.strerror}") from error
    if not content:
        raise ImageError(f"{record.image}: the image file is empty")
    return content


def _add(tar, name, content):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _padded(size):
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _suffix(record, content):
    """How programs that read the shard know the format of an image file."""
    if content.startswith(JPEG):
        return ".jpg"
    if content.startswith(PNG):
        return ".png"
    suffix = "" if callable(record.image) else Path(record.image).suffix.lower()
    return suffix if suffix in IMAGE_SUFFIXES else ".image"


def _annotations(record, class_names):
    flags = {flag: getattr(record, flag).tolist() for flag in FLAGS}
    return msgspec.json.encode(
        {
            "image_id": record.image_id,
            "width": int(record.width),
            "height": int(record.height),
            "boxes": record.boxes.tolist(),
            "classes": [class_names[label - 1] for label in record.labels],
            **flags,
        }
    )
