"""Compares recipes for fine-tuning SSD MobileNet from COCO's weights, over several seeds.

    python benchmarks/finetuning.py --voc VOCdevkit --weights detect.tflite --seeds 0 1

Each recipe is trained on three quarters of the training images and evaluated twice:

* `held out`: on the other quarter. Choose the recipe by this figure.
* `test`: on the test images, which must not influence the choice.

`--all` trains on all training images; use it for the chosen recipe. Each run prints a line of JSON and
appends it to `--log`. The table at the end shows all runs in the log. A run of twelve epochs on 900 images
takes about five minutes on two CPU cores.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from timing import report

import multibox as mb
from multibox.class_names import COCO_NAMES_BY_ID


@dataclass(frozen=True)
class Recipe:
    """A recipe for fine-tuning.

    Attributes:
        loss: class of the loss, and its arguments.
        rate: highest learning rate. It is reached after a warm-up over a tenth of the steps, and then decays
            as a cosine.
        optimizer: class of the optimizer, and its arguments.
        frozen: name of the last frozen layer; all layers before it are frozen, too. None: no layer is frozen.
        preset: function that returns the augmentation.
    """

    loss: tuple = (mb.SSDFocalLoss, {"alpha": 0.75})
    rate: float = 1e-4
    optimizer: tuple = (keras.optimizers.Adam, {})
    frozen: str | None = None
    preset: callable = mb.ssd_augmentation


MINING = Recipe((mb.SSDLoss, {"activation": "sigmoid"}), rate=3e-4)
RECIPES = {
    "focal loss, 1e-4": Recipe(),
    "focal loss, 3e-4": Recipe(rate=3e-4),
    "mining, 1e-4": replace(MINING, rate=1e-4),
    "mining, 3e-4": MINING,
    "mining, SGD 1e-3": replace(MINING, rate=1e-3, optimizer=(keras.optimizers.SGD, {"momentum": 0.9})),
    "mining, 3e-4, crop and flip only": replace(MINING, preset=mb.ssdlite_augmentation),
    "mining, 3e-4, frozen to conv_pw_11": replace(MINING, frozen="conv_pw_11_activation"),
    "softmax and mining, 3e-4": replace(MINING, loss=(mb.SSDLoss, {})),
}
BATCH_SIZE = 32


class Averages(keras.callbacks.Callback):
    """Averages the weights during training: exponential moving averages, and the mean of the second half."""

    def __init__(self, momenta, steps):
        super().__init__()
        self.momenta, self.half, self.step = momenta, steps // 2, 0
        self.averages = {}

    def on_train_batch_end(self, batch, logs=None):
        weights = self.model.get_weights()
        rules = {f"EMA {m}": m for m in self.momenta}
        if self.step >= self.half:
            rules["mean of the last half"] = 1 - 1 / (self.step - self.half + 1)
        for name, momentum in rules.items():
            old = self.averages.setdefault(name, [w.copy() for w in weights])
            for average, new in zip(old, weights, strict=True):
                average += (1 - momentum) * (new - average)
        self.step += 1


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voc", required=True, help="folder that holds VOC2007")
    parser.add_argument("--train", default="train", help="image set of VOC2007 to train on")
    parser.add_argument("--test", default="val", help="image set of VOC2007")
    parser.add_argument("--weights", default="coco", help="the COCO detector's file")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES), metavar="RECIPE")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--all", action="store_true", help="train on all training images")
    parser.add_argument("--log", type=Path, default=Path("finetuning.jsonl"))
    args = parser.parse_args()

    train_set, test_set = (
        mb.load_voc(args.voc, [("2007", s)], progress=False) for s in (args.train, args.test)
    )
    fit_set, held_out = train_set.split(0.75, seed=0)
    judges = {"held out": held_out, "test": test_set}
    if args.all:
        fit_set, judges = train_set, {"test": test_set}

    start = {name: mean_ap(voc_detector(args.weights, "sigmoid"), images) for name, images in judges.items()}
    for seed in args.seeds:
        for name in args.recipes:
            clock = time.perf_counter()
            scores = run(RECIPES[name], args.epochs, seed, args.weights, fit_set, judges)
            line = {"recipe": name, "seed": seed, "epochs": args.epochs, "images": len(fit_set)}
            line |= {"seconds": round(time.perf_counter() - clock), "start": start, "scores": scores}
            with args.log.open("a") as log:
                log.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
    report("fine-tuning: points of mAP gained", table(args.log), batch=BATCH_SIZE)


def run(recipe, epochs, seed, weights, fit_set, judges):
    """Trains once; returns {weights: {images: mAP}} for the last weights and for each average."""
    keras.utils.set_random_seed(seed)
    loss = recipe.loss[0](**recipe.loss[1])
    model = voc_detector(weights, loss.activation)
    freeze(model, recipe.frozen)
    encoder = mb.GroundTruthEncoder(mb.anchors_of(model), fit_set.num_classes, sparse=True)
    batches = mb.DataGenerator(fit_set, BATCH_SIZE, recipe.preset((300, 300)), encoder, seed=seed)
    steps = epochs * len(batches)
    averages = Averages((0.99, 0.998), steps)
    kind, arguments = recipe.optimizer
    model.compile(kind(learning_rate(recipe.rate, steps), **arguments), loss)
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=[averages])
    batches.close()
    scores = {}
    for name, candidate in {"last": model.get_weights(), **averages.averages}.items():
        model.set_weights(candidate)
        scores[name] = {judge: mean_ap(model, images) for judge, images in judges.items()}
    return scores


def voc_detector(weights, activation):
    coco = mb.SSDMobileNet(90, alpha=0.75, batch_norm=False, activation=activation, weights=weights)
    return mb.sample_classes(coco, mb.VOC_CLASSES, class_names=COCO_NAMES_BY_ID)


def freeze(model, last):
    if last is not None:
        names = [layer.name for layer in model.layers]
        for layer in model.layers[: names.index(last) + 1]:
            layer.trainable = False


def learning_rate(rate, steps):
    warm_up = steps // 10
    return keras.optimizers.schedules.CosineDecay(
        rate / 20, steps - warm_up, alpha=0.01, warmup_target=rate, warmup_steps=warm_up
    )


def mean_ap(model, images):
    detections = mb.predict_dataset(mb.to_inference(model, max_detections=100), images, progress=False)
    return mb.evaluate_voc(detections, images, metric="11_point").mean_average_precision


def table(log):
    """One row per recipe, number of epochs, number of images and kind of weights: mean gain and range."""
    groups = {}
    for line in map(json.loads, log.read_text().splitlines()):
        for kind, scores in line["scores"].items():
            key = (line["recipe"], line["epochs"], line["images"], kind)
            gains = {judge: 100 * (score - line["start"][judge]) for judge, score in scores.items()}
            groups.setdefault(key, []).append(gains)
    rows = []
    for (recipe, epochs, images, kind), runs in groups.items():
        row = {"recipe": recipe, "epochs": epochs, "images": images, "weights": kind, "seeds": len(runs)}
        for judge in ("held out", "test"):
            values = [gains[judge] for gains in runs if judge in gains]
            row[judge] = (
                f"{np.mean(values):+.1f} ({min(values):+.1f} .. {max(values):+.1f})" if values else "-"
            )
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
