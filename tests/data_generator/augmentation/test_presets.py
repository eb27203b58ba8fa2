from dataclasses import replace

import numpy as np
import pytest
from colored_boxes import BLACK, assert_boxes_on_colors, colored_record, magnification

from multibox.data_generator import (
    Expand,
    Flip,
    IoUCrop,
    OneOf,
    Patch,
    PhotometricDistortion,
    Record,
    RightAngleTurn,
    SampleTransform,
    Scale,
    Translate,
    VerticalFlip,
    constant_size_augmentation,
    load_shapes,
    resize_only,
    satellite_augmentation,
    ssd_augmentation,
    ssdlite_augmentation,
    variable_size_augmentation,
)
from multibox.data_generator.augmentation.presets import ALL_INTERPOLATIONS


def test_ssd_train_is_the_chain_of_the_paper():
    preset = ssd_augmentation()
    assert preset.image_size == (300, 300)
    assert preset.geometry == (Expand(), IoUCrop(), Flip())
    assert preset.photometric == PhotometricDistortion()
    assert preset.interpolations == ALL_INTERPOLATIONS
    assert preset.fill == (123, 117, 104)


def test_ssdlite_train_crops_and_flips_only():
    preset = ssdlite_augmentation()
    assert preset.image_size == (320, 320)
    assert preset.geometry == (IoUCrop(), Flip())
    assert preset.photometric is None


def test_ssd_eval_shows_the_whole_image():
    record = load_shapes(1)[0]
    image, view = resize_only((40, 60))(record, np.random.default_rng(0))
    assert image.shape == (40, 60, 3)
    assert view.rect.tolist() == [0, 0, record.width, record.height]


def test_every_interpolation_is_drawn():
    plain = SampleTransform((50, 50), interpolations=ALL_INTERPOLATIONS)
    record = load_shapes(1)[0]
    assert len({plain(record, np.random.default_rng(s))[0].tobytes() for s in range(60)}) == 5


@pytest.mark.parametrize("size", [300, (300,), (0, 5)])
def test_impossible_sizes(size):
    with pytest.raises((TypeError, ValueError), match=r"image_size(:| must be)"):
        ssd_augmentation(size)


STRONG = PhotometricDistortion(48.0, (0.5, 1.8), (0.5, 1.8))


def test_satellite_train_turns_and_takes_a_patch():
    preset = satellite_augmentation((300, 600))
    assert preset.image_size == (300, 600)
    assert preset.geometry == (Flip(), VerticalFlip(), RightAngleTurn(), Patch((0.3, 2.0), (1.6, 2.5)))
    assert preset.photometric == STRONG


def test_constant_size_train_zooms_and_shifts_in_either_order():
    preset = constant_size_augmentation((200, 300))
    assert preset.image_size == (200, 300)
    in_last, out_first = (Translate(), Scale((1.0, 2.0))), (Scale((0.5, 1.0)), Translate())
    assert preset.geometry == (OneOf((in_last, out_first)), Flip())
    assert preset.photometric == STRONG


def test_variable_size_train_takes_a_patch():
    preset = variable_size_augmentation((300, 300))
    assert preset.image_size == (300, 300)
    assert preset.geometry == (Patch((0.3, 2.0), (0.5, 2.0)), Flip())
    assert preset.photometric == STRONG


NEW_PRESETS = [satellite_augmentation, constant_size_augmentation, variable_size_augmentation]


@pytest.mark.parametrize("image_size", [(160, 160), (100, 220), (220, 100)])
@pytest.mark.parametrize("preset", NEW_PRESETS)
def test_boxes_of_new_presets_are_where_their_pixels_are(preset, image_size):
    plain = replace(preset(image_size), photometric=None, interpolations=(0,), fill=BLACK)
    objects = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        image, view = plain(colored_record(rng, (300, 200) if seed % 2 else (170, 260)), rng)
        assert image.shape == (*image_size, 3)
        assert_boxes_on_colors(image, view, 1 + 0.5 * max(1.0, magnification(view, image_size)))
        objects += len(view.labels)
    assert objects > 60


@pytest.mark.parametrize("preset", NEW_PRESETS)
def test_new_presets_distort_and_repeat(preset):
    record, preset = load_shapes(1)[0], preset((40, 60))
    first, again, other = (preset(record, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1].relative_boxes(), again[1].relative_boxes())
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize("preset", NEW_PRESETS)
def test_impossible_sizes_of_new_presets(preset):
    with pytest.raises(TypeError, match="image_size must be 2 values, each a whole number, got int 300"):
        preset(300)


def test_patches_of_a_turned_view_are_stretched_no_more_than_others():
    """For an input twice as wide as high, each object keeps its shape within a quarter."""
    square = Record("square", lambda: np.zeros((200, 300, 3), np.uint8), 300, 200, *one_square())
    preset, shapes = satellite_augmentation((150, 300)), []
    for seed in range(300):
        view = preset(square, np.random.default_rng(seed))[1]
        if view.rect.tolist() != [0, 0, 300, 200]:  # or there was no patch with the object
            shapes.append(np.divide(*(view.size[::-1] if view.turns % 2 else view.size)) / 2)
    assert len(shapes) > 250
    assert min(shapes) > 0.78
    assert max(shapes) < 1.28


def one_square():
    return np.array([[100, 50, 200, 150]], np.float32), np.array([1], np.int32)
