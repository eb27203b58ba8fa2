"""Calls each public function with wrong values, one argument at a time, see `test_wrong_arguments.py`."""

import contextlib
import inspect
import io
import re
import shutil
import warnings
from unittest import mock

import keras
import numpy as np
from reader_files import huggingface_rows, reader_files, row

import multibox as mb
from multibox.activations import check_activation
from multibox.anchors import as_spec
from multibox.models import builder

VALUES = {
    "None": None,
    "'x'": "x",
    "[]": [],
    "object()": object(),
    "1.5": 1.5,
    "-1": -1,
    "True": True,
    "nan": float("nan"),
}
SIZE = (64, 64)
# Helpers of the package itself, whose callers pass the owner of the names.
HELPERS = (
    *("anchors.as_spec", "anchors.image_hw"),
    *("class_names.check_names", "class_names.name_tuple", "class_names.similar_names"),
)
# Their other arguments cannot be sound here: a download, drawn images without files, a training.
NOT_HERE = (
    *(
        "pretrained anchors",
        "pretrained class_names",
        "pretrained image_size",
        "save_coco image_folder",
        "save_csv image_folder",
    ),
    "load_csv relative",
    "check_export progress",  # needs a file that was exported
    *("start_run resume", "start_run force", "start_run quiet"),
    "measure_stages training",  # the backend numpy cannot
)
# Who is named in errors of functions that pass their arguments on.
OWNERS = {
    "to_inference": "DecodeDetections",
    "anchors.ssd7_anchors": "AnchorSpec",
    "anchors.ssd300_anchors": "AnchorSpec",
    "anchors.ssd512_anchors": "AnchorSpec",
    "anchors.ssd321_anchors": "AnchorSpec",
    "anchors.ssd513_anchors": "AnchorSpec",
    "anchors.ssdlite_anchors": "AnchorSpec",
    "load_dataset": "",
    "convert_dataset": "",
    "DetectionDataset.subset": "shapes",
    "DetectionDataset.split": "shapes",
    "check_dataset": "",
    "load_csv": "",
    "load_yolo": "yolo",
    "load_weights": "",
    "read_weights": "",
}


def public_functions():
    """{name: function or class} of all public names, and of those in the public modules."""
    found = {}
    for name in mb.__all__:
        value = getattr(mb, name)
        if inspect.ismodule(value):
            own = {n: v for n, v in vars(value).items() if inspect.isfunction(v) or inspect.isclass(v)}
            own = {
                n: v
                for n, v in own.items()
                if n[0] != "_" and f"{v.__module__}.".startswith(f"{value.__name__}.")
            }
            known = getattr(value, "__all__", own)
            found.update({f"{name}.{n}": v for n, v in own.items() if n in known})
        elif value is mb.RunConfig:  # a description; `start_run` checks its values
            continue
        elif callable(value) and not (inspect.isclass(value) and issubclass(value, Exception)):
            found[name] = value
    found["AnchorSpec.from_scales"] = mb.AnchorSpec.from_scales
    found["DetectionDataset.subset"] = mb.load_shapes(4, SIZE).subset
    found["DetectionDataset.split"] = mb.load_shapes(4, SIZE).split
    for name in ("Expand", "Flip", "IoUCrop", "MixUp", "Mosaic", "OneOf", "Patch", "PhotometricDistortion"):
        found[f"data_generator.{name}"] = getattr(mb.data_generator, name)
    for name in ("RightAngleTurn", "Scale", "Translate", "VerticalFlip", "cache_in_ram"):
        found[f"data_generator.{name}"] = getattr(mb.data_generator, name)
    for name in ("AnchorBoxes", "DecodeDetections", "ImageNormalization", "L2Normalization", "MultiBox"):
        found[f"layers.{name}"] = getattr(mb.layers, name)
    return {name: function for name, function in found.items() if name not in HELPERS}


