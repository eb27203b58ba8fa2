"""The contract of every layer: it can be configured, traced, called, saved and loaded."""

import keras
import numpy as np

# None of them is a default, so a test notices an option that is not saved.
DECODING_OPTIONS = {
    "confidence_threshold": 0.3,
    "iou_threshold": 0.6,
    "max_detections": 7,
    "max_candidates": 11,
    "class_agnostic": True,
}


def check_layer(layer, inputs, tmp_path):
    """Checks config round trip, symbolic call, eager call, save and load; returns the output as NumPy.

    Args:
        layer: the layer to check.
        inputs: its call arguments, each an array or a list of arrays.
        tmp_path: folder for the saved model.
    """
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()

    def symbol(array):
        return keras.Input(array.shape[1:], batch_size=array.shape[0], dtype=str(array.dtype))

    symbols = keras.tree.map_structure(symbol, inputs)
    symbolic = layer(*symbols)
    output = keras.ops.convert_to_numpy(layer(*inputs))
    assert tuple(symbolic.shape) == output.shape
    assert str(symbolic.dtype) == output.dtype.name

    path = tmp_path / "model.keras"
    keras.Model(keras.tree.flatten(symbols), symbolic).save(path)
    reloaded = keras.models.load_model(path)
    again = keras.ops.convert_to_numpy(reloaded(keras.tree.flatten(inputs)))
    np.testing.assert_array_equal(again, output)
    return output
