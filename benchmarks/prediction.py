"""Milliseconds per image from the JPEG file to boxes in pixels, and the share of the network in it.

    python benchmarks/prediction.py
    python benchmarks/prediction.py --weights detect.tflite --voc VOCdevkit

Without --voc, the weights are random and the pictures are drawn, 500x375 pixels.

* "network": the forward pass, which is the reference.
* "detector": the forward pass, decoding and NMS, for all scores above 0.01.
* "predict": `model.predict` on images in memory.
* "detect": `mb.detect` with scores from 0.5: read, resize, detect, scale to pixels. With batch 1 one file
  after the other, otherwise a list of files.
* "predict_dataset": the same for all scores above 0.01.
"""

import tempfile
from pathlib import Path

import cv2
import keras
import numpy as np
from published import model_and_images, parser
from timing import report

import multibox as mb
from multibox.profiling.compiled import time_in_turn


def main():
    arguments = parser(__doc__, needs_voc=False)
    arguments.add_argument("--images", type=int, default=96, help="number of images")
    arguments.add_argument("--rounds", type=int, default=5)
    args = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        network, dataset = model_and_images(args, args.images) if args.voc else random_and_drawn(args, folder)
        rows = [row for batch_size in (1, 8) for row in measured(network, dataset, batch_size, args.rounds)]
    title = "prediction of SSD MobileNet, 20 classes"
    report(title, rows, backend=keras.backend.backend(), weights=args.weights if args.voc else "random")


def random_and_drawn(args, folder):
    """A network with random weights, and images of `load_shapes` as JPEG files."""
    keras.utils.set_random_seed(0)
    network = mb.SSDMobileNet(20, alpha=0.75, batch_norm=False)
    drawn = mb.load_shapes(args.images, (375, 500))
    for i, record in enumerate(drawn):
        cv2.imwrite(str(Path(folder) / f"{i:04}.jpg"), record.read()[..., ::-1])
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    records = [mb.Record(p.stem, str(p), 500, 375, *nothing) for p in sorted(Path(folder).iterdir())]
    return network, mb.DetectionDataset([str(i) for i in range(20)], records, "drawn")


def measured(network, dataset, batch_size, rounds):
    """The rows of one batch size."""
    seconds = time_in_turn(functions(network, dataset, batch_size), rounds)
    return [
        {
            "batch": batch_size,
            "what": what,
            "ms an image": 1e3 * value / len(dataset),
            "times": value / seconds["network"],
        }
        for what, value in seconds.items()
    ]


def functions(network, dataset, batch_size):
    """{name: function that processes all images}."""
    detector = mb.to_inference(network, max_detections=100)
    height, width = mb.anchors_of(network).image_size
    files = [record.image for record in dataset]
    batch = np.stack([cv2.resize(mb.read_image(file), (width, height)) for file in files])

    def by_batch(model):
        return lambda: [
            model.predict_on_batch(batch[i : i + batch_size]) for i in range(0, len(batch), batch_size)
        ]

    def detect():
        for i in range(0, len(files), batch_size):
            mb.detect(network, files[i] if batch_size == 1 else files[i : i + batch_size])

    return {
        "network": by_batch(network),
        "detector": by_batch(detector),
        "predict": lambda: detector.predict(batch, batch_size, verbose=0),
        "detect": detect,
        "predict_dataset": lambda: mb.predict_dataset(detector, dataset, batch_size, progress=False),
    }


if __name__ == "__main__":
    main()
