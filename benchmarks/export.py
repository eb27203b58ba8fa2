"""What each exported file costs: difference from Keras, mAP, size and time.

    python benchmarks/export.py --weights detect.tflite --voc VOCdevkit
    python benchmarks/export.py --network ssd300 --images 0

Reference of each row in the same run: the network alone in the same runtime, without boxes, scores and
non-max suppression. Calibrated for 8 bits on the set train. With --network, a network with random weights,
of which size and times mean something.
"""

import os
import tempfile
from functools import partial
from pathlib import Path

import keras
import numpy as np
from published import model_and_images, parser
from timing import report

import multibox as mb
from multibox.data_generator import resize_only
from multibox.exporting.network import IMAGE, PREDICTIONS, onnx_model
from multibox.layers.multibox import multibox_of
from multibox.networks import NETWORKS
from multibox.profiling.compiled import time_in_turn

ROWS = (
    ("onnx", "float32", "onnx/m.onnx"),
    ("openvino", "float32", "openvino/m.xml"),
    ("openvino", "bfloat16", "bf16/m.xml"),
    ("savedmodel", "float32", "m"),
    ("litert", "float32", "float32/m.tflite"),
    ("litert", "float16", "float16/m.tflite"),
    ("litert", "dynamic", "dynamic/m.tflite"),
    ("litert", "int8", "int8/m.tflite"),
)

EMPTY = {"MB": 0.0, "mAP": 0.0, "score": 0.0, "box": 0.0, "unmatched": 0}


def main():
    arguments = parser(__doc__, needs_voc=False)
    arguments.add_argument("--images", type=int, default=300, help="pictures that judge; 0: only times")
    arguments.add_argument("--network", choices=NETWORKS, help="one with random weights")
    arguments.add_argument("--classes", type=int, default=20, help="classes of a network with random weights")
    arguments.add_argument("--rounds", type=int, default=30, help="timed runs")
    args = arguments.parse_args()

    model, dataset = model_and_images(args, max(args.images, 8)) if args.voc else (None, None)
    if args.network:
        keras.utils.set_random_seed(0)
        model = NETWORKS[args.network].function(args.classes)
    detector = mb.to_inference(model)
    size = detector.input_shape[1:3]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, *size, 3), np.uint8)
    if dataset is not None:
        images = np.stack([resize_only(size)(record, rng)[0] for record in dataset[:8]])
    with tempfile.TemporaryDirectory() as folder:
        paths = [write(model, Path(folder, name), *rest, args) for *rest, name in ROWS]
        runs = {("Keras predict", ""): (detector.predict_on_batch, network_of_keras(model))}
        runs |= {
            row[:2]: (mb.load_detector(path).predict_on_batch, alone(row[0], path, model))
            for row, path in zip(ROWS, paths, strict=True)
        }
        rows = times(runs, images, args.rounds)
        rows.insert(1, of_detect(detector, images, args.rounds))
        for row, path in zip(rows[2:], paths, strict=True):
            row["MB"] = size_of(path) / 1e6
            if args.images and not args.network:
                row |= compared(path, model, dataset[: args.images])
    report("export", rows, model=model.name, classes=mb.num_classes_of(model), images=args.images)


def write(model, path, name, precision, args):
    calibration = None
    if precision == "int8":
        size = mb.anchors_of(model).image_size
        calibration = mb.load_shapes(20, size, seed=0)
        if args.voc:
            calibration = mb.load_voc(args.voc, [("2007", "train")], progress=False)
    return mb.export(model, path, name, precision=precision, calibration=calibration)


def network_of_keras(model):
    return keras.Model(model.inputs[0], multibox_of(model).output).predict_on_batch


def alone(name, path, model):
    """The network of a file, without its decoder."""
    if name in ("onnx", "openvino"):
        return (of_onnx if name == "onnx" else of_openvino)(model, path)
    if name == "savedmodel":
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        return lambda images: loaded.predictions(images).numpy()
    from multibox.eval_utils.runtimes.detect import Detector

    runner = Detector(path, num_threads=os.cpu_count()).runner
    return lambda images: [runner(images=image[None]) for image in images]


def of_onnx(model, path):
    import onnxruntime

    session = onnxruntime.InferenceSession(network_bytes(model), providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {IMAGE: images})


def of_openvino(model, path):
    import openvino

    core = openvino.Core()
    precision = core.read_model(path).get_rt_info(["runtime_options", "INFERENCE_PRECISION_HINT"]).astype(str)
    network = core.read_model(network_bytes(model))
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return lambda images: [*compiled(images).values()]


def network_bytes(model):
    from onnx.utils import Extractor

    inner = onnx_model(mb.to_inference(model), "0", {}, inner=True)
    return Extractor(inner).extract_model([IMAGE], [*PREDICTIONS]).SerializeToString()


def times(runs, images, rounds):
    """Milliseconds a picture of each file and of its network alone, in batches of one and of eight."""
    rows = [{"format": name, "precision": precision} for name, precision in runs]
    for batch in (1, 8):
        for row, pair in zip(rows, runs.values(), strict=True):
            # Only these two in turn: the threads of other runtimes would still be spinning.
            both = {i: partial(run, images[:batch]) for i, run in enumerate(pair)}
            found = time_in_turn(both, rounds)
            row |= cost(batch, *(1e3 * found[i] / batch for i in (0, 1)))
    return [{**row, **EMPTY} for row in rows]


def cost(batch, whole, network):
    return {f"ms batch {batch}": whole, f"network {batch}": network, f"times {batch}": whole / network}


def of_detect(detector, images, rounds):
    """`detect` on arrays."""
    row = {"format": "detect", "precision": ""}
    for batch in (1, 8):
        pieces = [*images[:batch]]
        found = time_in_turn({"": partial(mb.detect, detector, pieces, progress=False)}, rounds)
        row |= cost(batch, 1e3 * found[""] / batch, np.nan)
    return {**row, **EMPTY}


def compared(path, model, dataset):
    found = mb.check_export(path, model, dataset, progress=False)
    return {
        "mAP": found.exported.mean_average_precision,
        "score": found.score_difference,
        "box": found.box_difference,
        "unmatched": found.unmatched,
    }


def size_of(path):
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
    return sum(file.stat().st_size for file in files if file.is_file())


if __name__ == "__main__":
    main()
