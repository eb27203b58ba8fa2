"""Shared by all writers: image files, their names, and checks of ids and texts."""

import filecmp
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from ...files import atomic, check_absent
from ...messages import printable
from ..dataset import DetectionDataset
from ..decoding import encode_png
from ..record import FLAGS
from .fields import IMAGE_SUFFIXES, UNWRITABLE, inside_folder, normal_path


def check_unique_ids(dataset):
    """Raises ValueError if two records have the same image id."""
    repeated = [i for i, count in Counter(r.image_id for r in dataset).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{dataset.name}: {len(repeated)} image ids occur more than once, first {repeated[0]!r}"
        )


def names_without_prefix(dataset, prefix):
    """The image ids without a prefix, such as the name of a split, which the readers put in front of them.

    Raises:
        ValueError: if ids are duplicates, or differ only in the prefix.
    """
    check_unique_ids(dataset)
    names = [record.image_id.removeprefix(prefix) for record in dataset]
    if len(set(names)) < len(names):
        raise ValueError(f"{dataset.name}: some image ids differ only in {prefix!r} in front of them")
    return names


def check_writable(texts, what):
    """Raises ValueError for a text that would not read back unchanged."""
    for text in texts:
        if not text or text != text.strip() or UNWRITABLE.search(text):
            raise ValueError(
                f"{what} must not be empty, start or end with spaces, or contain control characters: {text!r}"
            )


def check_visible(names, owner):
    """Raises ValueError for the name of a hidden file, which readers leave out."""
    if hidden := [name for name in names if name.startswith(".") or "/." in name]:
        raise ValueError(f"{owner}: an image id must not start with a dot, as hidden files do: {hidden[0]!r}")


def warn_of_lost_flags(dataset, owner, what):
    """Counts in a warning the crowd regions, which are not written, and the flags of the other objects."""
    counts = {flag: sum(int(getattr(record, flag).sum()) for record in dataset) for flag in FLAGS}
    lost = [f"{counts['crowd']} crowd regions are left out"] if counts["crowd"] else []
    lost += [f"{counts[f]} objects are no longer {f}" for f in ("difficult", "truncated") if counts[f]]
    if lost:
        text = f"{owner}: {printable(dataset.name)}: {what}: {', '.join(lost)}"
        warnings.warn(text, stacklevel=4)  # beyond the `checked` writer


def exact(value):
    """The shortest text that reads back as the same number; whole numbers without a decimal point."""
    return str(value).removesuffix(".0")


def file_names(dataset, image_folder):
    """Names of the image files relative to a folder, with forward slashes.

    Args:
        dataset: a `DetectionDataset`.
        image_folder: the folder. Images that a function makes are written to it as PNG, named by their id.
            None: names without folders.

    Raises:
        FileExistsError: if another file has the path of an image that a function makes.
        ValueError: if an image is not in the folder, two have the same name, or one has no file and there is
            no folder.
    """
    names = [_file_name(record, image_folder) for record in dataset]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(
            f"{dataset.name}: two images would have the name {repeated[0]!r}; set image_folder to a folder "
            f"that contains all images"
        )
    for record, name in zip(dataset, names, strict=True):
        if callable(record.image):
            place_image(record, Path(image_folder) / name)
    return names


def _file_name(record, image_folder):
    if callable(record.image):
        if image_folder is None:
            raise ValueError(f"{record.image_id}: the image has no file; set image_folder to write it there")
        return f"{inside_folder(record.image_id, 'image made by a function', 'image id')}.png"
    if image_folder is None:
        return Path(record.image).name
    file, folder = normal_path(record.image), normal_path(image_folder)
    if not file.is_relative_to(folder):
        raise ValueError(f"{record.image_id}: the image {file} is not in the folder {folder}")
    return file.relative_to(folder).as_posix()


def image_target(record, folder, name, owner):
    """Path that a record's image gets in a folder.

    Args:
        record: a `Record`.
        folder: the folder.
        name: name of the file without suffix, with forward slashes.
        owner: name of the writer, for messages.

    Raises:
        FileExistsError: if there is an image of that name with another suffix: the reader could take it.
        ValueError: if the name leaves the folder or has control characters, or for another image format.
    """
    inside_folder(name, owner, "an image id")
    check_writable([name], f"{owner}: an image id")
    suffix = ".png" if callable(record.image) else Path(record.image).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise ValueError(f"{owner}: {record.image}: expected an image of {', '.join(IMAGE_SUFFIXES)}")
    check_absent(folder / f"{name}{other}" for other in IMAGE_SUFFIXES if other != suffix)
    return folder / f"{name}{suffix}"


def place_image(record, target, link=False):
    """Puts an image where a data set expects it, unless it is already there.

    Args:
        record: its image is copied, or written as PNG if a function makes it.
        target: path of the file.
        link: whether to make a hard link instead of a copy.

    Raises:
        FileExistsError: if another file has that path.
    """
    if callable(record.image):
        _place_bytes(encode_png(record.read(), record.image_id), target)
    elif target.exists() and filecmp.cmp(record.image, target, shallow=False):
        return
    elif link:
        check_absent([target])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(record.image)
    else:
        _place_bytes(Path(record.image).read_bytes(), target)


def with_placed_images(dataset, folder, names, owner, link=False, progress=True):
    """Puts all images of a data set into a folder.

    Args:
        dataset: a `DetectionDataset`.
        folder: `pathlib.Path` of the folder.
        names: names of the files without suffix, with forward slashes.
        owner: name of the writer, for messages.
        link: whether to make hard links instead of copies.
        progress: whether to show a progress bar.

    Returns:
        The `DetectionDataset` with the images in the folder.

    Raises:
        FileExistsError: see `place_image` and `image_target`.
        ValueError: see `image_target`.
    """
    targets = [image_target(r, folder, name, owner) for r, name in zip(dataset, names, strict=True)]
    bar = tqdm(dataset, desc=f"save {folder.name}", unit=" files", disable=not progress, leave=False)
    for record, target in zip(bar, targets, strict=True):
        place_image(record, target, link)
    records = [replace(r, image=str(target)) for r, target in zip(dataset, targets, strict=True)]
    return DetectionDataset(dataset.class_names, records, dataset.name)


def _place_bytes(data, target):
    if target.exists() and target.read_bytes() == data:
        return
    with atomic(target, overwrite=False) as partial:
        partial.write_bytes(data)
