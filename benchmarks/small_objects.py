"""What tiles and the mirror image are worth, by the size of the objects, and what they cost.

    python benchmarks/small_objects.py --weights detect.tflite --voc VOCdevkit

SSD MobileNet with COCO weights on Pascal VOC 2007. Reference in the same run: the whole picture
alone.
"""

import argparse
import time

import keras
from timing import report

import multibox as mb
from multibox.class_names import COCO_NAMES_BY_ID

LOOKS = {
    "whole picture": {},
    "mirrored, too": {"flip": True},
    "tiles 2x2": {"tiles": (2, 2)},
    "tiles 2x2, mirrored, too": {"tiles": (2, 2), "flip": True},
    "tiles 3x3": {"tiles": (3, 3)},
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="coco", help="the COCO detector's file")
    parser.add_argument("--voc", required=True, help="folder that holds VOC2007")
    parser.add_argument("--set", default="val", help="image set of VOC2007")
    parser.add_argument("--images", type=int, default=300)
    args = parser.parse_args()

    coco = mb.SSDMobileNet(90, alpha=0.75, batch_norm=False, weights=args.weights)
    model = mb.sample_classes(coco, mb.VOC_CLASSES, class_names=COCO_NAMES_BY_ID)
    dataset = mb.load_voc(args.voc, [("2007", args.set)], progress=False)[: args.images]
    mb.predict_dataset(model, dataset[:16], progress=False)  # compiles
    mb.predict_dataset(model, dataset[:16], flip=True, progress=False)
    rows = [measure(name, model, dataset, options) for name, options in LOOKS.items()]
    for row in rows:
        row["times"] = row["ms a picture"] / rows[0]["ms a picture"]
    report("small objects", rows, images=len(dataset), backend=keras.backend.backend())


def measure(name, model, dataset, options):
    start = time.perf_counter()
    found = mb.predict_dataset(model, dataset, progress=False, **options)
    seconds = time.perf_counter() - start
    numbers = mb.evaluate_coco(found, dataset, ignore_difficult=True).numbers
    wanted = {key: numbers[key] for key in ("AP", "AP50", "APs", "APm", "APl")}
    return {"look": name, **wanted, "ms a picture": 1e3 * seconds / len(dataset)}


if __name__ == "__main__":
    main()
