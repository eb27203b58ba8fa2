"""Runs a detector in a .tflite file on pictures. Needs NumPy, OpenCV and LiteRT (the package ai-edge-litert).

    python detect.py model.tflite street.jpg

The file is also a ZIP archive. It holds the anchors, the names of the classes and the thresholds.
"""

import io
import json
import sys
import zipfile

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

MAX_LOG_SIDE = np.log(1000 / 16)  # as in the training; keeps the exponential finite
FIRST = 1000  # candidates of the first attempt: mostly enough, and much faster than all
MAX_MEMBER = 64 << 20  # bytes


class Detector:
    """A detector: `detector(image)` finds objects in an RGB picture (rows, columns, 3) uint8 of any size.

    Attributes:
        about: what the file says about itself: image_size (height, width), class_names, ...
    """

    def __init__(self, path, num_threads=None):
        with zipfile.ZipFile(path) as archive:
            self.about = json.loads(_member(archive, "about.json"))
            self.anchors = np.load(io.BytesIO(_member(archive, "anchors.npy")), allow_pickle=False)
        self.interpreter = Interpreter(model_path=str(path), num_threads=num_threads)
        self.runner = self.interpreter.get_signature_runner()

    def __call__(self, image):
        """Rows (n, 6) [class_id, score, xmin, ymin, xmax, ymax] in pixels, best first. Ids begin at 1."""
        height, width = self.about["image_size"]
        rows = self.rows(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))
        rows[:, 2:] = np.clip(rows[:, 2:], 0, 1) * (image.shape[1::-1] * 2)
        return rows

    def rows(self, image):
        """Likewise for an image of the network's size, with coordinates from 0 to 1, not clipped."""
        found = self.runner(images=image[None])
        return self.decode(found["offsets"][0], found["logits"][0])

    def decode(self, offsets, logits):
        """Rows (n, 6) of what the network predicts: offsets (anchors, 4), logits (anchors, 1 + classes)."""
        about = self.about
        scores = _softmax(logits) if about["activation"] == "softmax" else _sigmoid(logits)
        scores = scores[:, 1:]  # without the background
        classes = np.arange(scores.shape[1])
        if about["class_agnostic"]:
            classes = scores.argmax(axis=1)
            scores = scores.max(axis=1, keepdims=True)
        anchor, group = np.nonzero(scores > about["confidence_threshold"])
        order = np.argsort(-scores[anchor, group], kind="stable")
        anchor, group = anchor[order], group[order]
        low = _rank(group) < about["max_candidates"]
        anchor, group = anchor[low], group[low]
        boxes, scores = self.boxes(offsets)[anchor], scores[anchor, group]
        kept = _best(boxes, scores, group, about["iou_threshold"], about["max_detections"])
        ids = classes[anchor] if about["class_agnostic"] else classes[group]
        return np.column_stack([ids + 1, scores, boxes])[kept].astype(np.float32)

    def boxes(self, offsets):
        """Boxes (anchors, 4) xmin, ymin, xmax, ymax of offsets: equation 2 of the paper, solved for them."""
        centers, sides = self.anchors[:, :2], self.anchors[:, 2:]
        offsets = offsets * np.asarray(self.about["variances"], np.float32)
        centers = centers + offsets[:, :2] * sides
        half = sides / 2 * np.exp(np.minimum(offsets[:, 2:], MAX_LOG_SIDE))
        return np.hstack([centers - half, centers + half])


def _best(boxes, scores, group, threshold, count):
    """Indices of the first `count` boxes that greedy NMS keeps within each group; best boxes come first."""
    low, high = boxes[:, :2], boxes[:, 2:]
    corners = np.hstack([low, high - low])
    first = FIRST
    while True:
        given = corners[:first], scores[:first], group[:first]
        kept = np.asarray(cv2.dnn.NMSBoxesBatched(*given, 0.0, threshold), int)
        if len(kept) >= count or first >= len(boxes):
            return kept[:count]
        first *= 4


def _rank(group):
    """How many earlier numbers equal each number."""
    order = np.argsort(group, kind="stable")
    _, first, counts = np.unique(group[order], return_index=True, return_counts=True)
    rank = np.empty(len(group), int)
    rank[order] = np.arange(len(group)) - np.repeat(first, counts)
    return rank


def _softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _sigmoid(logits):
    return 1 / (1 + np.exp(-np.maximum(logits, -80)))


def _member(archive, name):
    if archive.getinfo(name).file_size > MAX_MEMBER:
        raise ValueError(f"{name} has more than {MAX_MEMBER} bytes")
    return archive.read(name)


def main(path, *pictures):
    """Prints what is found in pictures."""
    detector = Detector(path)
    names = detector.about["class_names"]
    for picture in pictures:
        image = cv2.imread(picture, cv2.IMREAD_COLOR_RGB)
        for class_id, score, *box in detector(image):
            if score > 0.5:
                name = names[int(class_id) - 1] if names else int(class_id)
                print(picture, name, f"{score:.2f}", *np.round(box).astype(int))


if __name__ == "__main__":
    main(*sys.argv[1:])
