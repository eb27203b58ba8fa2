"""What every layer of the package must do: be configured, traced, called, saved and loaded."""

import keras
import numpy as np

# None of them a default, so that a forgotten one shows.
DECODING_OPTIONS = {
    "confidence_threshold": 0.3,
    "iou_threshold": 0.6,
    "max_detections": 7,
    "max_candidates": 11,
    "class_agnostic": True,
}


def check_layer(layer, inputs, tmp_path):
    """Config round trip, symbolic call, eager call, save and load; returns the output as NumPy.

    Args:
        layer: a layer.
        inputs: its call arguments, each an array or a list of arrays.
        tmp_path: folder for the file.
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
