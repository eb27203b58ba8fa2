"""Time to encode the objects of an image, and anchors for each object, with both matchings of the encoder.

python benchmarks/matching.py
"""

import argparse
import time

import numpy as np
from timing import report

import multibox as mb

ANCHORS = mb.anchors.SSD300_VOC


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100)
    args = parser.parse_args()

    rows = []
    for objects in (1, 10, 40):
        paper = measure("paper", objects, args.images)
        for name, found in (("paper", paper), ("atss", measure("atss", objects, args.images))):
            ratio = {"time / paper": found["microseconds"] / paper["microseconds"]}
            rows.append({"matching": name, "objects": objects} | found | ratio)
    report("encoding with the anchors of SSD300", rows, images=args.images)


def measure(matching, objects, images):
    """Median time of an image, and mean number of anchors of an object."""
    encoder, rng = mb.GroundTruthEncoder(ANCHORS, 1, matching=matching, sparse=True), np.random.default_rng(0)
    labels, times, anchors = np.ones(objects, int), [], 0
    for _ in range(images):
        boxes = random_boxes(rng, objects)
        start = time.perf_counter()
        targets = encoder(boxes, labels)
        times.append(time.perf_counter() - start)
        anchors += int((targets[:, 4] == 1).sum())
    return {"microseconds": np.median(times) * 1e6, "anchors of an object": anchors / images / objects}


def random_boxes(rng, count):
    """(count, 4) xyxy, relative, sides from 0.05 to 0.5 of the image."""
    sides = np.exp(rng.uniform(np.log(0.05), np.log(0.5), (count, 2)))
    centers = rng.uniform(sides / 2, 1 - sides / 2)
    return np.concatenate([centers - sides / 2, centers + sides / 2], axis=1)


if __name__ == "__main__":
    main()
