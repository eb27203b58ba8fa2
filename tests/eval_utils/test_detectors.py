"""What runs a model in `detect`: compiled once, with the weights and options of the moment."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.eval_utils.detectors import run_of
from multibox.layers import MultiBox

SIZE = (64, 96)
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
BATCH = np.random.default_rng(1).integers(0, 256, (2, *SIZE, 3), np.uint8)
MODES = pytest.mark.parametrize("mode", ["training", "inference"])


def network(mode="training", seed=0, **decoding):
    model = mb.SSD7(4, image_size=SIZE, mode=mode, **decoding)
    set_weights(model, seed)
    return model


def set_weights(model, seed):
    """Random kernels, with which scores are 0.3 to 0.7."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.06, w.shape) if w.ndim == 4 else w for w in model.get_weights()])


def expected(model, images=BATCH):
    return mb.to_inference(model).predict_on_batch(images)


@pytest.fixture
def calls(monkeypatch):
    """A list that grows with each call of `MultiBox`, also while a function is compiled."""
    seen, call = [], MultiBox.call

    def counted(self, offsets, logits):
        seen.append(threading.get_ident())
        return call(self, offsets, logits)

    monkeypatch.setattr(MultiBox, "call", counted)
    return seen


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="torch compiles nothing")
@MODES
def test_a_second_call_compiles_nothing(mode, calls):
    model = network(mode)
    calls.clear()
    mb.detect(model, IMAGE)
    assert len(calls) == 1
    for min_score in (0.5, 0.1, 0):
        mb.detect(model, IMAGE, min_score=min_score)
    assert len(calls) == 1
    mb.detect(model, [IMAGE] * 3, batch_size=2)
    mb.predict_dataset(model, mb.load_shapes(3), 2, progress=False)
    assert len(calls) == 1 + (keras.backend.backend() == "jax")  # for batches of two, the last one filled up


@MODES
def test_weights_of_the_moment(mode):
    model = network(mode)
    first = run_of(model)(BATCH, 0)
    set_weights(model, 1)
    second = run_of(model)(BATCH, 0)
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_allclose(second, expected(model), atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="JAX deletes the values before a step")
def test_weights_after_training():
    model = network()
    run_of(model)(BATCH, 0)
    model.compile("sgd", mb.SSDLoss())
    model.fit(BATCH, np.zeros((2, *model.output_shape[1:]), np.float32), verbose=0)
    np.testing.assert_allclose(run_of(model)(BATCH, 0), expected(model), atol=1e-5)


def test_options_of_the_moment():
    model = network("inference", max_detections=7)
    every = run_of(model)(BATCH, 0)[..., 1]
    limit = float(np.median(every))
    model.get_layer("detections").confidence_threshold = limit
    found = run_of(model)(BATCH, 0)[..., 1]
    np.testing.assert_allclose(found, np.where(every > limit, every, 0), atol=1e-6)
    assert every.shape == (2, 7) and (found == 0).any()
    other = mb.to_inference(model, max_detections=3)
    assert run_of(other)(BATCH, 0).shape == (2, 3, 6)


def test_the_lowest_score_is_among_those_returned():
    model = network()
    every = expected(model)
    lowest = every[0, 4, 1]
    found = run_of(model)(BATCH[:1], lowest)[0]
    np.testing.assert_allclose(found[:5], every[0, :5], atol=1e-6)
    assert (found[:, 1] > 0).sum() == (every[0, :, 1] >= lowest).sum()


def test_a_reloaded_model(tmp_path):
    model = network("inference")
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(run_of(reloaded)(BATCH, 0), expected(model), atol=1e-5)


def test_what_follows_the_decoder():
    detector = network("inference", max_detections=7)
    first = keras.Model(detector.input, detector.output[:, :3])
    np.testing.assert_allclose(run_of(first)(BATCH, 0), detector.predict_on_batch(BATCH)[:, :3], atol=1e-5)


@MODES
def test_a_model_is_freed(mode):
    model = network(mode)
    mb.detect(model, IMAGE)
    multibox = weakref.ref(next(layer for layer in model.layers if isinstance(layer, MultiBox)))
    model = weakref.ref(model)
    keras.backend.clear_session()
    gc.collect()
    assert model() is None and multibox() is None


def test_threads_share_a_model(calls):
    model = network()
    calls.clear()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: mb.detect(model, IMAGE, min_score=0).rows, range(16)))
    if keras.backend.backend() == "tensorflow":
        assert len(calls) == 1
    for rows in found:
        np.testing.assert_array_equal(rows, found[0])
