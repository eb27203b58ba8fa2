"""Compares an exported file with Keras."""

from __future__ import annotations

import warnings

import cv2
import keras
import numpy as np
from keras import ops

from ..activations import SCORES
from ..layers import AnchorBoxes, DecodeDetections
from ..layers.multibox import multibox_of

MIN_SCORE = 0.05  # rows with lower scores are not compared
TOLERANCE = 1e-5  # of scores and relative coordinates
ORDERS = 4  # of the anchors, in which equal scores are looked for
ROUNDING = 5e-7  # of offsets (a share) and of scores
# Of offsets and logits, a share of the largest. Graphics processors round what they multiply to 11 bits.
NETWORK_TOLERANCE, NETWORK_TOLERANCE_GPU = 1e-4, 1e-2


class DisagreementError(RuntimeError):
    """A file computes something else than the model that it was made of."""


def check_outputs(
    detector: keras.Model,
    images: np.ndarray,
    predictions: np.ndarray,
    found: np.ndarray,
    *,
    tolerance: float | None = None,
) -> None:
    """Compares what a file makes of images with what Keras makes of them.

    Two detectors whose scores differ by rounding may disagree about which of two equal boxes is the better
    one. Therefore the network's outputs are compared first, and then what both decoders make of the same.

    Args:
        detector: the model that the file was made of. It ends in `DecodeDetections`.
        images: (batch, height, width, channels) uint8.
        predictions: (batch, num_anchors, 4 + 1 + num_classes), offsets and logits of the file's network.
        found: (batch, max_detections, 6), detections of the file.
        tolerance: largest difference of offsets and logits, as a share of the largest; None: that of float32
            numbers.

    Raises:
        DisagreementError: if they disagree; states by how much.
    """
    check_network(detector, images, predictions, tolerance)
    check_decoder(detector, predictions, found)


def check_decoder(detector: keras.Model, predictions: np.ndarray, found: np.ndarray) -> None:
    """The second half of `check_outputs`.

    It is open which of two equal scores is the better one, and suppresses the other. Networks that are not
    trained have many of them. Detections that depend on the order of the anchors are therefore not compared;
    a warning counts them.
    """
    left_out = total = 0
    for values, others in zip(predictions, found, strict=True):
        rows = _decoded(detector, values)
        worst = largest_difference(rows, others)
        total += len(_compared(rows))
        if worst > TOLERANCE and len(open_rows := _open(rows, detector, values)):
            certain = [row for row in _compared(rows) if not (row == open_rows).all(axis=1).any()]
            worst = max((_difference(row, others) for row in certain), default=0.0)
            left_out += len(open_rows)
        if not worst <= TOLERANCE:
            raise _disagreement("detections", worst, TOLERANCE)
    if left_out:
        what = f"{left_out} of {total} detections of the pictures for the check have rivals with equal scores"
        warnings.warn(f"export: {what}, and were not compared; is the network trained?", stacklevel=2)


def check_network(
    detector: keras.Model, images: np.ndarray, predictions: np.ndarray, tolerance: float | None = None
) -> np.ndarray:
    """The first half of `check_outputs`. Returns the predictions of Keras."""
    network = keras.Model(detector.inputs[0], multibox_of(detector).output)
    expected = network.predict_on_batch(images)
    worst = np.abs(expected - predictions).max() / max(1.0, np.abs(expected).max())
    if tolerance is None:
        on_cpu = "cpu" in str(detector.weights[0].value.device).lower()
        tolerance = NETWORK_TOLERANCE if on_cpu else NETWORK_TOLERANCE_GPU
    if not worst <= tolerance:
        raise _disagreement("the network's outputs", worst, tolerance)
    return expected


def noise(shape: tuple[int, ...]) -> np.ndarray:
    """Two images of a (height, width, channels): noise of pixels, and noise of large spots; uint8."""
    height, width, channels = shape
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 256, shape, np.uint8)
    spots = [cv2.resize(rng.integers(0, 256, (8, 8), np.uint8), (width, height)) for _ in range(channels)]
    return np.stack([fine, np.stack(spots, axis=-1)])


def largest_difference(expected: np.ndarray, found: np.ndarray) -> float:
    """How far the rows above `MIN_SCORE` of each list are from the nearest ones of their class in the other.

    Rows as good as the last one of a full list are not compared: rounding decides which of them is there.

    Args:
        expected: (max_detections, 6) of one image, by descending score.
        found: likewise.

    Returns:
        The largest difference of a score, or of a coordinate as a share of it if it is above 1. It is
        infinite if a row has no counterpart.
    """
    pairs = ((expected, found), (found, expected))
    return max((_difference(row, b) for a, b in pairs for row in _compared(a)), default=0.0)


def _compared(rows):
    last = rows[-1, 1] + TOLERANCE if rows[-1, 1] > 0 else 0.0
    return rows[~(rows[:, 1] <= max(MIN_SCORE, last))]  # with the rows that are not a number


def _difference(row, others):
    same = others[others[:, 0] == row[0]]
    if not len(same):
        return np.inf
    return (np.abs(same - row) / np.maximum(np.abs(row), 1))[:, 1:].max(axis=1).min()


def _open(rows, detector, values):
    """The rows that Keras does not find in each order of the anchors, with outputs rounded otherwise."""
    compared = _compared(rows)
    rng, decided = np.random.default_rng(0), np.ones(len(compared), bool)
    for order in [np.arange(len(values))[::-1], *(rng.permutation(len(values)) for _ in range(ORDERS - 1))]:
        others = _decoded(detector, _rounded_otherwise(values, detector, rng), order)
        decided &= [not _difference(row, others) > TOLERANCE for row in compared]  # true of no number
    return compared[~decided]


def _rounded_otherwise(values, detector, rng):
    """Offsets and logits for one image, changed so that offsets and scores change by `ROUNDING` at most."""
    p = ops.convert_to_numpy(SCORES[multibox_of(detector).activation](values[:, 4:]))
    p = np.pad(p, ((0, 0), (values.shape[1] - 4 - p.shape[1], 0)), constant_values=0.5)  # no background
    steps = np.minimum(1, ROUNDING / np.maximum(p * (1 - p), ROUNDING))
    steps = np.concatenate([ROUNDING * np.abs(values[:, :4]), steps], axis=1)
    return values + (rng.uniform(-1, 1, values.shape) * steps).astype("float32")


def _decoded(detector, values, order=slice(None)):
    """The detections that Keras makes of the network's outputs for one image, its anchors in an order."""
    layer = next(layer for layer in detector.layers if isinstance(layer, DecodeDetections))
    anchors = ops.convert_to_numpy(AnchorBoxes(multibox_of(detector).anchors)(values[None]))
    return ops.convert_to_numpy(layer(values[order][None], anchors[:, order]))[0]


def _disagreement(what, worst, limit):
    return DisagreementError(f"{what} differ from those of Keras by {worst:.2g}, expected at most {limit:g}")
