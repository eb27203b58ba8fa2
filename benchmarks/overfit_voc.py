"""Overfits a few real Pascal VOC images from random weights, as an end-to-end test of the training.

    python benchmarks/overfit_voc.py --voc VOCdevkit --set train

It takes about ten minutes on two CPU cores. Expected: mAP >= 0.90 on the training images themselves.
"""

import argparse
import json
import time

import keras

import multibox as mb
from multibox.recipes import adam_with_cosine_decay

MODELS = {"ssdlite": (mb.SSDLite, {}), "ssd7": (mb.SSD7, {"image_size": (300, 300)})}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voc", required=True, help="folder that holds VOC2007")
    parser.add_argument("--set", default="train", help="image set of VOC2007")
    parser.add_argument("--model", choices=MODELS, default="ssd7")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    args = parser.parse_args()

    start = time.perf_counter()
    keras.utils.set_random_seed(0)
    dataset = mb.load_voc(args.voc, [("2007", args.set)], progress=False)[: args.images]
    build, options = MODELS[args.model]
    model = build(dataset.num_classes, weight_decay=0, **options)
    anchors = mb.anchors_of(model)
    encoder = mb.GroundTruthEncoder(anchors, dataset.num_classes)
    images, targets = mb.DataGenerator(
        dataset, len(dataset), mb.resize_only(anchors.image_size), encoder, shuffle=False
    )[0]
    loss = mb.SSDLoss()
    model.compile(adam_with_cosine_decay(args.learning_rate, args.steps), loss, metrics=loss.metrics())
    for _ in range(10):
        logs = model.fit(
            images, targets, batch_size=8, epochs=args.steps * 8 // (10 * len(dataset)), verbose=0
        ).history
        print(
            {k: round(v[-1], 4) for k, v in logs.items()}, f"{time.perf_counter() - start:.0f} s", flush=True
        )

    result = mb.evaluate_voc(mb.predict_dataset(model, dataset, progress=False), dataset, metric="area")
    print(result)
    seconds = time.perf_counter() - start
    print(json.dumps({"model": args.model, "mAP": result.mean_average_precision, "seconds": seconds}))


if __name__ == "__main__":
    main()
