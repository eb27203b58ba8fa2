"""A backbone of KerasHub, which this package does not need."""

import keras
import numpy as np
import pytest

import multibox as mb

keras_hub = pytest.importorskip("keras_hub", reason="KerasHub is not installed")
SIZE = (96, 128)


def test_a_backbone_of_keras_hub(tmp_path):
    backbone = keras_hub.models.CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 1, 1, 1],
        stackwise_strides=[2, 2, 2, 2],
        stackwise_num_filters=[8, 16, 16, 16],
        block_type="dark_block",
        stage_type="dark",
        image_shape=(*SIZE, 3),
    )
    model = mb.SSD(backbone, 2, sources=(8, 16), extras=(8,), head="separable", pixels="torch")
    assert [level.grid for level in mb.anchors_of(model).levels] == [(12, 16), (6, 8), (3, 4)]
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    images = np.zeros((1, *SIZE, 3), np.uint8)
    np.testing.assert_array_equal(again.predict(images, verbose=0), model.predict(images, verbose=0))
