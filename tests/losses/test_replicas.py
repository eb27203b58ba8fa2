"""Losses on replicas of `tf.distribute` or processes of PyTorch, against the whole batch at once."""

import json
import os
import subprocess
import sys

import keras
import pytest

COMMON = """
import json, sys

import numpy as np

import multibox as mb

number = int(sys.argv[1])

ANCHORS, CLASSES = 50, 3
LOSSES = {
    **{(mining, least): mb.SSDLoss(mining=mining, min_negatives=least)
       for mining in ("paper", "all_images", "batch") for least in (0, 2)},
    ("focal", 0): mb.SSDFocalLoss(),
}
rng = np.random.default_rng(0)

def targets(positives):
    rows = np.zeros((len(positives), ANCHORS, 5 + CLASSES), np.float32)
    rows[..., 4] = 1
    for image, count in enumerate(positives):
        rows[image, :count, 4] = 0
        rows[image, np.arange(count), 5 + rng.integers(0, CLASSES, count)] = 1
        rows[image, :count, :4] = rng.normal(size=(count, 4))
    return rows

"""

TENSORFLOW = (
    """
import sys
import tensorflow as tf

[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(sys.argv[1]))
"""
    + COMMON
    + """
strategy = tf.distribute.MirroredStrategy([f"/CPU:{i}" for i in range(number)])
results = {}
for positives in ((37, 7, 0, 1), (0, 0, 0, 0)):
    true = targets(positives)
    pred = rng.normal(size=true.shape).astype("float32")
    for name, loss in LOSSES.items():
        def gradient(true, pred):
            with tf.GradientTape() as tape:
                tape.watch(pred)
                value = loss(true, pred)
            return value, tape.gradient(value, pred)

        value, whole = gradient(tf.constant(true), tf.constant(pred))
        metric = mb.losses.SSDLossPart(loss, "confidence")
        metric.update_state(true, pred)
        with strategy.scope():
            replicated = mb.losses.SSDLossPart(loss, "confidence")

        def replica(true, pred):
            rows = 4 // number
            place = tf.distribute.get_replica_context().replica_id_in_sync_group * rows
            own = true[place : place + rows], pred[place : place + rows]
            replicated.update_state(*own)
            return gradient(*own)

        step = tf.function(lambda true, pred: strategy.run(replica, args=(true, pred)))
        values, gradients = (strategy.experimental_local_results(x) for x in step(true, pred))
        with strategy.scope():
            shown = float(replicated.result())
        results[f"{name} {positives}"] = [
            float(value), float(sum(values)), float(np.abs(np.concatenate(gradients) - whole).max()),
            float(metric.result()), shown,
        ]
print(json.dumps(results))
"""
)

TORCH = (
    COMMON
    + """
import torch
from torch import distributed

from multibox.losses.replicas import batches_of_processes

distributed.init_process_group("gloo")
own = slice(distributed.get_rank() * 4 // number, (distributed.get_rank() + 1) * 4 // number)
results = {}
for positives in ((37, 7, 0, 1), (0, 0, 0, 0)):
    true = torch.tensor(targets(positives))
    pred = torch.tensor(rng.normal(size=true.shape).astype("float32"))
    for name, loss in LOSSES.items():
        def gradient(rows):
            mine = pred[rows].clone().requires_grad_()
            value = loss(true[rows], mine)
            value.backward()
            metric = mb.losses.SSDLossPart(loss, "confidence")
            metric.update_state(true[rows], mine.detach())
            return value, mine.grad, metric.result()

        value, whole, shown = gradient(slice(None))
        with batches_of_processes():
            part, mine, shown_here = gradient(own)
        assert gradient(slice(None))[0] == value  # a process alone
        parts = [None] * number
        distributed.all_gather_object(parts, (float(part), float((mine - whole[own]).abs().max())))
        results[f"{name} {positives}"] = [
            float(value), sum(part for part, _ in parts), max(difference for _, difference in parts),
            float(shown), float(shown_here),
        ]
if distributed.get_rank() == 0:
    print(json.dumps(results))
distributed.destroy_process_group()
"""
)


@pytest.mark.parametrize("number", [2, 4])
@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_the_parts_add_up_to_the_whole_batch(backend, number, tmp_path):
    if keras.backend.backend() != backend:
        pytest.skip(f"a test of {backend}")
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    program = tmp_path / "program.py"
    program.write_text({"tensorflow": TENSORFLOW, "torch": TORCH}[backend])
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
    command = [sys.executable, *(torchrun if backend == "torch" else []), str(program), str(number)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    results = json.loads(run.stdout.splitlines()[-1])
    assert len(results) == 14
    for name, (whole, parts, difference, metric, metric_of_parts) in results.items():
        assert parts == pytest.approx(whole, rel=1e-6), name
        assert difference < 1e-6, name
        assert metric_of_parts == pytest.approx(metric, rel=1e-6), name
