import numpy as np
import pytest

from multibox.data_generator import (
    Expand,
    Flip,
    IoUCrop,
    PhotometricDistortion,
    SampleTransform,
    load_shapes,
    ssd_eval,
    ssd_train,
    ssdlite_train,
)
from multibox.data_generator.presets import ALL_INTERPOLATIONS


def test_ssd_train_is_the_chain_of_the_paper():
    preset = ssd_train()
    assert preset.image_size == (300, 300)
    assert preset.geometry == (Expand(), IoUCrop(), Flip())
    assert preset.photometric == PhotometricDistortion()
    assert preset.interpolations == ALL_INTERPOLATIONS
    assert preset.fill == (123, 117, 104)


def test_ssdlite_train_crops_and_flips_only():
    preset = ssdlite_train()
    assert preset.image_size == (320, 320)
    assert preset.geometry == (IoUCrop(), Flip())
    assert preset.photometric is None


def test_ssd_eval_shows_the_whole_image():
    record = load_shapes(1)[0]
    image, view = ssd_eval((40, 60))(record, np.random.default_rng(0))
    assert image.shape == (40, 60, 3)
    assert view.rect.tolist() == [0, 0, record.width, record.height]


def test_every_interpolation_is_drawn():
    plain = SampleTransform((50, 50), interpolations=ALL_INTERPOLATIONS)
    record = load_shapes(1)[0]
    assert len({plain(record, np.random.default_rng(s))[0].tobytes() for s in range(60)}) == 5


@pytest.mark.parametrize("size", [300, (300,), (0, 5)])
def test_impossible_sizes(size):
    with pytest.raises(ValueError, match=r"image_size: expected \(height, width\)"):
        ssd_train(size)
