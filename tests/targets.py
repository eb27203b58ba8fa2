"""Training targets written by hand."""

import numpy as np


def target(anchors, classes, objects=(), neutral=()):
    """Targets (anchors, 4 + classes), where class 0 is background.

    Args:
        anchors: number of anchors.
        classes: number of classes, background included.
        objects: {anchor: (class, offsets)}. The other anchors are background unless they are neutral.
        neutral: indices of the neutral anchors.
    """
    rows = np.zeros((anchors, 4 + classes), np.float32)
    rows[:, 4] = 1
    for anchor, (label, offsets) in dict(objects).items():
        rows[anchor] = 0
        rows[anchor, :4] = offsets
        rows[anchor, 4 + label] = 1
    rows[list(neutral), 4:] = 0
    return rows
