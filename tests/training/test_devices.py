"""`train(devices=)`: trainings on virtual devices against trainings on one; what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from numbered_batches import NumberedBatches

import multibox as mb
from multibox.training.devices import check_batches, chosen_devices, on_devices
from multibox.training.even_batches import Filled, even_batches

WORKER = Path(__file__).parents[1] / "training_on_devices.py"
SIZE = (64, 64)


@pytest.mark.parametrize(
    ("backend", "number", "parts"),
    [
        ("jax", 2, ("losses", "interrupted", "whole", "accumulating", "batch_norm")),
        ("jax", 4, ("losses", "resumed")),
        ("tensorflow", 2, ("losses", "skipping", "interrupted", "whole", "batch_norm", "scope")),
        ("tensorflow", 4, ("losses", "resumed")),
    ],
)
def test_the_result_is_that_of_one_device(backend, number, parts, tmp_path):
    if keras.backend.backend() != backend:
        pytest.skip(f"a test of {backend}")
    command = [sys.executable, str(WORKER), backend, str(number), str(tmp_path), *parts]
    run = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    results = json.loads(run.stdout.splitlines()[-1])
    if "scope" in parts:
        message = results.pop("scope")
        assert "the optimizer outside: each of the 2 replicas would count a step" in message
    if "batch_norm" in parts:
        mean, variance = results.pop("batch_norm")
        assert mean < 1e-5  # on TensorFlow the mean of what each device has found in its images
        assert (variance < 1e-5) is (backend == "jax")  # TensorFlow's lacks the variance between the devices
    # "losses" gives two results.
    assert len(results) == len(parts) + 1 - sum(part in parts for part in ("scope", "batch_norm"))
    for name, result in results.items():
        assert result["moved"] > 1e-3, name
        assert result["weights"] < 1e-6, name
        assert max(result["logs"].values()) < 1e-5, (name, result["logs"])
        assert result["iterations"] == result["steps"], name
        assert result["is_home"], name


def test_more_devices_than_there_are(tmp_path):
    model = mb.SSD7(4, image_size=SIZE)
    if keras.backend.backend() == "torch":
        message = "with PyTorch each device needs a process of its own: start .*torchrun --nproc-per-node"
    else:
        message = r"train: devices=99, but there are \d+: \w+:0"
    with pytest.raises(ValueError, match=message):
        mb.train(model, mb.load_shapes(2, SIZE), tmp_path / "run", epochs=1, devices=99)
    with pytest.raises(ValueError, match="train: devices must be at least 1, got 0"):
        mb.train(model, mb.load_shapes(2, SIZE), tmp_path / "run", epochs=1, devices=0)
    with pytest.raises(ValueError, match='train: devices must be a whole number or "all" or None, got'):
        mb.train(model, mb.load_shapes(2, SIZE), tmp_path / "run", epochs=1, devices="both")
    assert not (tmp_path / "run").exists()


def test_all_devices_of_one_process_of_torch(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    for gpus in (0, 1):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        assert chosen_devices("all") == []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert chosen_devices(None) == []
    with pytest.raises(ValueError, match="torchrun --nproc-per-node 4"):
        chosen_devices("all")


def test_batches_that_cannot_be_shared_evenly():
    data = mb.DataGenerator(mb.load_shapes(10, SIZE), 6, mb.resize_only(SIZE), workers=0)
    check_batches([data, None], 3)
    check_batches([data], 0)
    with pytest.raises(ValueError, match=r"batches of 6 images .* among 4 devices; choose batch_size=4 or 8"):
        check_batches([None, data], 4)
    with pytest.raises(ValueError, match=r"choose batch_size=8$"):
        check_batches([data], 8)
    data.batch_size = 10  # one batch, which is filled up
    check_batches([data], 4)


def test_a_loss_of_another_package():
    model = mb.SSD7(4, image_size=SIZE)
    model.compile(loss=keras.losses.MeanSquaredError())
    with pytest.raises(ValueError, match="needs SSDLoss or SSDFocalLoss, got MeanSquaredError"):
        on_devices(model, ["cpu:0", "cpu:1"])


@pytest.mark.parametrize("columns", [5, 8])
def test_a_batch_is_filled_up_with_its_own_images_and_neutral_anchors(columns):
    filled = Filled()
    data = even_batches(NumberedBatches(4, 3, columns=columns), 4, filled)
    full, last = data[0], data[1]
    np.testing.assert_array_equal(full[1], 1)
    assert len(full[0]) == len(last[0]) == 4
    assert last[0][:, 0, 0, 0].tolist() == [0, 1, 2, 0]
    np.testing.assert_array_equal(last[1][:3], 1)
    expected = [1, 1, 1, 1, -1] if columns == 5 else [1, 1, 1, 1, 0, 0, 0, 0]
    np.testing.assert_array_equal(last[1][3], [expected] * 5)
    assert filled == Filled({1: 0.75}, last=1)


def test_a_batch_that_is_smaller_than_half_of_the_devices():
    images, targets = even_batches(NumberedBatches(4, 3), 7, Filled())[1]
    assert images[:, 0, 0, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert (targets[:, 0, 4] == [1, 1, 1, -1, -1, -1, -1]).all()
