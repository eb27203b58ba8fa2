"""Time of `evaluate_voc`, relative to plain loops, on data of the size of VOC 2007 test.

    python benchmarks/evaluation.py

Each image has 200 detections. The reference processes one detection at a time, as the devkit does, and runs
on a tenth of the images.
"""

import argparse
import time

import numpy as np
from timing import report

import multibox as mb
from multibox.boxes import iou
from multibox.data_generator import Record

CLASSES, OBJECTS, DETECTIONS = 20, 3, 200


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4952)
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    dataset = mb.DetectionDataset(mb.VOC_CLASSES, [random_record(rng, i) for i in range(args.images)])
    detections = [random_detections(rng) for _ in dataset]
    few = args.images // 10

    seconds, result = timed(mb.evaluate_voc, detections, dataset)
    rows = [
        {
            "what": "evaluate_voc",
            "images": args.images,
            "seconds": seconds,
            "us per image": 1e6 * seconds / args.images,
        }
    ]
    seconds, plain = timed(plain_map, detections[:few], dataset[:few])
    rows.append(
        {"what": "plain loops", "images": few, "seconds": seconds, "us per image": 1e6 * seconds / few}
    )
    same = mb.evaluate_voc(detections[:few], dataset[:few]).mean_average_precision
    report("VOC evaluation", rows, mAP=result.mean_average_precision, difference=abs(same - plain))


def timed(function, *args):
    start = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - start, result


def random_boxes(rng, count):
    low = rng.uniform(0, 400, (count, 2))
    return np.concatenate([low, low + rng.uniform(20, 100, (count, 2))], axis=1).astype(np.float32)


def random_record(rng, index):
    flags = np.zeros(OBJECTS, bool)
    labels = rng.integers(1, CLASSES + 1, OBJECTS)
    return Record(str(index), "", 500, 500, random_boxes(rng, OBJECTS), labels, flags, flags)


def random_detections(rng):
    labels, scores = rng.integers(1, CLASSES + 1, DETECTIONS), rng.random(DETECTIONS)
    return np.column_stack([labels, scores, random_boxes(rng, DETECTIONS)])


def plain_map(detections, dataset):
    """Computes the 11-point mAP by the rules of the devkit, one detection at a time."""
    averages = []
    for label in range(1, CLASSES + 1):
        rows = [(score, i, box) for i, d in enumerate(detections) for c, score, *box in d if c == label]
        found, right = set(), []
        for _, i, box in sorted(rows, key=lambda row: -row[0]):
            record = dataset[i]
            mine = np.flatnonzero(record.labels == label)
            overlaps = iou(np.array([box]), record.boxes[mine])[0] if mine.size else np.zeros(1)
            hit = (i, overlaps.argmax())
            right.append(overlaps.max() > 0.5 and hit not in found)
            found.update([hit] if right[-1] else [])
        right = np.cumsum(right)
        recall = right / sum((r.labels == label).sum() for r in dataset)
        precision = right / np.arange(1, len(right) + 1)
        at = [precision[recall >= t].max(initial=0) for t in np.linspace(0, 1, 11)]
        averages.append(np.mean(at))
    return float(np.mean(averages))


if __name__ == "__main__":
    main()
