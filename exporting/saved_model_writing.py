"""A detector as a TensorFlow module with signatures. Keras must run on TensorFlow."""

from __future__ import annotations

import keras
import tensorflow as tf

from ..layers.multibox import multibox_of
from .checking import check_outputs, noise
from .encoded_pictures import read_pictures


def run(detector: keras.Model, folder: str) -> None:
    """Writes the SavedModel, and compares what TensorFlow loads from it with Keras.

    Args:
        detector: a model that ends in `DecodeDetections`.
        folder: path of a folder.

    Raises:
        DisagreementError: if they disagree.
    """
    module, signatures = _module(detector)
    tf.saved_model.save(module, folder, signatures=signatures)
    loaded = tf.saved_model.load(folder)
    images = noise(detector.input_shape[1:])
    found = loaded.serve(images)["detections"].numpy()
    check_outputs(detector, images, loaded.predictions(images).numpy(), found)


def _module(detector):
    """The module, and {name: function} of what a server offers."""
    shape = (None, *detector.input_shape[1:])
    network = keras.Model(detector.inputs[0], multibox_of(detector).output)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8, name="images")])
    def serve(images):
        return {"detections": detector(tf.cast(images, tf.float32), training=False)}

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="images")])
    def serve_float(images):
        return {"detections": detector(images, training=False)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def serve_encoded(image_bytes):
        images, sizes = read_pictures(image_bytes, shape[1:])
        return {**serve(images), "sizes": sizes}

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8, name="images")])
    def predictions(images):
        return network(tf.cast(images, tf.float32), training=False)

    module = tf.Module(name=detector.name)
    module.weights = [variable.value for variable in detector.variables]
    module.serve, module.serve_float, module.predictions = serve, serve_float, predictions
    signatures = {"serving_default": serve, "float": serve_float}
    if shape[-1] in (1, 3):  # what JPEG and PNG files can hold
        module.serve_encoded = signatures["encoded"] = serve_encoded
    return module, signatures
