"""Finds the pictures, videos and cameras that a user names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from ..data_generator.formats.fields import IMAGE_SUFFIXES, normal_path
from ..data_generator.formats.picture_files import is_picture
from ..files import check_regular, read_text

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")
LIST_SUFFIX = ".txt"
MAX_LIST_BYTES = 2**28


def find_sources(items: Iterable[str | os.PathLike[str] | int]) -> list[str | int]:
    """The paths of pictures and videos, and the numbers of cameras, each once, in the given order.

    Args:
        items: each one of

            * the path of a picture or a video,
            * the path of a folder, whose pictures are taken in the order of their names, except hidden ones,
            * a pattern such as `photos/**/*.jpg`,
            * the path of a text file (`.txt`) that lists paths, one a line, relative to its own folder,
            * the number of a camera.

    Raises:
        FileNotFoundError: for a path that does not exist, a folder or pattern without pictures or videos.
        ValueError: for another kind of file, or a list without paths; names the file and the line.
    """
    found = [source for item in items for source in _sources_of(item)]
    first = {}
    for source in found:
        first.setdefault(source if isinstance(source, int) else normal_path(source), source)
    return list(first.values())


def is_video(source: str | int) -> bool:
    """Whether a source is a video or a camera."""
    return isinstance(source, int) or Path(source).suffix.lower() in VIDEO_SUFFIXES


def _sources_of(item):
    if isinstance(item, int):
        return [item]
    text = os.fspath(item)
    path = Path(text)
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        return _listed(path) if path.suffix.lower() == LIST_SUFFIX else [_checked(path, text)]
    if text.isascii() and text.isdigit():
        return [int(text)]
    if glob.has_magic(text):
        return _matching(text)
    raise FileNotFoundError(f"{text}: no such picture, video, folder or list")


def _in_folder(folder):
    files = sorted(path for path in folder.iterdir() if is_picture(path.name))
    if not files:
        raise FileNotFoundError(
            f"{folder}: no picture in the folder ({', '.join(IMAGE_SUFFIXES)}); "
            f"name videos by themselves, and pictures in its folders as {folder / '**' / '*.jpg'}"
        )
    return list(map(str, files))


def _matching(pattern):
    known = IMAGE_SUFFIXES + VIDEO_SUFFIXES
    files = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).suffix.lower() in known)  # noqa: PTH207
    if not files:
        raise FileNotFoundError(f"{pattern}: no picture or video has such a path")
    return files


def _listed(path):
    files = []
    for number, line in enumerate(read_text(path, MAX_LIST_BYTES).splitlines(), start=1):
        if name := line.strip():
            file = path.parent / name
            if not file.exists():
                raise FileNotFoundError(f"{path}, line {number}: no such picture or video: {file}")
            files.append(_checked(file, f"{path}, line {number}: {file}"))
    if not files:
        raise ValueError(f"{path}: lists no pictures; expected their paths, one a line")
    return files


def _checked(path, where):
    if path.suffix.lower() not in IMAGE_SUFFIXES + VIDEO_SUFFIXES:
        raise ValueError(
            f"{where}: expected a picture ({', '.join(IMAGE_SUFFIXES)}), a video "
            f"({', '.join(VIDEO_SUFFIXES)}) or a list ({LIST_SUFFIX})"
        )
    check_regular(path)
    return str(path)
