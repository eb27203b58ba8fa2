"""Milliseconds per image from the JPEG file to boxes in pixels, and the share of the network in it.

    python benchmarks/prediction.py --weights detect.tflite --voc VOCdevkit

* "network": the forward pass, which is the reference.
* "detector": the forward pass, decoding and NMS.
* "predict": `model.predict` on images in memory.
* "whole path": read, resize, predict, scale to pixels. With batch 1 one file after the other, otherwise with
  `predict_dataset`, which reads the next files while the network runs.
"""

import cv2
import keras
import numpy as np
from published import model_and_images, parser
from timing import report

import multibox as mb
from multibox.profiling.compiled import time_in_turn

IMAGES = 96


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    args = arguments.parse_args()

    network, dataset = model_and_images(args, IMAGES)
    detector = mb.to_inference(network, max_detections=100)
    size = mb.anchors_of(network).image_size
    batch = np.stack([read(record, size) for record in dataset])

    rows = []
    for batch_size in (1, 8):
        seconds = time_in_turn(functions(network, detector, dataset, batch, batch_size, size), args.rounds)
        for what, value in seconds.items():
            times = value / seconds["network"]
            rows.append(
                {"batch": batch_size, "what": what, "ms an image": 1e3 * value / IMAGES, "times": times}
            )
    report("prediction of SSD MobileNet, 20 classes", rows, backend=keras.backend.backend())


def read(record, size):
    return cv2.resize(mb.read_image(record.image), size[::-1])


def functions(network, detector, dataset, batch, batch_size, size):
    """{name: function that processes all images}."""

    def by_batch(model):
        return lambda: [
            model.predict_on_batch(batch[i : i + batch_size]) for i in range(0, IMAGES, batch_size)
        ]

    def one_after_the_other():
        for record in dataset:
            rows = detector.predict_on_batch(read(record, size)[None])[0]
            mb.to_pixels(rows, record.width, record.height)

    whole = one_after_the_other
    if batch_size > 1:
        whole = lambda: mb.predict_dataset(detector, dataset, batch_size, progress=False)  # noqa: E731
    return {
        "network": by_batch(network),
        "detector": by_batch(detector),
        "predict": lambda: detector.predict(batch, batch_size, verbose=0),
        "whole path": whole,
    }


if __name__ == "__main__":
    main()
