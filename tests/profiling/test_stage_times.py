"""`measure_stages`: the parts are those of the model, and the shares are computed as documented."""

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.profiling import StageTimes, parts, stage_times
from multibox.profiling.compiled import compiled, of_backend, time_in_turn

SIZE = (64, 64)


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(0)
    return mb.SSD7(2, image_size=SIZE, mode="inference")


def test_the_stages_one_after_the_other_are_the_model(detector):
    stages = parts.stage_models(detector)
    assert list(stages) == ["backbone", "heads", "decoding"]
    runs = {name: stage.model for name, stage in stages.items()}
    listed = {name: lambda inputs, run=run: _list(run(_one(inputs))) for name, run in runs.items()}
    images = keras.ops.convert_to_tensor(parts.random_images(detector, 1))
    inputs = parts.stage_inputs(stages, listed, detector, images)
    assert [len(given) for given in inputs.values()] == [1, 4, 1]
    found = keras.ops.convert_to_numpy(listed["decoding"](inputs["decoding"])[0])
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(detector(images)), atol=1e-5)


def _one(inputs):
    return inputs if len(inputs) > 1 else inputs[0]


def _list(outputs):
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def test_kernels_only_has_the_kernels_and_nothing_else(detector):
    kernels = parts.kernels_only(detector, 2)
    convolutions = [layer for layer in kernels.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 7 + 8
    assert {layer.activation for layer in convolutions} == {keras.activations.linear}
    kernel_sum = sum(w.shape[-1] * w.shape[-2] for w in kernels.weights if w.path.endswith("kernel"))
    assert kernel_sum == sum(w.shape[-1] * w.shape[-2] for w in detector.weights if w.path.endswith("kernel"))


def test_weights_only_has_the_trained_weights(detector):
    shapes = sorted(tuple(weight.shape) for weight in parts.weights_only(detector).trainable_variables)
    assert shapes == sorted(tuple(weight.shape) for weight in detector.trainable_variables)


def test_compiled_runs_the_model(detector):
    images = parts.random_images(detector, 1)
    (found,) = compiled(detector)([keras.ops.convert_to_tensor(images)])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found), detector.predict_on_batch(images), atol=1e-5
    )


def test_times_are_medians_without_the_first_run(monkeypatch):
    clock = iter([0, 0, 1, 0, 5, 0, 2])  # the first run only begins
    monkeypatch.setattr("multibox.profiling.compiled.time.perf_counter", lambda: next(clock))
    assert time_in_turn({"a": lambda: None}, 3) == {"a": 2.0}


@pytest.fixture
def clock(monkeypatch):
    """Runs each function once, and tells these times."""
    seconds = {"backbone": 0.06, "heads": 0.02, "decoding": 0.01, "whole": 0.1, "kernels": 0.09}
    seconds |= {"passes": 0.01, "training passes": 0.05}
    seconds |= {"training forward": 0.1, "loss": 0.02, "update": 0.01, "step": 0.4, "encoding": 0.001}
    seconds["training kernels"] = 0.35

    def run(functions, rounds):
        for function in functions.values():
            function()
        return {name: seconds[name] for name in functions}

    monkeypatch.setattr(stage_times, "time_in_turn", run)


def test_shares_and_tables(clock, detector):
    before = [np.copy(values) for values in detector.get_weights()]
    result = mb.measure_stages(detector, batch_size=2, rounds=4)
    assert all(map(np.array_equal, before, detector.get_weights()))
    assert result.forward == {"backbone": 0.06, "heads": 0.02, "decoding": 0.01}
    assert result.training["backward and the rest"] == pytest.approx(0.27)
    assert result.forward_not_convolution == pytest.approx(0.2)
    assert result.training_not_convolution == pytest.approx(0.25)
    lines = str(result).splitlines()
    assert lines[0] == f"ssd7, batch 2, {keras.backend.backend()}, medians of 4 runs"
    assert lines[3] == "backbone             60.00   60.0%"
    assert "| loss | 20.00 | 5.0% |" in result.to_markdown()
    assert result.to_dict()["training_not_convolution"] == pytest.approx(0.25)


def test_without_training(clock, detector):
    result = mb.measure_stages(detector, training=False)
    assert isinstance(result, StageTimes)
    assert (result.training, result.training_step, result.training_not_convolution) == ({}, None, None)
    assert "training step" not in str(result)


def test_a_model_of_another_package():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.ReLU()], name="other")
    with pytest.raises(ValueError, match="model 'other' has 0 MultiBox layers, expected one"):
        mb.measure_stages(model)


def test_a_backend_that_cannot_train(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(ValueError, match=r"the backend numpy has no training .* set KERAS_BACKEND"):
        of_backend({"jax": print, "tensorflow": print})
