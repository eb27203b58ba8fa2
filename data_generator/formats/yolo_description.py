"""Finds out where a YOLO data set has its images, and what its classes are called."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from ...files import is_file, is_folder, read_text
from ...messages import did_you_mean, printable, quoted
from .fields import check_name, normal_path
from .plain_yaml import read_yaml

MAX_LIST_BYTES = 2**26  # a million paths
_VALIDATION = ("val", "valid", "validation")  # names of one split
_SPLITS = ("train", "test", *_VALIDATION)
# Keys of yaml files that are no splits.
_OTHER_KEYS = ("names", "nc", "path", "download", "roboflow", "kpt_shape", "flip_idx")
_DARKNET = "data/"  # paths in obj.data start at the folder of darknet, in which the data set is `data`


class Description(NamedTuple):
    """What a YOLO data set consists of.

    Attributes:
        path: the file that says so, for messages.
        root: the data set's folder.
        names: class names, in the order of YOLO's class ids.
        splits: {split: path of a folder of images or of a list of images, relative to `root`, or several}.
    """

    path: Path
    root: Path
    names: tuple[str, ...]
    splits: dict[str, object]

    def entries(self, split: str) -> list[str]:
        """The paths of a split. `val`, `valid` and `validation` are the same split.

        Raises:
            ValueError: if there is no such split, or if it is not a path or a list of paths; lists those that
                are there.
        """
        same = (split, *_VALIDATION) if split in _VALIDATION else (split,)
        value = next((self.splits[name] for name in same if name in self.splits), None)
        entries = value if isinstance(value, list) else [value]
        if not all(isinstance(entry, str) and entry for entry in entries):
            there = printable(", ".join(self.splits), 200) or "none"
            hint = "" if split in self.splits else did_you_mean(split, self.splits)
            raise ValueError(
                f"{self.path}: the split {split} must be a path or a list of paths, got {quoted(value)}; the "
                f"splits of the file are: {there}{hint}"
            )
        return entries


def read_description(path: str | os.PathLike[str]) -> Description:
    """Reads a yaml file, CVAT's and darknet's obj.data, a classes.txt, or a folder with one of these.

    Raises:
        FileNotFoundError: if there is no such file, or none of them in the folder.
        ValueError: for a broken file; names it.
    """
    path = _file_in(Path(path)) if Path(path).is_dir() else Path(path)
    if path.suffix == ".data":
        return _read_darknet(path)
    if path.suffix in (".txt", ".names"):
        return _beside_names(path)
    return _read_yaml(path)


def _file_in(folder):
    found = [folder / "data.yaml"] if (folder / "data.yaml").is_file() else _yaml_files(folder)
    if len(found) > 1:
        several = ", ".join(path.name for path in found)
        raise ValueError(f"{folder}: several yaml files have `names`: {several}; pass one of them")
    found += sorted(folder.glob("*.data"))
    found += [folder / name for name in ("classes.txt", "obj.names") if (folder / name).is_file()]
    if not found:
        raise FileNotFoundError(
            f"{folder}: no YOLO data set: no data.yaml or other yaml file with `names`, no obj.data, and no "
            "classes.txt with the names of the classes"
        )
    return found[0]


def _yaml_files(folder):
    found = []
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        try:
            content = read_yaml(path)
        except (OSError, ValueError):
            continue  # another file, of which nothing is expected
        if isinstance(content, dict) and "names" in content:
            found.append(path)
    return found


def _read_yaml(path):
    content = read_yaml(path)
    if not isinstance(content, dict):
        got = type(content).__name__
        raise ValueError(f"{path}: expected keys such as names and train, got {got}")
    if "kpt_shape" in content:
        raise ValueError(f"{path}: kpt_shape: labels with key points are not supported; export boxes")
    root = _root(content.get("path"), path)
    splits = {
        key: value
        for key, value in content.items()
        if value is not None and (key in _SPLITS or (key not in _OTHER_KEYS and _is_path(root, value)))
    }
    return Description(path, root, _yaml_names(content, path), splits)


def _is_path(root, value):
    """Whether the value of any key is a path or paths, so that the key is a split."""
    entries = value if isinstance(value, list) else [value]
    return bool(entries) and all(isinstance(e, str) and e and _exists(root / e) for e in entries)


def _yaml_names(content, path):
    names = content.get("names")
    if isinstance(names, dict):
        ids = [int(key) if re.fullmatch("[0-9]{1,6}", key) else key for key in names]
        if set(ids) != set(range(len(ids))):
            raise ValueError(f"{path}: names: expected the class ids 0..{len(ids) - 1}, got {ids}")
        names = [name for _, name in sorted(zip(ids, names.values(), strict=True), key=lambda pair: pair[0])]
    if not isinstance(names, list):
        raise ValueError(f"{path}: names must be a list or a dictionary of class names, got {quoted(names)}")
    for name in names:
        if not isinstance(name, str):
            raise ValueError(f"{path}: names: {quoted(name)} is not a name; quote the word 'null'")
    return _checked(names, content.get("nc"), path)


def _checked(names, count, path):
    """The names as a tuple, without spaces around them."""
    names = tuple(name.strip() for name in names)
    for i, name in enumerate(names):
        check_name(name, path, f"names: the name of class {i}")
        if name in names[:i]:
            raise ValueError(f"{path}: names: {quoted(name)} occurs more than once")
    if not names:
        raise ValueError(f"{path}: names: there are no class names")
    if count is not None and count != str(len(names)):
        raise ValueError(
            f"{path}: the number of classes is {quoted(count)}, but there are {len(names)} names"
        )
    return names


def _root(value, data_yaml):
    """The data set's folder. A relative path may start at one of three folders, as in Ultralytics."""
    folder = normal_path(data_yaml).parent
    if value is None:
        return folder
    if not isinstance(value, str):
        raise ValueError(f"{data_yaml}: path must be the path of a folder, got {quoted(value)}")
    places = dict.fromkeys(normal_path(start / value) for start in (folder, Path.cwd(), folder.parent))
    for place in places:
        if is_folder(place):
            return place
    looked = ", ".join(printable(place, 200) for place in places)
    raise FileNotFoundError(
        f"{data_yaml}: path: there is no folder {quoted(value)}; looked for {looked}. A relative path starts "
        "at the yaml file's folder, the working directory, or the folder above the yaml file's"
    )


