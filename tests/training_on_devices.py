"""Trainings on virtual CPU devices, beside the same ones on one device.

`python training_on_devices.py BACKEND NUMBER FOLDER PART ...` prints the results of some PARTS as
JSON. Devices have to be made before a backend starts, so each number of them needs a process of its own.
"""

import json
import os
import sys
from pathlib import Path

IMAGES, CLASSES, SIDE = 8, 4, 32
POSITIVES = (37, 7, 0, 1, 2, 0, 3, 30)  # of the images, unevenly spread, also over the devices
BATCHES = (8, 3)  # the last batch has fewer images than there are devices, or an odd number


def start(backend, number):
    """Makes virtual devices; PyTorch has none."""
    os.environ |= {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if backend == "jax":
        os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={number}"
    if backend != "tensorflow":
        return
    import tensorflow as tf

    [cpu] = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration()] * number
    tf.config.set_logical_device_configuration(cpu, devices)


def network(activation="softmax", *, batch_norm=False, seed=0):
    """A network, without BatchNorm or with one after its first convolution."""
    import keras

    import multibox as mb

    keras.utils.set_random_seed(seed)

    def backbone(images):
        fine = keras.layers.Conv2D(4, 3, 8, "same", activation="relu")(images)
        if batch_norm:
            fine = keras.layers.BatchNormalization(momentum=0.5)(fine)
        return {"fine": fine, "coarse": keras.layers.Conv2D(4, 3, 2, "same", activation="relu")(fine)}

    return mb.SSD(
        backbone,
        CLASSES,
        image_size=(SIDE, SIDE),
        extras=[],
        activation=activation,
        weight_decay=0.1,
    )


def batches(model):
    """A PyDataset of `BATCHES`, with targets by hand."""
    import keras
    import numpy as np

    anchors = model.output_shape[1]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, SIDE, SIDE, 3)).astype(np.uint8)
    targets = np.zeros((IMAGES, anchors, 4 + 1 + CLASSES), np.float32)
    targets[..., 4] = 1
    for target, number in zip(targets, POSITIVES, strict=True):
        mine = rng.choice(anchors, number, replace=False)
        target[mine, 4] = 0
        target[mine, 5 + rng.integers(0, CLASSES, number)] = 1
        target[mine, :4] = rng.normal(size=(number, 4))

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return len(BATCHES)

        def __getitem__(self, batch):
            return images[: BATCHES[batch]], targets[: BATCHES[batch]]

    return Batches()


def optimizer(**options):
    import keras

    return keras.optimizers.SGD(1e-2, **options)


def losses(number, folder):
    """One epoch for each loss, on one and on several devices."""
    import multibox as mb

    made = {
        "mining": lambda: mb.SSDLoss(),
        "focal": lambda: mb.SSDFocalLoss(),
    }
    results = {}
    for name, loss in made.items():
        runs = []
        for devices in (None, number):
            model = network("sigmoid" if name == "focal" else "softmax")
            path = folder / f"{name}-{devices}"
            history = mb.train(
                model,
                batches(model),
                path,
                epochs=1,
                optimizer=optimizer(),
                loss=loss(),
                devices=devices,
                validation_data=batches(model),
                verbose=0,
            )
            runs.append((model, history.history))
        results[name] = compared(*runs)
    return results


def resumed(number, folder):
    """Three epochs on one device, and on several, one and several again."""
    import multibox as mb

    runs = []
    for name, order in (("one", (None,)), ("several", (number, None, "all"))):
        for epoch, devices in enumerate(order):
            model = network()
            history = mb.train(
                model,
                batches(model),
                folder / name,
                epochs=3 if name == "one" else epoch + 1,
                optimizer=optimizer(momentum=0.9),
                devices=devices,
                resume=epoch > 0,
                verbose=0,
            )
        runs.append((model, history.history))
    return {"resumed": compared(*runs)}


