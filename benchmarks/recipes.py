"""Trains a recipe with several seeds, and measures its mAP on images that it did not see.

    python benchmarks/recipes.py --data BCCD --judge val test
    python benchmarks/recipes.py --data BCCD --judge val test --change loss=mining box_loss=ciou
    python benchmarks/recipes.py --data BCCD --judge val test --size 480 640 --scales 0.125 0.594 --epochs 40
    python benchmarks/recipes.py --data VOCdevkit --judge val --divide 0.75 --train-on first
    python benchmarks/recipes.py --data raccoon --split none --divide 0.2
    python benchmarks/recipes.py --data BCCD --judge val test --model SSD7 --size 240 320 --recipe modern

`--data` is any folder that `load_dataset` reads. `--divide` divides the training images by
`dataset.split(fraction, seed=0)`, trains on the second part (or the first) and measures on the other, too.
Each run adds a line of JSON to `--log`. The table at the end shows all runs of the log: mean and range of
the seeds.

A run of `finetune` on 205 images of 300x300 takes about four minutes on two CPU cores.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from timing import report

import multibox as mb
from multibox.models.pretrained import DETECTORS

METRICS = ("area", "11_point")


def main():
    args = arguments()
    training = mb.load_dataset(args.data, args.split, progress=False)
    judges = {name: mb.load_dataset(args.data, name, progress=False) for name in args.judge}
    if args.divide:
        parts = training.split(args.divide, seed=0)
        training, judges["held out"] = parts if args.train_on == "first" else reversed(parts)
    recipe = replace(mb.recipes.find_recipe(args.recipe), **dict(args.change))
    for seed in args.seeds:
        clock = time.perf_counter()
        keras.utils.set_random_seed(seed)
        model = build(args, training.class_names, seed)
        output = args.output / f"{args.log.stem}-{time.time_ns()}"
        mb.train(model, training, output, recipe=recipe, epochs=args.epochs, seed=seed, verbose=args.verbose)
        line = {
            "data": " ".join([args.data, *(f"{name}={value}" for name, value in division(args))]),
            "what": " ".join([args.model, args.recipe, *(f"{k}={v}" for k, v in args.change), *sizes(args)]),
            "images": len(training),
            "epochs": args.epochs or recipe.epochs,
            "seed": seed,
            "seconds": round(time.perf_counter() - clock),
            "mAP": {name: scores(model, images) for name, images in judges.items()},
        }
        with args.log.open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
    report("recipes: mAP at IoU 0.5, mean (range)", table(args.log))


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--split", default="train", type=lambda text: None if text == "none" else text)
    parser.add_argument("--judge", nargs="*", default=[], help="splits of the data to measure on")
    parser.add_argument("--divide", type=float, metavar="FRACTION")
    parser.add_argument("--train-on", choices=("first", "second"), default="second")
    parser.add_argument("--model", default="ssd_mobilenet_coco", help="a published detector or a network")
    parser.add_argument("--backbone", help="of SSDLite, with ImageNet's weights")
    parser.add_argument("--size", nargs=2, type=int)
    parser.add_argument("--scales", nargs=2, type=float, help="of SSD MobileNet's anchors, least and largest")
    parser.add_argument("--recipe", default="finetune", choices=mb.recipes.RECIPES)
    parser.add_argument("--change", nargs="*", default=[], type=change, metavar="ATTRIBUTE=VALUE")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--output", type=Path, default=Path("runs"))
    parser.add_argument("--log", type=Path, default=Path("recipes.jsonl"))
    parser.add_argument("--verbose", type=int, default=0)
    args = parser.parse_args()
    if not args.judge and not args.divide:
        parser.error("nothing to measure on: pass --judge or --divide")
    if args.scales and not (args.size and args.model == "ssd_mobilenet_coco"):
        parser.error("--scales needs --size, and is of ssd_mobilenet_coco")
    return args


def change(text):
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def build(args, class_names, seed):
    size = {"image_size": tuple(args.size)} if args.size else {}
    if args.model not in DETECTORS:
        weights = {"backbone": args.backbone, "weights": "imagenet"} if args.backbone else {}
        return getattr(mb, args.model)(class_names=class_names, **size, **weights)
    if args.scales:
        least, largest = args.scales
        size["anchors"] = mb.anchors.ssd_mobilenet_anchors(
            size["image_size"], min_scale=least, max_scale=largest
        )
    return mb.pretrained(args.model, class_names=class_names, seed=seed, **size)


def division(args):
    return [("divide", args.divide), ("train_on", args.train_on)] if args.divide else []


def sizes(args):
    parts = {"backbone": args.backbone, "size": args.size, "scales": args.scales}
    return [f"{name}={value}" for name, value in parts.items() if value]


def scores(model, images):
    """{metric: mAP}."""
    found = mb.predict_dataset(mb.to_inference(model), images, progress=False)
    return {m: mb.evaluate_voc(found, images, metric=m).mean_average_precision for m in METRICS}


def table(log):
    """One row for each training but its seed, images to judge by and metric."""
    groups = {}
    for line in map(json.loads, log.read_text().splitlines()):
        for judge, values in line["mAP"].items():
            for metric, value in values.items():
                key = (line["data"], line["what"], line["images"], line["epochs"], judge, metric)
                groups.setdefault(key, {})[line["seed"]] = value
    names = ("data", "what", "images", "epochs", "judged on", "metric")
    return [
        {
            **dict(zip(names, key, strict=True)),
            "seeds": len(values),
            "mAP": f"{np.mean(values):.3f} ({min(values):.3f} .. {max(values):.3f})",
        }
        for key, values in ((key, list(seeds.values())) for key, seeds in groups.items())
    ]


if __name__ == "__main__":
    main()
