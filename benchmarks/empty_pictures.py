"""What pictures without objects teach under each rule of hard negative mining.

    python benchmarks/empty_pictures.py shapes --seeds 0 1 2
    python benchmarks/empty_pictures.py cells --voc bccd --seeds 0 1 2

Two data sets in which a third of the training images has no object:

* `shapes`: SSD7 from scratch learns circles and squares. Triangles and stars, which look like objects, occur
  only in the images without objects.
* `cells`: SSD MobileNet, pretrained on COCO, learns blood cells (BCCD in VOC layout). The images without
  objects are the largest squares without a cell in images of the same split.

For each rule and seed a line of JSON is printed and appended to `--log`:

* `mAP`: of the test images with objects (VOC, area), without the others.
* `false alarms`: share of the test images without objects that have a detection with a score above 0.5, and
  number of such detections in each of these images.

The table shows the means over the seeds and their range. A run of `shapes` takes about four minutes on two
CPU cores, one of `cells` about ten.
"""

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path

import keras
import numpy as np
from timing import report

import multibox as mb
from multibox.anchors import ssd7_anchors
from multibox.data_generator import Flip
from multibox.demo import IMAGE_SIZE, SCALES

MIN_SCORE = 0.5
RULES = {
    "in each image (the paper's)": partial(mb.SSDLoss, mining="paper"),
    "in each image, at least 3": partial(mb.SSDLoss, mining="paper", min_negatives=3),
    "in each image, at least 10": partial(mb.SSDLoss, mining="paper", min_negatives=10),
    "in all images": partial(mb.SSDLoss, mining="all_images"),
    "in the batch": partial(mb.SSDLoss, mining="batch"),
    "focal loss, alpha 0.75": lambda activation: mb.SSDFocalLoss(alpha=0.75),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=("shapes", "cells"))
    parser.add_argument("--voc", help="for cells: folder in VOC layout")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES), metavar="RULE")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--every", type=int, default=1, help="take each n-th image only, to try the script")
    parser.add_argument("--log", type=Path, default=Path("empty_pictures.jsonl"))
    args = parser.parse_args()
    train_set, test_set, build = shapes() if args.data == "shapes" else cells(args.voc)
    train_set, test_set = train_set[:: args.every], test_set[:: args.every]
    for seed in args.seeds:
        for rule in args.rules:
            keras.utils.set_random_seed(seed)
            model, options = build()
            activation = mb.activation_of(model)
            if "focal" in rule and activation != "sigmoid":
                continue
            with tempfile.TemporaryDirectory() as folder:
                loss = RULES[rule](activation=activation)
                mb.train(
                    model, train_set, folder, epochs=args.epochs, loss=loss, seed=seed, verbose=0, **options
                )
            line = {"data": args.data, "rule": rule, "seed": seed, "epochs": args.epochs}
            line |= scores(model, test_set)
            with args.log.open("a") as log:
                log.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
    report("images without objects", table(args.log, args.data), images=len(train_set))


def shapes(num_train=12000, num_test=3000):
    """(training images, test images, function that builds the model)."""
    train_set, test_set = (_lookalikes(n, seed) for n, seed in ((num_train, 0), (num_test, 1)))

    def build():
        model = mb.SSD7(
            class_names=train_set.class_names, anchors=ssd7_anchors(IMAGE_SIZE, SCALES), weight_decay=1e-4
        )
        augmentation = mb.SampleTransform(IMAGE_SIZE, (Flip(),))
        return model, {"augmentation": augmentation}

    return train_set, test_set, build


def _lookalikes(number, seed):
    """Images with circles and squares only, and half as many with triangles and stars only, unlabeled."""
    drawn = mb.load_shapes(number, IMAGE_SIZE, seed)
    objects = [r for r in drawn if r.labels.max() <= 2]
    empty = [r for r in drawn if r.labels.min() > 2][: len(objects) // 2]
    return mb.DetectionDataset(drawn.class_names, objects + empty, drawn.name).subset(("circle", "square"))


def cells(voc):
    """(training images, test images, function that builds the model)."""
    train, val, test = (mb.load_voc(voc, s, progress=False) for s in ("train", "val", "test"))
    train_set, test_set = _with_tiles(train), _with_tiles(val + test)

    def build():
        return mb.pretrained("ssd_mobilenet_coco", train_set.class_names), {}

    return train_set, test_set, build


def _with_tiles(dataset):
    tiles = []
    for record in dataset:
        square = _largest_free_square(record)
        if square is not None:
            x, y, side = square
            none = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
            read = partial(_tile, str(record.image), x, y, side)
            tiles.append(mb.Record(f"{record.image_id}-tile", read, side, side, *none))
    return mb.DetectionDataset(dataset.class_names, [*dataset, *tiles], dataset.name)


def _tile(path, x, y, side):
    return np.ascontiguousarray(mb.read_image(path)[y : y + side, x : x + side])


def _largest_free_square(record, step=10, least=120):
    """(x, y, side) in pixels, multiples of `step`, of the largest square that touches no box; or None."""
    rows, columns = record.height // step, record.width // step
    taken = np.zeros((rows, columns), bool)
    for xmin, ymin, xmax, ymax in record.boxes:
        taken[int(ymin // step) : int(-(-ymax // step)), int(xmin // step) : int(-(-xmax // step))] = True
    for side in range(min(rows, columns), least // step - 1, -1):
        windows = np.lib.stride_tricks.sliding_window_view(taken, (side, side)).any(axis=(2, 3))
        if not windows.all():
            y, x = np.argwhere(~windows)[0]
            return int(x) * step, int(y) * step, side * step
    return None


def scores(model, dataset):
    """mAP of the images with objects, false alarms in those without."""
    objects, empty = (
        mb.DetectionDataset(dataset.class_names, [r for r in dataset if bool(len(r.labels)) == wanted])
        for wanted in (True, False)
    )
    detections = mb.predict_dataset(model, objects, progress=False)
    result = mb.evaluate_voc(detections, objects, metric="area")
    alarms = np.array(
        [(rows[:, 1] > MIN_SCORE).sum() for rows in mb.predict_dataset(model, empty, progress=False)]
    )
    return {
        "mAP": result.mean_average_precision,
        "empty images with false alarms": float((alarms > 0).mean()),
        "false alarms in each": float(alarms.mean()),
    }


def table(log, data):
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    rows = []
    for rule in RULES:
        runs = [line for line in lines if (line["rule"], line["data"]) == (rule, data)]
        if runs:
            figures = {
                key: _text([run[key] for run in runs])
                for key in ("mAP", "empty images with false alarms", "false alarms in each")
            }
            rows.append({"rule": rule, "seeds": len(runs), **figures})
    return rows


def _text(values):
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
