"""Time of `DecodeDetections`, relative to the forward pass of SSD300.

    python benchmarks/decoding.py

* "typical": nearly all anchors are background, as in the predictions of a trained model.
* "crowded": random logits, the worst case. Every class has more candidates than NMS accepts.
"""

import argparse

import keras
import numpy as np
from timing import report

import multibox as mb
from multibox.layers import AnchorBoxes, DecodeDetections
from multibox.profiling.compiled import time_in_turn


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()

    keras.utils.set_random_seed(0)
    model = mb.SSD300(20)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (args.batch, 300, 300, 3)).astype("float32")
    shape = (args.batch, *model.output_shape[1:])
    crowded = rng.normal(size=shape).astype("float32")
    typical = crowded.copy()
    typical[..., 4] += 8

    functions = {"SSD300 forward pass": runner(model, images)}
    for kind, predictions in (("typical", typical), ("crowded", crowded)):
        for fast in (False, True):
            name = f"DecodeDetections, {kind}" + (", class-agnostic" if fast else "")
            functions[name] = runner(decoder(shape, fast), predictions)
    seconds = time_in_turn(functions, args.rounds)
    forward = seconds["SSD300 forward pass"]
    rows = [
        {"what": k, "ms": 1e3 * v, "percent of the forward pass": 100 * v / forward}
        for k, v in seconds.items()
    ]
    report("decoding", rows, backend=keras.backend.backend(), batch=args.batch)


def decoder(shape, class_agnostic):
    predictions = keras.Input(shape[1:])
    anchors = AnchorBoxes(mb.anchors.SSD300_VOC)(predictions)
    return keras.Model(predictions, DecodeDetections(class_agnostic=class_agnostic)(predictions, anchors))


def runner(model, batch):
    return lambda: model.predict_on_batch(batch)


if __name__ == "__main__":
    main()
