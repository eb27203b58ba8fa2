"""Saved models from outside: what they hold is checked before Keras builds it."""

import json
import os
import zipfile

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.models.saved_model import load_saved_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "good.keras"
    model = mb.SSD7(class_names=["cat", "dog"], image_size=(64, 64))
    model.compile("adam", mb.loss_of(model))
    model.save(path)
    return path


def changed(source, path, change):
    """A copy of a saved model whose configuration is changed in place, or replaced by a text."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                text = change(config)
                content = text if isinstance(text, str) else json.dumps(config)
            new.writestr(name, content)
    return path


def layer(config, name):
    return next(layer for layer in config["config"]["layers"] if layer["config"]["name"] == name)


def with_lambda(config):
    code = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
    layer(config, "elu1").update(class_name="Lambda", module="keras.layers")
    layer(config, "elu1")["config"] = {"name": "elu1", "function": code}


def with_module(config):
    layer(config, "elu1").update(class_name="system", module="os", registered_name="os>system")


def with_filters(config):
    layer(config, "conv7")["config"]["filters"] = 100_000_000  # 173 GB with its kernel
    for name in ("bn7", "elu7"):
        layer(config, name)["build_config"] = {"input_shape": [None, 8, 8, 100_000_000]}


def with_anchors(config):
    layer(config, "predictions")["config"]["anchors"]["levels"][0]["grid"] = [10**6, 10**6]


def with_depth(config):
    inner = []
    for _ in range(500):
        inner = [inner]
    layer(config, "elu1")["config"]["more"] = inner


def test_a_good_model_is_not_changed(saved):
    model = load_saved_model(saved, "detect")
    assert mb.class_names_of(model) == ("cat", "dog") and not model.compiled
    for ours, theirs in zip(model.get_weights(), keras.models.load_model(saved).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_lambda, r"it holds code \(__lambda__\), which is not loaded|it holds code \(Lambda\)"),
        (with_module, r"it needs os\.system, which is not registered with Keras"),
        (with_filters, r"the model has \d+ numbers, but the file 192784|incompatible with the layer"),
        (with_anchors, "number of anchors of all levels must be at most 5000000"),
        (with_depth, r"config\.json is nested too deeply"),
        (lambda config: "[" * 100_000, r"config\.json is nested too deeply"),
        (lambda config: "[]", r"config\.json is no object"),
        (lambda config: "{", r"config\.json cannot be read: Expecting property name"),
        (lambda config: " " * (33 << 20), r"config\.json has 34603008 bytes, expected at most 33554432"),
        (lambda config: config.clear(), "expected a model saved as .keras"),
    ],
)
def test_hostile_configurations_are_refused_in_one_line(saved, tmp_path, change, message):
    path = changed(saved, tmp_path / "bad.keras", change)
    with pytest.raises(ValueError, match=message) as error:
        mb.sample_classes(path, ["cat"])
    text = str(error.value)
    assert text.startswith(f"sample_classes: {path}: expected a model saved as .keras: ")
    assert "\n" not in text and len(text) < len(str(path)) + 400


def test_a_model_that_is_larger_than_its_weights(saved, tmp_path):
    def one_wide_layer(config):
        head = layer(config, "conv7_mbox_conf")["config"]
        head["filters"] = 4 * 10_001  # fits the spec with more classes
        layer(config, "predictions")["config"].update(num_classes=10_000, class_names=None)
        layer(config, "predictions").pop("build_config")
        for name in ("conv4", "conv5", "conv6"):
            layer(config, f"{name}_mbox_conf")["config"]["filters"] = 4 * 10_001

    path = changed(saved, tmp_path / "bad.keras", one_wide_layer)
    with pytest.raises(ValueError, match=r"the model has \d{8} numbers, but the file 192784"):
        load_saved_model(path, "detect")
    assert load_saved_model(saved, "detect").count_params() == 192_784  # nothing of it is left


def test_what_is_no_saved_model(saved, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text.keras").write_text("<html>")
    mb.SSD7(2, image_size=(64, 64)).save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(ValueError, match="pipe: expected a file, but this is a named pipe"):
        mb.detect(tmp_path / "pipe", np.zeros((64, 64, 3), np.uint8))
    for name in ("text.keras", "x.weights.h5"):
        with pytest.raises(ValueError, match=rf"{name}: expected a model saved as \.keras: it is no \.keras"):
            load_saved_model(tmp_path / name, "detect")
    (tmp_path / "cut.keras").write_bytes(saved.read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r"cut\.keras: expected a model saved as \.keras: "):
        load_saved_model(tmp_path / "cut.keras", "detect")


def test_a_lambda_layer_in_a_weight_file_is_not_looked_at(saved, tmp_path):
    """`load_weights` reads the stored numbers only."""
    model = mb.SSD7(2, image_size=(64, 64))
    report = mb.load_weights(model, changed(saved, tmp_path / "bad.keras", with_lambda))
    assert len(report.loaded) == 22 and not report.skipped
