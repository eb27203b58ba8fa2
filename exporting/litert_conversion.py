"""Converts the network of a detector to LiteRT. Keras must run on TensorFlow."""

from __future__ import annotations

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ..layers.multibox import multibox_of


def run(detector: keras.Model, path: str, precision: str, images: str | None) -> None:
    """Writes a `.tflite` file from images (1, height, width, channels) uint8 to offsets and logits.

    Args:
        detector: a model that ends in `DecodeDetections`.
        path: path of the file.
        precision: "float32", "float16", "dynamic" or "int8".
        images: path of an array (n, height, width, channels) uint8 for the calibration, or None.
    """
    with tempfile.TemporaryDirectory(prefix="multibox-") as folder:
        _save_network(detector, tf.float32 if precision == "int8" else tf.uint8, folder)
        # Of what else the converter takes, it leaves out the weights or the names of inputs and outputs.
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        _configure(converter, precision, images)
        Path(path).write_bytes(converter.convert())


def _configure(converter, precision, images):
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.representative_dataset = lambda: _calibration(np.load(images))


def _save_network(detector, dtype, folder):
    multibox = multibox_of(detector)
    network = keras.Model(detector.inputs[0], multibox.output)
    shape = (1, *detector.input_shape[1:])

    @tf.function(input_signature=[tf.TensorSpec(shape, dtype, name="images")])
    def predict(images):
        predictions = network(tf.cast(images, tf.float32), training=False)
        return {"offsets": predictions[..., :4], "logits": predictions[..., 4:]}

    module = tf.Module()
    module.weights = [variable.value for variable in network.variables]
    tf.saved_model.save(module, folder, signatures=predict)


def _calibration(images):
    """The images as the converter takes them. Two pixels make the input's numbers those of the pixels."""
    for image in images:
        image = image.astype(np.float32)
        image[0, 0], image[0, -1] = 0, 255
        yield [image[None]]
