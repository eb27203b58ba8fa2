import keras
import numpy as np
import pytest

import multibox as mb
from multibox.deprecated import renamed_arguments
from multibox.layers import DecodeDetections

SIZE = (64, 64)


def test_arguments_by_their_former_names():
    @renamed_arguments(old="new")
    def function(first, new=1):
        """What it does."""
        return first, new

    with pytest.warns(DeprecationWarning, match="function: old is now called new") as caught:
        assert function(0, old=5) == (0, 5)
    assert caught[0].filename == __file__
    assert function(0, new=5) == (0, 5)
    assert function.__doc__ == "What it does."
    with (
        pytest.warns(DeprecationWarning),
        pytest.raises(TypeError, match="new is given twice, also under its former name"),
    ):
        function(0, new=1, old=2)


def test_a_focal_loss_in_the_former_words_is_the_same():
    with pytest.warns(DeprecationWarning, match="SSDFocalLoss: balance is now called alpha"):
        former = mb.SSDFocalLoss(focus=1.5, balance=0.75, alpha=0.25)
    assert former.get_config() == mb.SSDFocalLoss(1.5, 0.75, 0.25).get_config()


def test_alpha_alone_is_the_papers():
    """It used to be the weight of the localization, so that alpha=0.25 quartered the box loss."""
    loss = mb.SSDFocalLoss(alpha=0.5)
    assert (loss.alpha, loss.localization_weight) == (0.5, 1.0)


def test_the_weight_of_the_localization():
    with pytest.warns(DeprecationWarning, match="SSDLoss: alpha is now called localization_weight"):
        assert mb.SSDLoss(alpha=0.5).localization_weight == 0.5


def test_top_k():
    model = mb.SSD7(2, image_size=SIZE)
    with pytest.warns(DeprecationWarning, match="top_k is now called max_detections"):
        assert mb.to_inference(model, top_k=3).output_shape == (None, 3, 6)
    with pytest.warns(DeprecationWarning, match="top_k is now called max_detections"):
        assert mb.SSD7(2, image_size=SIZE, mode="inference", top_k=3).output_shape == (None, 3, 6)
    with pytest.warns(DeprecationWarning, match="top_k is now called max_detections"):
        assert DecodeDetections(top_k=3).max_detections == 3


def test_an_encoder_of_anchors_by_their_former_name():
    anchors = mb.anchors.ssd7_anchors(SIZE)
    with pytest.warns(DeprecationWarning, match="anchors is now called model"):
        encoder = mb.GroundTruthEncoder(anchors=anchors, num_classes=2)
    np.testing.assert_array_equal(encoder([], []), mb.GroundTruthEncoder(anchors, 2)([], []))


def test_train_with_data(tmp_path):
    model, images = mb.SSD7(4, image_size=SIZE), mb.load_shapes(2, SIZE)
    with pytest.warns(DeprecationWarning, match="train: data is now called dataset"):
        mb.train(model, data=images, output=tmp_path, epochs=1, optimizer=keras.optimizers.SGD(), verbose=0)


def test_the_center_of_a_mosaic():
    images = mb.load_shapes(2, SIZE)
    with pytest.warns(DeprecationWarning, match="Mosaic: centre is now called center"):
        assert mb.data_generator.Mosaic(images, centre=(0.5, 0.5)).center == (0.5, 0.5)
