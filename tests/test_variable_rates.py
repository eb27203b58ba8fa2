import subprocess
import sys

import keras
import numpy as np
import pytest

from multibox.recipes import RatedAdam, RatedSGD

RATES = {"bias": 2.0, "first": 0.1, "second": 0.0}


def network():
    return keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(2, name="first", kernel_initializer="ones"),
            keras.layers.Dense(2, name="second", kernel_initializer="ones"),
            keras.layers.Dense(1, name="third", kernel_initializer="ones"),
        ]
    )


def changes(optimizer):
    """What a step with the gradient of the sum of outputs adds to each weight: name, kernel and bias."""
    model = network()
    model.compile(optimizer=optimizer, loss=lambda _, y: keras.ops.sum(y))
    before = model.get_weights()
    model.train_on_batch(np.ones((1, 2), np.float32), np.zeros((1, 1), np.float32))
    return [new - old for new, old in zip(model.get_weights(), before, strict=True)]


def test_each_variable_has_its_rate():
    plain = changes(keras.optimizers.SGD(0.01, momentum=0.9))
    found = changes(RatedSGD(learning_rate=0.01, momentum=0.9, rates=RATES))
    for change, original, factor in zip(found, plain, (0.1, 0.2, 0.0, 0.0, 1.0, 2.0), strict=True):
        np.testing.assert_allclose(change, factor * original, rtol=1e-4)
    np.testing.assert_allclose(found[-1], [-0.02], rtol=1e-5)  # the gradient of the last bias is 1


def test_adam():
    """The first step of Adam is as long as the rate, whatever the gradient."""
    found = changes(RatedAdam(learning_rate=0.01, rates=RATES))
    for change, factor in zip(found, (0.1, 0.2, 0.0, 0.0, 1.0, 2.0), strict=True):
        np.testing.assert_allclose(change, -0.01 * factor, rtol=1e-4)


@pytest.mark.parametrize("function", [RatedSGD, RatedAdam])
def test_it_survives_saving(tmp_path, function):
    model = network()
    model.compile(optimizer=function(learning_rate=0.01, rates=RATES), loss="mse")
    model.save(tmp_path / "m.keras")
    optimizer = keras.models.load_model(tmp_path / "m.keras").optimizer
    assert type(optimizer) is function and optimizer.rates == RATES


def test_a_new_process_knows_it(tmp_path):
    model = network()
    model.compile(optimizer=RatedAdam(learning_rate=0.01, rates=RATES), loss="mse")
    model.save(tmp_path / "m.keras")
    program = "import sys, multibox, keras; print(keras.models.load_model(sys.argv[1]).optimizer.rates)"
    run = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "m.keras"], capture_output=True, text=True, timeout=120
    )
    assert run.stdout.strip() == str(RATES), run.stderr
