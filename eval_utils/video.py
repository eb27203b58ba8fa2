"""Reads and writes videos with OpenCV."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from ..files import atomic, check_regular

# Of a camera or a file that does not state it.
DEFAULT_FPS = 25.0
_CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


class VideoReader:
    """The frames of a video file or a camera.

    Iteration yields (height, width, 3) RGB uint8 arrays. A file whose last frames cannot be read ends with a
    warning that counts them.

    Args:
        source: path of the file, or number of the camera.

    Attributes:
        fps: frames per second.
        count: number of frames as the file states it; None for a camera, or if it does not.

    Raises:
        ValueError: if it cannot be opened or has no frames; names it.
    """

    def __init__(self, source: str | int):
        self.source = source
        if not isinstance(source, int):
            check_regular(source)
        # FFmpeg writes lines of its own for a damaged file; OpenCV reads this when it opens the first one.
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        self._capture = cv2.VideoCapture(source)
        if not self._capture.isOpened():
            what = f"camera {source}" if isinstance(source, int) else source
            raise ValueError(f"{what}: OpenCV cannot open the video")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else DEFAULT_FPS
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if not isinstance(source, int) and 0 < count < 1e9 else None

    def __iter__(self) -> Iterator[np.ndarray]:
        read = 0
        while True:
            is_read, frame = self._capture.read()
            if not is_read:
                break
            read += 1
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        if read == 0:
            raise ValueError(f"{self.source}: no frame of the video could be read")
        if self.count is not None and read < self.count:
            warnings.warn(f"{self.source}: states {self.count} frames, {read} could be read", stacklevel=2)

    def close(self) -> None:
        self._capture.release()


@contextmanager
def video_writer(
    path: str | os.PathLike[str], fps: float, size: tuple[int, int], overwrite: bool = False
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yields a function that appends a frame, (height, width, 3) RGB uint8, to a new video.

    Until the block ends, the file has a temporary name, see `atomic`. OpenCV cuts odd sizes; here the last
    row or column is repeated instead, so that the video is one pixel larger.

    Args:
        path: path of the file, `.mp4` (MPEG-4) or `.avi` (Motion JPEG).
        fps: frames per second.
        size: (width, height) of the frames.
        overwrite: see `atomic`.

    Raises:
        FileExistsError: see `atomic`.
        OSError: if OpenCV cannot write such a file.
        ValueError: (from the function) for a frame of another size.
    """
    codec = cv2.VideoWriter.fourcc(*_CODECS[Path(path).suffix.lower()])
    odd = size[0] % 2, size[1] % 2
    with atomic(path, overwrite) as partial:
        writer = cv2.VideoWriter(str(partial), codec, fps, (size[0] + odd[0], size[1] + odd[1]))

        def write(frame):
            if frame.shape != (size[1], size[0], 3):
                raise ValueError(f"{path}: expected frames of {size[0]}x{size[1]}, got {frame.shape}")
            frame = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
            if any(odd):
                frame = cv2.copyMakeBorder(frame, 0, odd[1], 0, odd[0], cv2.BORDER_REPLICATE)
            writer.write(frame)

        try:
            if not writer.isOpened():
                raise OSError(f"{path}: OpenCV cannot write this video")
            yield write
        finally:
            writer.release()
