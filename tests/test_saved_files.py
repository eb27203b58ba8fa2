"""Model files that version 0.1.0 saved still load, and compute what they computed then."""

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import multibox as mb

FOLDER = Path(__file__).parent / "saved"


@pytest.fixture(scope="module")
def expected():
    with np.load(FOLDER / "expected_0_1_0.npz") as arrays:
        return dict(arrays)


@pytest.fixture(autouse=True)
def no_deprecation_warnings():
    """A file cannot be told to use other names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*is now called.*")
        yield


@pytest.mark.parametrize("name", ["focal", "mining"])
def test_a_compiled_model_goes_on_with_its_loss(name, expected):
    model = keras.models.load_model(FOLDER / f"{name}_0_1_0.keras")
    found = model.evaluate(expected["images"], expected["targets"], verbose=0, return_dict=True)
    values = [found[part] for part in ("loss", "localization", "confidence")]
    np.testing.assert_allclose(values, expected[name], rtol=1e-4)
    assert model.optimizer.iterations == (2 if name == "focal" else 1)


def test_predictions_are_the_same(expected):
    model = keras.models.load_model(FOLDER / "mining_0_1_0.keras")
    np.testing.assert_allclose(model.predict(expected["images"], verbose=0), expected["raw"], atol=1e-4)
    assert mb.anchors_of(model).image_size == (96, 128)


def test_a_detector_decodes_as_before(expected):
    model = keras.models.load_model(FOLDER / "detector_0_1_0.keras")
    np.testing.assert_allclose(
        model.predict(expected["images"], verbose=0), expected["detections"], atol=1e-4
    )
