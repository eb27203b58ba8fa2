"""Value and gradient of each box loss for the matched anchors of SSD300 and random boxes.

Says which `localization_weight` makes a loss step as far as smooth L1: the quotient of the mean lengths of
the gradients on the offsets.

python benchmarks/box_losses.py
"""

import argparse

import keras
import numpy as np
from timing import report

import multibox as mb
from multibox.losses import BOX_LOSSES
from multibox.training.gradients import loss_and_gradients

SHARES = (1.0, 0.5, 0.2, 0.1)  # of the error of a network that predicts the anchors
ANCHORS, CLASSES = mb.anchors.SSD300_VOC, 1


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=32)
    args = parser.parse_args()

    encoder = mb.GroundTruthEncoder(ANCHORS, CLASSES)
    rng = np.random.default_rng(0)
    targets = np.stack([encoder(random_boxes(rng), np.ones(4, int)) for _ in range(args.images)])
    rows = []
    for name in BOX_LOSSES:
        loss = mb.SSDLoss(box_loss=name, anchors=ANCHORS, mining="paper")
        for share in SHARES:
            value, gradient = measure(loss, targets, share)
            rows.append({"box loss": name, "errors": share, "value": value, "gradient": gradient})
    for row in rows:
        row["smooth L1 / this"] = rows[SHARES.index(row["errors"])]["gradient"] / row["gradient"]
    report("box losses of matched anchors", rows, backend=keras.backend.backend(), images=args.images)


def random_boxes(rng):
    """(4, 4) xyxy, relative, sides from 0.08 to 0.8 of the image."""
    sides = np.exp(rng.uniform(np.log(0.08), np.log(0.8), (4, 2)))
    centers = rng.uniform(sides / 2, 1 - sides / 2)
    return np.concatenate([centers - sides / 2, centers + sides / 2], axis=1)


def measure(loss, targets, share):
    """Mean value and mean length of the gradient of the matched anchors."""
    model = predictions_as_weights(targets.shape)
    model.compile("sgd", loss)
    offsets = targets[..., :4] * (1 - share)
    predictions = np.concatenate([offsets, np.zeros((*targets.shape[:2], 1 + CLASSES))], axis=-1)
    model.set_weights([predictions.reshape(len(targets), -1)])
    _, (gradient,) = loss_and_gradients(model, np.eye(len(targets), dtype=np.float32), targets)
    positive = targets[..., 5:].max(axis=-1) > 0
    of_positives = gradient.reshape(targets.shape)[positive][:, :4] * positive.sum()  # undo the division
    parts = loss.parts(targets, np.float32(predictions))
    value = float(keras.ops.sum(parts["localization"]))
    return value, float(np.linalg.norm(of_positives, axis=1).mean())


def predictions_as_weights(shape):
    images, anchors, columns = shape
    inputs = keras.Input((images,))
    outputs = keras.layers.Dense(anchors * columns, use_bias=False)(inputs)
    return keras.Model(inputs, keras.layers.Reshape((anchors, columns))(outputs))


if __name__ == "__main__":
    main()
