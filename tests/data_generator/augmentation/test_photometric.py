import cv2
import numpy as np
import pytest

from multibox.data_generator.augmentation.photometric import PhotometricDistortion

NONE = {"brightness": 0.0, "contrast": (1.0, 1.0), "saturation": (1.0, 1.0), "hue": 0.0, "probability": 1.0}
IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def distort(image=IMAGE, seed=0, **options):
    return PhotometricDistortion(**{**NONE, **options})(image, np.random.default_rng(seed))


def test_nothing_to_do_is_the_identity():
    np.testing.assert_array_equal(distort(), IMAGE)
    np.testing.assert_array_equal(
        PhotometricDistortion(probability=0.0)(IMAGE, np.random.default_rng(0)), IMAGE
    )


@pytest.mark.parametrize("seed", range(8))
def test_brightness_shifts_and_saturates(seed):
    out = distort(seed=seed, brightness=32.0).astype(int)
    inner = (out > 0) & (out < 255)
    shifts = np.unique((out - IMAGE)[inner])
    assert len(shifts) == 1
    assert abs(shifts[0]) <= 32
    np.testing.assert_array_equal(out, np.clip(IMAGE.astype(int) + shifts[0], 0, 255))


@pytest.mark.parametrize("seed", range(8))  # both orders
def test_contrast_is_about_the_middle_gray(seed):
    out = distort(seed=seed, contrast=(0.5, 0.5))
    np.testing.assert_allclose(out, 127.5 + 0.5 * (IMAGE - 127.5), atol=0.5)


def test_brightness_comes_before_contrast():
    gray = np.full((4, 4, 3), 100, np.uint8)
    for seed in range(8):
        shift = np.random.default_rng(seed)
        shift.random()
        shift = shift.uniform(-32, 32)
        expected = 127.5 + 1.5 * (100 + shift - 127.5)
        np.testing.assert_allclose(
            distort(gray, seed, brightness=32.0, contrast=(1.5, 1.5)), expected, atol=1.3
        )


def test_saturation_to_zero_is_gray_and_keeps_the_value():
    out = distort(saturation=(0.0, 0.0))
    np.testing.assert_array_equal(out, np.repeat(IMAGE.max(axis=2, keepdims=True), 3, axis=2))


def hsv(image):
    """Hue in degrees, saturation and value 0..1, not rounded."""
    return cv2.cvtColor(np.float32(image) / 255, cv2.COLOR_RGB2HSV)


def test_hue_turns_and_keeps_saturation_and_value():
    colors = np.ones((1, 360, 3), np.float32)
    colors[0, :, 0] = np.arange(360)
    colors = np.rint(255 * cv2.cvtColor(colors, cv2.COLOR_HSV2RGB)).astype(np.uint8)
    before, turns = hsv(colors)[0], []
    for seed in range(30):
        after = hsv(distort(colors, seed, hue=36.0))[0]
        turn = (after[:, 0] - before[:, 0] + 180) % 360 - 180
        turns.append(np.median(turn))
        assert np.ptp(turn) < 3  # the color wheel is closed; hues are rounded to 1.4 degrees
        assert abs(turn).max() < 37.5
        np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=0.01)
    assert min(turns) < -25
    assert max(turns) > 25


def test_the_input_is_not_changed():
    copy = IMAGE.copy()
    PhotometricDistortion(probability=1.0)(IMAGE, np.random.default_rng(1))
    np.testing.assert_array_equal(IMAGE, copy)


def test_both_orders_occur():
    # Saturation 1.5 takes the lows to 0; contrast 0.5 after it lifts them to 64, before it leaves about 51.
    red = np.full((1, 1, 3), (200, 50, 50), np.uint8)
    options = {"contrast": (0.5, 0.5), "saturation": (1.5, 1.5)}
    last = [distort(red, seed, **options)[0, 0, 1] > 58 for seed in range(200)]
    assert 0.4 < np.mean(last) < 0.6
