"""What tiles and the mirror image are worth, by the size of the objects, and what they cost.

    python benchmarks/small_objects.py --weights detect.tflite --voc VOCdevkit

SSD MobileNet with COCO weights on Pascal VOC 2007. Reference in the same run: the whole picture
alone.
"""

import time

import keras
from published import model_and_images, parser
from timing import report

import multibox as mb

LOOKS = {
    "whole picture": {},
    "mirrored, too": {"flip": True},
    "tiles 2x2": {"tiles": (2, 2)},
    "tiles 2x2, mirrored, too": {"tiles": (2, 2), "flip": True},
    "tiles 3x3": {"tiles": (3, 3)},
}


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--images", type=int, default=300)
    args = arguments.parse_args()

    model, dataset = model_and_images(args, args.images)
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