def _read_darknet(path):
    """obj.data, lines of `key = value`. The keys but `names`, `classes` and `backup` are splits."""
    root, content = normal_path(path).parent, {}
    for i, line in enumerate(read_text(path, MAX_LIST_BYTES).splitlines(), 1):
        key, equals, value = (part.strip() for part in line.partition("="))
        if line.strip() and not (key and equals):
            raise ValueError(f"{path}, line {i}: expected `key = value`, got {quoted(line)}")
        if line.strip():
            content[key] = value
    if not content.get("names"):
        raise ValueError(f"{path}: no line `names = ...` with the file of the class names")
    splits = {key: moved(root, content[key]) for key in _SPLITS if content.get(key)}
    file = normal_path(root / moved(root, content["names"]))
    if not file.is_relative_to(root):
        raise ValueError(f"{path}: names: {printable(file, 300)} is not in the data set's folder {root}")
    if not is_file(file):
        raise FileNotFoundError(f"{path}: names: there is no file {printable(file, 300)}")
    return Description(path, root, _listed_names(file, content.get("classes")), splits)


def _exists(path):
    return is_file(path) or is_folder(path)


def moved(root: Path, path: str) -> str:
    """A path of a darknet data set. If it is not there, but without `data/` in front it is, then that."""
    inside = path.removeprefix(_DARKNET)
    return inside if inside != path and not _exists(root / path) and _exists(root / inside) else path


def _beside_names(path):
    """The description of a folder with a list of class names, as Label Studio and LabelImg write it."""
    root = normal_path(path).parent
    images = root / "images"
    folders = sorted(p.name for p in images.iterdir() if p.is_dir()) if images.is_dir() else []
    splits = {name: f"images/{name}" for name in folders if name in _SPLITS}
    return Description(
        path, root, _listed_names(path, None), splits or {"train": "images" if images.is_dir() else "."}
    )


def _listed_names(path, count):
    """Class names, one a line. Empty lines at the end do not count."""
    return _checked(read_text(path, MAX_LIST_BYTES).rstrip().splitlines(), count, path)
