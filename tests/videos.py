"""Makes small videos for tests."""

import cv2
import numpy as np


def write_video(path, count=20, size=(64, 48), fps=12.5):
    """A video whose frames have the gray value 10 times their number, up to 250."""
    codec = cv2.VideoWriter.fourcc(*("MJPG" if path.suffix == ".avi" else "mp4v"))
    writer = cv2.VideoWriter(str(path), codec, fps, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(np.full((size[1], size[0], 3), min(10 * number, 250), np.uint8))
    writer.release()
    return path


def video_facts(path):
    """(number of frames that can be read, (width, height), frames per second)."""
    capture = cv2.VideoCapture(str(path))
    size = tuple(int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    fps, count = capture.get(cv2.CAP_PROP_FPS), 0
    while capture.read()[0]:
        count += 1
    return count, size, fps
