"""Writes pictures and videos with the detections drawn on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from ..data_generator import read_image
from ..files import atomic
from .detections import Detections
from .drawing import draw_detections
from .video import video_writer

_JPEG = (".jpg", ".jpeg")


@contextmanager
def drawing(folder: Path, overwrite: bool) -> Iterator[Callable[..., None]]:
    """Yields a function of a `Source` and its `Detections` that writes the picture, or the next frame.

    Args:
        folder: path of the folder; created if necessary.
        overwrite: whether to replace files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as open_video:
        yield _Drawing(folder, overwrite, open_video).write


class _Drawing:
    def __init__(self, folder, overwrite, open_video):
        self.folder, self.overwrite, self.open_video = folder, overwrite, open_video
        self.names = set()
        self.video, self.append = None, None

    def write(self, source, detections):
        image = draw_detections(_pixels(detections), detections)
        if source.frame is None:
            target = self._target(source.path, ".jpg" if _suffix(source.path) in _JPEG else ".png")
            _write_picture(image, target, self.overwrite)
            return
        if self.video != source.path:
            self.open_video.close()  # completes the one before
            self.video = source.path
            target = self._target(source.path, ".mp4")
            size = image.shape[1::-1]
            self.append = self.open_video.enter_context(
                video_writer(target, source.fps, size, self.overwrite)
            )
        self.append(image)

    def _target(self, path, suffix):
        """A path that no other picture has; `a.jpg` of a second folder becomes `a-2.jpg`."""
        stem = f"camera{path}" if isinstance(path, int) else Path(path).stem
        name, number = f"{stem}{suffix}", 1
        while name in self.names:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self.names.add(name)
        target = self.folder / name
        if not isinstance(path, int) and target.exists() and target.samefile(path):
            raise ValueError(f"{path}: would be replaced by its own drawing; choose another output folder")
        return target


def _suffix(path):
    return Path(path).suffix.lower()


def _pixels(detections: Detections) -> np.ndarray:
    image = detections.image
    source = image if isinstance(image, str) else partial(np.asarray, image)
    return read_image(source, **detections.pixels._asdict())


def _write_picture(image, target, overwrite):
    is_written, data = cv2.imencode(target.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not is_written:
        raise OSError(f"{target}: OpenCV cannot encode the picture")
    with atomic(target, overwrite) as partial_file:
        partial_file.write_bytes(data.tobytes())