def sound_arguments(folder):
    """{function: arguments of a sound call}; those that are not listed need none."""
    data = mb.load_shapes(4, SIZE)
    model = mb.SSD7(class_names=data.class_names, image_size=SIZE)
    anchors = mb.anchors.ssd7_anchors(SIZE)
    transform = mb.resize_only(SIZE)
    rows = [np.array([[1, 0.9, 1, 1, 20, 20]], np.float32)] * 4
    image = mb.read_image(data[0].image)
    files = reader_files(folder, data, model)
    level = {"grid": (4, 4), "sides": ((8.0, 8.0),), "step": (16.0, 16.0)}
    scales = {"grids": [(4, 4)], "scales": [0.2, 0.4], "aspect_ratios": [(2.0,)], "steps": [16.0]}
    names = {"class_names": ["cat", "dog"]}
    pixels = keras.Input((*SIZE, 3))
    backbone = keras.Model(pixels, keras.layers.Conv2D(4, 3, 16, padding="same", name="only")(pixels))
    maps = {"sources": (16,), "extras": (8,), "pixels": "tf"}
    return {
        **_each(("SSD300", "SSD512", "SSDLite", "SSDMobileNet"), num_classes=2, **names),
        **_each(("SSD321", "SSD513", "DSSD321"), num_classes=2, **names),
        "SSD": {"backbone": backbone, "num_classes": 2, **names, "image_size": SIZE, **maps},
        "SSD7": {"num_classes": 2, **names, "image_size": SIZE},
        "AnchorSpec": {"image_size": SIZE, "levels": anchors.levels},
        "AnchorSpec.from_scales": {"image_size": SIZE, **scales},
        "DataGenerator": {"dataset": data, "batch_size": 2, "transform": transform, "workers": 1},
        "DetectionDataset": {"class_names": data.class_names, "records": data.records},
        "DetectionDataset.subset": {"classes": ["star"]},
        "DetectionDataset.split": {"fraction": 0.5},
        "Detections": {
            **{"boxes": rows[0][:, 2:], "scores": rows[0][:, 1], "class_ids": np.array([1])},
            **{"class_names": ("cat",), "image_size": SIZE, "image": image},
        },
        "GroundTruthEncoder": {"model": anchors, "num_classes": 4},
        "Record": {f: getattr(data[0], f) for f in mb.Record.__slots__[:6]},
        "SampleTransform": {"image_size": SIZE},
        **_each(
            ("activation_of", "anchors_of", "class_names_of", "complexity", "num_classes_of"), model=model
        ),
        **_each(("fastest_precision", "fold_batch_norm", "loss_of", "to_inference"), model=model),
        **_each(("cast_model",), model=model, precision="float32"),
        "anchors.AnchorLevel": level,
        "anchors.AnchorSpec": {"image_size": SIZE, "levels": anchors.levels},
        "anchors.image_hw": {"image_size": SIZE},
        "anchors.as_spec": {"anchors": anchors},
        "anchors.ssd7_anchors": {"image_size": SIZE},
        **_each(("anchors.ssd300_anchors", "anchors.ssd512_anchors"), image_size=(300, 300)),
        **_each(("anchors.ssd321_anchors", "anchors.ssd513_anchors"), image_size=(400, 400)),
        "anchors.paper_anchors": {"image_size": SIZE, "grids": [(4, 4), (2, 2)]},
        "anchors.pipeline_anchors": {"path": folder / "no.config"},
        "anchors.ssdlite_anchors": {"image_size": (320, 320)},
        "anchors.ssd_mobilenet_anchors": {"image_size": SIZE},
        "check_dataset": {"data": data, "progress": False},
        "class_names.same_class": {"name": "cat", "other": "dog"},
        "class_names.map_names": {"names": ["cat"], "known": ["cat"]},
        "class_names.name_tuple": {"names": ["cat"], "what": "classes"},
        "class_names.check_names": {**names, "num_classes": 2},
        "coco_categories": {"annotation_file": files["coco"]},
        "compare": {"a": mb.evaluate_voc(rows, data), "b": mb.evaluate_voc(rows, data), "samples": 10},
        "confidence_intervals": {"result": mb.evaluate_voc(rows, data), "samples": 10},
        "convert_dataset": {
            **{"path": files["voc"], "output": folder / "new", "layout": "coco", "progress": False},
        },
        "create_hdf5_dataset": {"dataset": data, "path": folder / "new.h5", "progress": False},
        "detect": {"model": model, "images": image},
        "confusion_matrix": {"detections": rows, "dataset": data},
        "error_types": {"detections": rows, "dataset": data},
        "export": {"model": model, "path": folder / "new.onnx"},
        "check_export": {"exported": folder / "new.onnx", "model": model, "dataset": data},
        "evaluate_coco": {"detections": rows, "dataset": data},
        "evaluate_voc": {"detections": rows, "dataset": data},
        "load_coco": {"annotation_file": files["coco"], "image_folder": files["images"], "progress": False},
        "load_csv": {"csv_file": files["csv"], "image_folder": files["images"], "progress": False},
        "load_dataset": {"path": files["voc"], "progress": False},
        "load_detections": {"path": files["detections"], "dataset": data},
        "load_hdf5": {"path": files["hdf5"]},
        "load_shards": {"folder": files["shards"]},
        "load_huggingface": {"dataset": huggingface_rows(row()), "progress": False},
        "load_open_images": {
            **{"boxes_csv": files["open_images_csv"], "image_folder": files["open_images"]},
            **{"class_descriptions": files["descriptions"], "progress": False},
        },
        "load_tfrecord": {"files": files["tfrecord"], "label_map": files["label_map"], "progress": False},
        "load_labelme": {"folder": files["labelme"], "progress": False},
        "load_shapes": {"num_images": 2, "image_size": SIZE},
        "load_voc": {"devkit": files["voc"], "image_sets": "train", "progress": False},
        "measure_stages": {"model": mb.SSD7(2, image_size=SIZE), "rounds": 1, "training": False},
        "load_weights": {"model": model, "weights": files["model"]},
        "load_yolo": {"data_yaml": files["yolo"], "progress": False},
        "plot_detection_grid": {"dataset": data[:1], "detections": rows[:1]},
        "plot_detections": {"image": image, "detections": rows[0]},
        "plot_confusion_matrix": {"matrix": mb.confusion_matrix(rows, data)},
        "plot_history": {"path": files["history"]},
        "plot_precision_recall": {"result": mb.evaluate_voc(rows, data)},
        "plot_scores": {"result": mb.evaluate_voc(rows, data)},
        "plot_samples": {"dataset": data[:1], "transform": transform, "draws": 1},
        "predict_dataset": {"model": model, "dataset": data, "progress": False, "workers": 0},
        "predict_files": {"model": model, "sources": files["images"], "progress": False},
        "pretrained": {"name": "no_such"},
        "read_image": {"source": data[0].image, "size": SIZE},
        "read_weights": {"path": files["model"]},
        "recipes.torchvision_ssdlite_sgd": {"steps": 10, "batch_size": 2},
        "recipes.adam_with_cosine_decay": {"learning_rate": 0.1, "steps": 10},
        "recipes.default_optimizer": {"model": model, "steps": 10},
        "recipes.find_recipe": {"recipe": "finetune"},
        "recipes.Recipe": {"name": "mine", "purpose": "a test", "epochs": 1},
        **_each(("satellite_augmentation", "constant_size_augmentation"), image_size=SIZE),
        "variable_size_augmentation": {"image_size": SIZE},
        "repeat_factors": {"dataset": data, "threshold": 0.5},
        "sample_classes": {"model": model, "classes": ["star"]},
        "save_coco": {"dataset": data, "annotation_file": folder / "new.json", "image_folder": folder},
        "save_csv": {"dataset": data, "csv_file": folder / "new.csv", "image_folder": folder},
        "save_labelme": {"dataset": data, "folder": folder / "new-labelme", "progress": False},
        "save_shards": {"dataset": data, "folder": folder / "new", "progress": False},
        "save_yolo": {"dataset": data, "folder": folder / "new-yolo", "progress": False},
        "save_dataset": {"dataset": data, "folder": folder / "new", "layout": "coco", "progress": False},
        "save_detections": {"detections": rows, "dataset": data, "path": folder / "new.csv"},
        "save_evaluation": {"result": mb.evaluate_voc(rows, data), "folder": folder / "new"},
        "save_predictions": {"predictions": [], "folder": folder / "new"},
        "save_summary": {"run": _run(folder, files["history"]), "overwrite": True},
        "save_report": {"detections": rows, "dataset": data, "folder": folder / "new"},
        "save_voc": {"dataset": data, "folder": folder / "new", "progress": False},
        "to_pixels": {"rows": np.zeros((2, 6)), "width": 64, "height": 64},
        "train": {"model": model, "dataset": data, "output": folder / "run", "epochs": 1, "verbose": 0},
        "MeanAveragePrecision": {"dataset": data},
        **_each(("data_generator.MixUp", "data_generator.Mosaic"), dataset=data),
        "data_generator.OneOf": {"chains": ((mb.data_generator.Flip(),),)},
        "data_generator.cache_in_ram": {"dataset": data, "progress": False},
        "layers.AnchorBoxes": {"anchors": anchors},
        "layers.ImageNormalization": {"mean": [1.0, 2.0, 3.0]},
        "layers.MultiBox": {"anchors": anchors, "num_classes": 2, **names},
    }


