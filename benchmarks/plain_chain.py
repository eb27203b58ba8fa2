"""The paper's augmentation and matching in the straightforward way: the reference of data_pipeline.py.

The steps run one after the other at full resolution: photometric distortion in float, expansion onto a
canvas, a crop that is found by trying one patch at a time, then the resize. The matching compares all
anchors.
"""

import cv2
import numpy as np

from multibox.boxes import encode_offsets, iou
from multibox.matching import match

MEAN = (123, 117, 104)
INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4)


def plain_sample(record, rng, size=(300, 300)):
    """Returns the image (height, width, 3) uint8, relative boxes and labels."""
    image = cv2.imread(record.image, cv2.IMREAD_COLOR_RGB).astype(np.float32)
    boxes, labels = record.boxes.copy(), record.labels
    image = _distort(image, rng)
    image, boxes = _expand(image, boxes, rng)
    image, boxes, labels = _crop(image, boxes, labels, rng)
    if rng.random() < 0.5:
        image = image[:, ::-1]
        boxes[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
    height, width = image.shape[:2]
    image = cv2.resize(image, size[::-1], interpolation=INTERPOLATIONS[rng.integers(5)])
    return np.clip(image, 0, 255).astype(np.uint8), boxes / (width, height, width, height), labels


def plain_targets(boxes, labels, anchors, num_classes):
    """(anchors, 4 + 1 + num_classes) float32."""
    targets = np.zeros((anchors.num_anchors, 5 + num_classes), np.float32)
    targets[:, 4] = 1
    if len(boxes):
        matches = match(iou(boxes, anchors.xyxy), 0.5, 0.5)
        for anchor in np.flatnonzero(matches >= 0):
            item = matches[anchor]
            box, prior = boxes[item : item + 1], anchors.cxcywh[anchor : anchor + 1]
            targets[anchor, :4] = encode_offsets(box, prior, anchors.variances)
            targets[anchor, 4] = 0
            targets[anchor, 4 + labels[item]] = 1
    return targets


def _distort(image, rng):
    if rng.random() < 0.5:
        image = image + rng.uniform(-32, 32)
    contrast_last, contrast = rng.random() < 0.5, rng.uniform(0.5, 1.5) if rng.random() < 0.5 else None
    if contrast is not None and not contrast_last:
        image = (image - 127.5) * contrast + 127.5
    hsv = cv2.cvtColor(np.clip(image, 0, 255) / 255, cv2.COLOR_RGB2HSV)
    if rng.random() < 0.5:
        hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.5, 1.5), 0, 1)
    if rng.random() < 0.5:
        hsv[..., 0] = (hsv[..., 0] + rng.uniform(-36, 36)) % 360
    image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255
    if contrast is not None and contrast_last:
        image = (image - 127.5) * contrast + 127.5
    return np.clip(image, 0, 255)


def _expand(image, boxes, rng):
    if rng.random() < 0.5:
        return image, boxes
    height, width = image.shape[:2]
    ratio = rng.uniform(1, 4)
    top, left = (int(rng.uniform(0, side * ratio - side)) for side in (height, width))
    canvas = np.full((int(height * ratio), int(width * ratio), 3), MEAN, np.float32)
    canvas[top : top + height, left : left + width] = image
    return canvas, boxes + np.array([left, top, left, top], np.float32)


def _crop(image, boxes, labels, rng):
    height, width = image.shape[:2]
    while len(boxes) and (bound := (None, 0.0, 0.1, 0.3, 0.5, 0.7, 0.9)[rng.integers(7)]) is not None:
        for _ in range(50):
            w, h = int(rng.uniform(0.3, 1) * width), int(rng.uniform(0.3, 1) * height)
            if not 0.5 <= w / h <= 2:
                continue
            left, top = int(rng.uniform(0, width - w)), int(rng.uniform(0, height - h))
            patch = np.array([left, top, left + w, top + h], np.float32)
            if iou(patch[None], boxes).max() <= bound:
                continue
            centers = (boxes[:, :2] + boxes[:, 2:]) / 2
            inside = ((centers > patch[:2]) & (centers < patch[2:])).all(axis=1)
            boxes = np.clip(boxes[inside], (left, top) * 2, patch[[2, 3, 2, 3]]) - (left, top, left, top)
            return image[top : top + h, left : left + w], boxes, labels[inside]
    return image, boxes, labels
