"""`train` with a data set in shards, whose images are shuffled in windows."""

import json

import keras
import numpy as np
import pytest
from training_on_devices import SIDE, network

import multibox as mb

STEPS = 6


class Failure(keras.callbacks.Callback):
    """A power cut after some steps, or a weight that is NaN."""

    def __init__(self, steps, *, is_nan=False):
        super().__init__()
        self.steps, self.is_nan = steps, is_nan
        self.done = 0

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if self.done == self.steps:
            if not self.is_nan:
                raise KeyboardInterrupt
            weight = self.model.trainable_variables[0]
            weight.assign(keras.ops.full(weight.shape, np.nan))


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Twelve images in four shards or more."""
    folder = tmp_path_factory.mktemp("data") / "shards"
    mb.save_shards(mb.load_shapes(12, (48, 48)), folder, shard_bytes=10_000, progress=False)
    assert len(list(folder.glob("*.tar"))) >= 4
    return folder


def run(shards, folder, failure=None, *, window=2, **options):
    model = network()
    model.compile(keras.optimizers.Adam(1e-2), mb.SSDLoss(), run_eagerly=True)
    encoder = mb.GroundTruthEncoder(model, sparse=True)
    augmentation = mb.ssd_augmentation((SIDE, SIDE))
    data = mb.DataGenerator(mb.load_shards(shards), 2, augmentation, encoder, shuffle_window=window)
    assert len(data) == STEPS
    callbacks = [] if failure is None else [failure]
    options = {"epochs": 2, "checkpoint_minutes": 0, "verbose": 0} | options
    mb.train(model, data, folder, callbacks=callbacks, **options)
    return model


@pytest.fixture(scope="module")
def straight(shards, tmp_path_factory):
    """The weights of a run without interruption."""
    return run(shards, tmp_path_factory.mktemp("straight")).get_weights()


@pytest.mark.parametrize("steps", [2, STEPS + 3])
def test_a_run_goes_on_within_an_epoch(shards, tmp_path, straight, steps):
    with pytest.raises(KeyboardInterrupt):
        run(shards, tmp_path, Failure(steps))
    with pytest.raises(ValueError, match="it had shuffle_window 2, now 3"):
        run(shards, tmp_path, Failure(0), window=3, resume=True)
    model = run(shards, tmp_path, Failure(0), resume=True)
    for a, b in zip(model.get_weights(), straight, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_diagnosis_shows_the_images_of_the_step(shards, tmp_path):
    step = 3
    with pytest.warns(UserWarning, match=f"is not finite in epoch 1, step {step + 1}"):
        run(shards, tmp_path, Failure(step + 1, is_nan=True))
    plain = mb.DataGenerator(mb.load_shards(shards), 2, mb.resize_only((SIDE, SIDE)), shuffle_window=2)
    expected = [annotation["image_id"] for annotation in plain[step][1]]
    report = json.loads((tmp_path / "diagnosis" / "report.json").read_text())
    assert report["images"] == expected