def _run(folder, history):
    """The folder of a run with one epoch."""
    run = folder / "a_run"
    run.mkdir(exist_ok=True)
    (run / "config.yaml").write_text("data: my_data\n")
    shutil.copy(history, run / "history.csv")
    return run


def _each(names, **arguments):
    return dict.fromkeys(names, arguments)


def parameters_of(function):
    """Names of the arguments that can be passed."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [n for n, p in inspect.signature(function).parameters.items() if p.kind not in kinds]


def _checks_only(name, backbone, head, pixels, anchors, request, activation="softmax", image_size=None):
    """In place of `build_ssd`, whose large networks would take minutes."""
    as_spec(anchors)
    builder._check_decoding(name, request.mode, request.decoding)
    builder._count_classes(name, request.num_classes, request.class_names)
    check_activation(activation, name)
    if request.weights is not None:
        mb.load_weights(mb.SSD7(2, image_size=SIZE), request.weights)


LARGE = ("ssd300", "ssd512", "ssdlite", "ssd_mobilenet", "ssd321", "ssd513", "dssd321")


def _builds_small_ones(name, *arguments):
    """In place of the `build_ssd` of `SSD`, which all networks call."""
    build = _checks_only if name.startswith(LARGE) else builder.build_ssd
    return build(name, *arguments)


@contextlib.contextmanager
def _quick():
    """Without training and without large networks, warnings and output."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch("multibox.models.ssd.build_ssd", _builds_small_ones))
        for function in ("need_packages", "_write"):
            stack.enter_context(mock.patch(f"multibox.exporting.writing.{function}"))
        history = mock.Mock(history={"loss": [1.0]}, epoch=[0])
        stack.enter_context(mock.patch.object(keras.Model, "fit", return_value=history))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield


