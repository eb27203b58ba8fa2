"""Milliseconds for an image on one core: decoding alone, the whole training path, its parts.

    python benchmarks/data_pipeline.py --voc VOCdevkit --set train

The reference is decoding alone (`cv2.imdecode` of the same files, already in memory).
"""

import argparse

import cv2
import numpy as np
from timing import report, time_in_turn

import multibox as mb
from multibox.data_generator.images import read_image


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voc", required=True, help="folder that holds VOC2007")
    parser.add_argument("--set", default="train", help="image set of VOC2007")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    cv2.setNumThreads(1)
    dataset = mb.load_voc(args.voc, [("2007", args.set)], progress=False)[: args.images]
    encoder = mb.GroundTruthEncoder(mb.anchors.SSD300_VOC, dataset.num_classes)
    files = [np.fromfile(record.image, np.uint8) for record in dataset]
    full = mb.DataGenerator(dataset, 32, mb.ssd_train(), encoder, workers=0)
    images_only = mb.DataGenerator(dataset, 32, mb.ssd_train(), workers=0)
    whole = mb.DataGenerator(dataset, 32, mb.ssd_eval(), workers=0)
    views = [a for i in range(len(images_only)) for a in images_only[i][1]]
    out = np.empty(encoder.target_shape, np.float32)

    seconds = time_in_turn(
        {
            "decode (cv2.imdecode)": lambda: drain(cv2.imdecode(f, cv2.IMREAD_COLOR_RGB) for f in files),
            "read_image": lambda: drain(read_image(record.image) for record in dataset),
            "DataGenerator, ssd_eval": lambda: drain(whole[i] for i in range(len(whole))),
            "DataGenerator, ssd_train": lambda: drain(images_only[i] for i in range(len(images_only))),
            "DataGenerator, ssd_train + encoder": lambda: drain(full[i] for i in range(len(full))),
            "GroundTruthEncoder": lambda: drain(encoder(v["boxes"], v["labels"], out=out) for v in views),
        },
        args.rounds,
    )
    decode = seconds["decode (cv2.imdecode)"]
    rows = [
        {
            "what": what,
            "ms per image": 1e3 * value / len(dataset),
            "images per second": len(dataset) / value,
            "times decoding": value / decode,
        }
        for what, value in seconds.items()
    ]
    report("data pipeline, one core", rows, images=len(dataset))


def drain(items):
    """Makes all items and keeps none, as a training does."""
    for _ in items:
        pass


if __name__ == "__main__":
    main()
