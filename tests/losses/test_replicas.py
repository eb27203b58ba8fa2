"""Losses on the replicas of `tf.distribute`, against the same losses on the whole batch."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("needs TensorFlow", allow_module_level=True)

PROGRAM = """
import json, sys

import numpy as np
import tensorflow as tf

number = int(sys.argv[1])
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * number)

import multibox as mb

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


@pytest.mark.parametrize("number", [2, 4])
def test_the_parts_add_up_to_the_whole_batch(number):
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(number)], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-3000:]
    results = json.loads(run.stdout.splitlines()[-1])
    assert len(results) == 14
    for name, (whole, parts, difference, metric, metric_of_parts) in results.items():
        assert parts == pytest.approx(whole, rel=1e-6), name
        assert difference < 1e-6, name
        assert metric_of_parts == pytest.approx(metric, rel=1e-6), name
