import keras
import numpy as np
import pytest
from layer_contract import check_layer

from multibox.layers import BatchNormalization

KERAS = keras.layers.BatchNormalization
POLICIES = ["float32", "mixed_bfloat16", "mixed_float16"]


def images(shape, seed=0):
    return np.random.default_rng(seed).normal(3, 5, shape).astype(np.float32)


def built(kind, shape, **options):
    layer = kind(momentum=0.7, **options)
    layer.build(shape)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.get_weights()])
    return layer


def numpy(x):
    return keras.ops.convert_to_numpy(keras.ops.cast(x, "float32"))


def test_contract(tmp_path):
    layer = BatchNormalization(momentum=0.6, epsilon=1e-4, scale=False)
    output = check_layer(layer, [images((2, 3, 5, 4))], tmp_path)
    np.testing.assert_allclose(output, images((2, 3, 5, 4)) / np.sqrt(1 + 1e-4), rtol=1e-6)


def test_two_values_by_hand():
    """Mean 3, variance 4 (divided by n = 2); the moving ones start at 0 and 1."""
    layer = BatchNormalization(momentum=0.75, epsilon=0)
    output = layer(np.array([1.0, 5.0], np.float32).reshape(2, 1, 1, 1), training=True)
    np.testing.assert_allclose(numpy(output).ravel(), [-1, 1], rtol=1e-6)
    np.testing.assert_allclose(numpy(layer.moving_mean), [0.75], rtol=1e-6)
    np.testing.assert_allclose(numpy(layer.moving_variance), [0.75 + 1], rtol=1e-6)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("shape", [(3, 5, 7, 4), (2, 1, 1, 4), (1, 1, 1, 4), (6, 4)])
def test_results_of_keras(shape, policy):
    ours, theirs = (built(kind, shape, dtype=policy) for kind in (BatchNormalization, KERAS))
    for training in (True, False):
        expected = theirs(images(shape), training=training)
        output = ours(images(shape), training=training)
        assert output.dtype == expected.dtype
        np.testing.assert_allclose(numpy(output), numpy(expected), rtol=1e-5, atol=1e-5)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}, {"axis": 1}])
def test_training_of_keras(options):
    """The same weights after two steps: the gradients of the maps and of scale and offset are the same."""
    after = []
    for kind in (BatchNormalization, KERAS):
        keras.utils.set_random_seed(0)
        x = keras.Input((6, 6, 3))
        y = kind(**options)(keras.layers.Conv2D(5, 3)(x))
        y = keras.layers.Conv2D(2, 1)(keras.layers.Activation("relu")(y))
        model = keras.Model(x, y)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
        model.fit(images((4, 6, 6, 3)), images((4, 4, 4, 2), 1), epochs=2, batch_size=4, verbose=0)
        after.append(model.get_weights())
    for a, b in zip(*after, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
def test_one_operation_in_a_training_step_only():
    import tensorflow as tf

    layer = built(BatchNormalization, (None, 3, 3, 4))

    def operations(training):
        function = tf.function(lambda x: layer(x, training=training))
        graph = function.get_concrete_function(tf.TensorSpec((2, 3, 3, 4))).graph
        return {operation.type for operation in graph.get_operations()}

    assert "FusedBatchNormV3" in operations(True)
    assert "FusedBatchNormV3" not in operations(False)
    layer.trainable = False
    assert "FusedBatchNormV3" not in operations(True)


def test_weight_files_of_keras(tmp_path):
    """The layer's place in a weight file is that of Keras' layer."""
    models = []
    for kind in (BatchNormalization, KERAS):
        x = keras.Input((4, 4, 3))
        models.append(keras.Model(x, kind()(x)))
    ours, theirs = models
    theirs.layers[1].set_weights([images((3,), i) for i in range(4)])
    theirs.save_weights(tmp_path / "a.weights.h5")
    ours.load_weights(tmp_path / "a.weights.h5")
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
