"""Times of the evaluators, relative to plain loops and, where they are installed, to other packages.

    python benchmarks/evaluation.py

The data set has the size of VOC 2007 test. `evaluate_voc` has 200 detections an image. Its reference takes
one detection at a time, as the devkit does, and a tenth of the images. The evaluators of COCO have 100
detections an image, most of them near objects. pycocotools, faster-coco-eval and hotcoco take part if they
can be imported.
"""

import argparse
import contextlib
import importlib
import io
import time

import numpy as np
from timing import report

import multibox as mb
from multibox.boxes import iou
from multibox.data_generator import Record

CLASSES, OBJECTS, VOC_DETECTIONS, COCO_DETECTIONS = 20, 3, 200, 100
# {package: (module of COCO, module and name of the evaluator)}
OTHERS = {
    "pycocotools": ("pycocotools.coco", "pycocotools.cocoeval", "COCOeval"),
    "faster-coco-eval": ("faster_coco_eval", "faster_coco_eval", "COCOeval_faster"),
    "hotcoco": ("hotcoco", "hotcoco", "COCOeval"),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4952)
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    dataset = mb.DetectionDataset(mb.VOC_CLASSES, [random_record(rng, i) for i in range(args.images)])
    compare_voc([random_detections(rng) for _ in dataset], dataset)
    compare_coco([near_detections(rng, record) for record in dataset], dataset)


def compare_voc(detections, dataset):
    few = len(dataset) // 10
    seconds, result = timed(mb.evaluate_voc, detections, dataset)
    plain_seconds, plain = timed(plain_map, detections[:few], dataset[:few])
    rows = [row("evaluate_voc", len(dataset), seconds), row("plain loops", few, plain_seconds)]
    same = mb.evaluate_voc(detections[:few], dataset[:few]).mean_average_precision
    report("VOC evaluation", rows, mAP=result.mean_average_precision, difference=abs(same - plain))


def compare_coco(detections, dataset):
    count = len(dataset)
    seconds, result = timed(mb.evaluate_coco, detections, dataset)
    rows = [row("evaluate_coco", count, seconds)]
    seconds, _ = timed(mb.confidence_intervals, result)
    rows.append(row("confidence_intervals, 1000 samples", count, seconds))
    differences = {}
    for name in OTHERS:
        with contextlib.suppress(ImportError):
            seconds, numbers = timed(others_numbers, name, detections, dataset)
            rows.append(row(name, count, seconds))
            differences[name] = float(np.abs(np.array(numbers) - list(result.numbers.values())).max())
    report("COCO evaluation", rows, AP=result.numbers["AP"], differences=differences)


def row(what, images, seconds):
    return {"what": what, "images": images, "seconds": seconds, "us per image": 1e6 * seconds / images}


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
    labels, scores = rng.integers(1, CLASSES + 1, VOC_DETECTIONS), rng.random(VOC_DETECTIONS)
    return np.column_stack([labels, scores, random_boxes(rng, VOC_DETECTIONS)])


def near_detections(rng, record):
    """Detections of which seven of ten are objects whose sides are moved a little."""
    near = rng.integers(0, OBJECTS, COCO_DETECTIONS * 7 // 10)
    shift = rng.normal(0, 4, (len(near), 4))
    low_high = np.sort((record.boxes[near] + shift).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    labels = rng.integers(1, CLASSES + 1, COCO_DETECTIONS)
    labels[: len(near)] = record.labels[near]
    boxes = np.concatenate([low_high, random_boxes(rng, COCO_DETECTIONS - len(near))])
    return np.column_stack([labels, rng.random(COCO_DETECTIONS), boxes])


def others_numbers(name, detections, dataset):
    """The twelve numbers of another package, which is given lists of dictionaries as from a JSON file."""
    module, evaluator_module, evaluator = OTHERS[name]
    make = importlib.import_module(module).COCO
    truth = {
        "info": {},
        "images": [{"id": i, "width": r.width, "height": r.height} for i, r in enumerate(dataset, 1)],
        "categories": [{"id": i, "name": n} for i, n in enumerate(dataset.class_names, 1)],
        "annotations": [
            item | {"area": item["bbox"][2] * item["bbox"][3], "iscrowd": 0, "id": number}
            for number, item in enumerate(items(dataset, lambda r: (r.labels, r.boxes)), 1)
        ],
    }
    found = list(items(detections, lambda rows: (rows[:, 0], rows[:, 2:])))
    for item, score in zip(found, np.concatenate(detections)[:, 1].tolist(), strict=True):
        item["score"] = score
    with contextlib.redirect_stdout(io.StringIO()):
        if name == "pycocotools":
            coco = make()
            coco.dataset = truth
            coco.createIndex()
        else:
            coco = make(truth)
        evaluation = getattr(importlib.import_module(evaluator_module), evaluator)(
            coco, coco.loadRes(found), "bbox"
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return list(evaluation.stats[:12])


def items(images, labels_and_boxes):
    """COCO's dictionaries of labels and boxes."""
    for number, image in enumerate(images, 1):
        labels, boxes = labels_and_boxes(image)
        boxes = np.array(boxes, float)
        boxes[:, 2:] -= boxes[:, :2]
        for label, box in zip(labels.tolist(), boxes.tolist(), strict=True):
            yield {"image_id": number, "category_id": int(label), "bbox": box}


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