def outcome(name, function, arguments, argument):
    """What a call does: "accepted"; "named" for an error with the argument's name; or the error itself."""
    import matplotlib.pyplot as plt

    owners = name.rsplit(".", 1)[-1], OWNERS.get(name, name)
    try:
        with _quick():
            function(**arguments)
    except (OSError, mb.ImageError) as error:  # of a path where there is nothing
        return "named" if str(arguments[argument]) in str(error) else f"{type(error).__name__}: {error}"
    except Exception as error:
        text = str(error)
        is_named = re.search(rf"\b{re.escape(argument)}\b", text) and any(
            _plain(owner) in _plain(text) for owner in owners
        )
        is_documented = type(error) in (TypeError, ValueError)
        return "named" if is_named and is_documented else f"{type(error).__name__}: {text}"
    finally:
        plt.close("all")
    return "accepted"


def _plain(text):
    return text.casefold().replace("_", "")


def outcomes(folder, only=()):
    """{(function, argument, value): outcome} of all calls, or of those of some functions."""
    sound = sound_arguments(folder)
    found = {}
    for name, function in public_functions().items():
        if only and name not in only:
            continue
        for argument in parameters_of(function):
            if f"{name} {argument}" in NOT_HERE:
                continue
            for label, value in VALUES.items():
                arguments = {**sound.get(name, {}), argument: value}
                found[name, argument, label] = outcome(name, function, arguments, argument)
                _remove_new_files(folder)
    return found


def accepted_lines(results):
    """A line for each argument that takes some of the values, such as "train callbacks: []"."""
    values = {}
    for (name, argument, label), result in results.items():
        if result == "accepted":
            values.setdefault(f"{name} {argument}", []).append(label)
    return [f"{argument}: {', '.join(labels)}" for argument, labels in values.items()]


def _remove_new_files(folder):
    shutil.rmtree(folder / "x", ignore_errors=True)
    for new in ("x", "new.h5", "new.json", "new.csv", "run/history.csv"):
        (folder / new).unlink(missing_ok=True)
    shutil.rmtree(folder / "new", ignore_errors=True)


if __name__ == "__main__":  # counts, and the lines of accepted_arguments.txt
    import os
    import sys
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        results = outcomes(Path(temporary), set(sys.argv[1:]))
    for key, result in results.items():
        if result not in ("named", "accepted"):
            print("UNCLEAR", *key, "|", result.replace("\n", " ")[:150])
    for line in accepted_lines(results):
        print(line)
    counts = {kind: list(results.values()).count(kind) for kind in ("named", "accepted")}
    print(len(results), "calls:", counts)