def interrupted(number, folder):
    """A run on one device, and one that fails within an epoch on several, goes on there, and ends on one."""
    import keras

    import multibox as mb

    class Failure(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if fails and batch == 1:
                raise RuntimeError("power cut")

    runs = []
    for name, order in (
        ("plain", [(None, False)]),
        ("cut", [(number, True), (number, False), (None, False)]),
    ):
        for attempt, (devices, fails) in enumerate(order):
            model = network()
            given = {"optimizer": optimizer(momentum=0.9), "augmentation": mb.resize_only((SIDE, SIDE))}
            given |= {"callbacks": [Failure()], "checkpoint_minutes": 0, "verbose": 0, "batch_size": 2}
            epochs = 2 if name == "plain" or attempt == 2 else 1
            data = mb.load_shapes(7, (SIDE, SIDE))
            try:
                history = mb.train(
                    model, data, folder / name, epochs=epochs, devices=devices, resume=attempt > 0, **given
                )
            except RuntimeError:
                assert fails
                assert keras.distribution.distribution() is None
                model.get_weights()
        runs.append((model, history.history))
    return {"interrupted": compared(*runs)}


def whole(number, folder):
    """A data set with validation, mAP, averaged weights, a cut of the rate, and many checkpoints."""
    import keras

    import multibox as mb

    runs = []
    for devices in (None, number):
        model = network()
        data = mb.load_shapes(6, (SIDE, SIDE))
        history = mb.train(
            model,
            data,
            folder / f"whole-{devices}",
            epochs=2,
            batch_size=4,
            augmentation=mb.resize_only((SIDE, SIDE)),
            validation_data=data[:5],
            optimizer=optimizer(use_ema=True, ema_momentum=0.5),
            callbacks=[keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=100)],
            checkpoint_minutes=0,
            devices=devices,
            verbose=0,
        )
        runs.append((model, history.history))
    best = keras.models.load_model(folder / f"whole-{number}" / "best.keras")
    return {"whole": compared(*runs) | {"best": len(best.weights)}}


def compared(one, several):
    """How far two runs are apart, and what the optimizer and the variables of the second look like."""
    import keras
    import numpy as np

    (model, history), (other, history_of_other) = one, several
    weights = [abs(a - b).max() for a, b in zip(model.get_weights(), other.get_weights(), strict=True)]
    start = network().get_weights()
    assert history.keys() == history_of_other.keys()
    logs = {
        name: float(np.max(np.abs(np.subtract(history[name], values)) / (np.abs(values) + 1e-9)))
        for name, values in history_of_other.items()
    }
    return {
        "weights": float(max(weights)),
        "logs": logs,
        "iterations": int(other.optimizer.iterations),
        "steps": int(model.optimizer.iterations),
        "moved": float(max(abs(a - b).max() for a, b in zip(start, model.get_weights(), strict=True))),
        "is_home": type(other.weights[0].value) is type(model.weights[0].value)
        and keras.distribution.distribution() is None,
    }


def accumulating(number, folder):
    """Updates after every third step; on several devices, the run ends within an accumulation and goes on."""
    import multibox as mb

    runs = []
    for name, order in (("one", (None,)), ("several", (number, number, None))):
        for epoch, devices in enumerate(order):
            model = network()
            history = mb.train(
                model,
                batches(model),
                folder / f"accumulating-{name}",
                epochs=3 if name == "one" else epoch + 1,
                optimizer=optimizer(momentum=0.9, gradient_accumulation_steps=3),
                devices=devices,
                resume=epoch > 0,
                verbose=0,
            )
        runs.append((model, history.history))
    return {"accumulating": compared(*runs)}


def batch_norm(number, folder):
    """The moving averages of a BatchNorm after a step with whole batches."""
    import multibox as mb

    means = []
    for devices in (None, number):
        model = network(batch_norm=True)
        data = batches(model)
        type(data).__len__ = lambda self: 1
        path = folder / f"batch_norm-{devices}"
        mb.train(model, data, path, epochs=1, optimizer=optimizer(), devices=devices, verbose=0)
        means.append([weight.numpy() for weight in model.non_trainable_weights])
    one, several = means
    return {"batch_norm": [float(abs(a - b).max() / abs(a).max()) for a, b in zip(one, several, strict=True)]}


def skipping(number, folder):
    """A step whose loss is not finite is left out, also of the averages."""
    import numpy as np

    import multibox as mb

    runs = []
    for devices in (None, number):
        model = network()
        data = batches(model)
        get = type(data).__getitem__

        def broken(self, batch, get=get):
            images, targets = get(self, 0)
            return images, np.where(batch == 1, np.nan, 1) * targets

        type(data).__getitem__ = broken
        type(data).__len__ = lambda self: 3
        path = folder / f"skipping-{devices}"
        options = {"optimizer": optimizer(), "on_nan": "skip", "devices": devices, "verbose": 0}
        history = mb.train(model, data, path, epochs=1, **options)
        runs.append((model, history.history))
    assert runs[1][1]["skipped_steps"] == [1]
    return {"skipping": compared(*runs)}


def scope(number, folder):
    """An optimizer that was made outside the scope of its model."""
    import tensorflow as tf

    import multibox as mb

    with tf.distribute.MirroredStrategy([f"/CPU:{i}" for i in range(number)]).scope():
        model = network()
    try:
        mb.train(model, batches(model), folder / "scope", epochs=1, optimizer=optimizer())
    except ValueError as error:
        return {"scope": str(error)}


PARTS = {
    part.__name__: part
    for part in (losses, resumed, interrupted, whole, accumulating, batch_norm, skipping, scope)
}


def main(backend, number, folder, *parts):
    number, folder = int(number), Path(folder)
    start(backend, number)
    results = {}
    for part in parts:
        results |= PARTS[part](number, folder)
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
