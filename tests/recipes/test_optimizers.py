import keras
import pytest

import multibox as mb
from multibox.recipes import adam_with_cosine_decay, paper_sgd, torchvision_ssdlite_sgd
from multibox.recipes.optimizers import default_rate


def rate(optimizer, step):
    return float(keras.ops.convert_to_numpy(optimizer._learning_rate(step)))


def test_paper():
    sgd = paper_sgd()
    assert float(sgd.momentum) == 0.9
    for step, expected in ((0, 1e-3), (79_999, 1e-3), (80_001, 1e-4), (100_001, 1e-5), (119_999, 1e-5)):
        assert rate(sgd, step) == pytest.approx(expected)


def test_torchvision_ssdlite():
    sgd = torchvision_ssdlite_sgd(steps=11_000, batch_size=64)
    assert float(sgd.momentum) == 0.9
    assert rate(sgd, 0) == pytest.approx(0.05 / 1000)
    assert rate(sgd, 500) == pytest.approx(0.025, rel=0.01)
    assert rate(sgd, 1000) == pytest.approx(0.05)
    assert rate(sgd, 6000) == pytest.approx(0.025)
    assert rate(sgd, 11_000) == pytest.approx(0, abs=1e-6)


def test_adam():
    adam = adam_with_cosine_decay(1e-2, 1000)
    assert rate(adam, 0) == pytest.approx(1e-3)
    assert rate(adam, 50) == pytest.approx(1e-2)
    assert rate(adam, 1000) == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("family", "expected"),
    [("MobileNetV2", 1e-3), ("EfficientNetV2B0", 1e-3), ("ResNet50", 1e-4), ("ConvNeXtTiny", 1e-4)],
)
def test_the_rate_follows_the_family_of_the_backbone(family, expected):
    backbone = getattr(keras.applications, family)(include_top=False, weights=None, input_shape=(64, 64, 3))
    model = mb.SSD(backbone, 2, extras=(8,))
    assert default_rate(model) == expected
    assert default_rate(mb.SSD7(2, image_size=(64, 64))) == 4e-3
