from dataclasses import replace

import cv2
import numpy as np
import pytest

from multibox.data_generator.augmentation import render as render_module
from multibox.data_generator.augmentation.render import render
from multibox.data_generator.augmentation.view import Picture, View
from multibox.data_generator.images import ImageError

FILL = (1, 2, 3)
# A ramp: the red value is the column, the green one the row (each pixel 2 wide and 2 high).
RAMP = np.zeros((100, 200, 3), np.uint8)
RAMP[..., 0] = np.arange(200)
RAMP[..., 1] = np.arange(100)[:, None]


def view(rect, source=lambda: RAMP, size=(200, 100), **orientation):
    none, whole = np.zeros(0), (0.0, 0.0, *size)
    pictures = (Picture(source, size, whole, whole),)
    return View(pictures, np.array(rect, float), none.reshape(0, 4), none, none, **orientation)


def draw(rect, image_size, flipped=False, source=lambda: RAMP, **kwargs):
    return render(view(rect, source, flipped=flipped), image_size, cv2.INTER_LINEAR, FILL, **kwargs)


def test_the_whole_image_at_its_size():
    np.testing.assert_array_equal(draw([0, 0, 200, 100], (100, 200)), RAMP)


def test_a_patch_and_its_mirror_image():
    patch = RAMP[20:60, 50:130]
    np.testing.assert_array_equal(draw([50, 20, 130, 60], (40, 80)), patch)
    np.testing.assert_array_equal(draw([50, 20, 130, 60], (40, 80), flipped=True), patch[:, ::-1])


@pytest.mark.parametrize("flipped", [False, True])
def test_expanded_views_have_the_fill_outside(flipped):
    # The image takes the middle of a view of twice its size, but 20 pixels further to the right.
    out = draw([-80, -50, 320, 150], (100, 200), flipped)
    out = out[:, ::-1] if flipped else out
    inside = np.zeros((100, 200), bool)
    inside[25:75, 40:140] = True
    assert (out[~inside] == FILL).all()
    half = cv2.resize(RAMP, (100, 50), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(out[25:75, 40:140], half, atol=1)


def test_distortion_does_not_touch_the_fill():
    out = draw([-200, -100, 200, 100], (50, 50), distort=lambda pixels: pixels * 0 + 9)
    assert (out[:25] == FILL).all()
    assert (out[:, :25] == FILL).all()
    assert (out[25:, 25:] == 9).all()


def test_a_view_beside_the_image_is_all_fill():
    assert (draw([300, 0, 400, 50], (8, 8)) == FILL).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("size", [(100, 200), (50, 100), (30, 40), (12, 25), (7, 9)])
def test_reduced_decoding_shows_the_same(tmp_path, suffix, size):
    path = tmp_path / f"ramp{suffix}"
    cv2.imwrite(str(path), RAMP[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    out = draw([13, 7, 191, 93], size, source=str(path))
    expected = cv2.resize(RAMP[7:93, 13:191], size[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(out.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("size", [(30, 50), (120, 90)])
def test_lanczos_is_that_of_opencv(size):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    whole = view([0, 0, 80, 60], lambda: noise, (80, 60))
    out = render(whole, size, cv2.INTER_LANCZOS4, FILL)
    expected = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_LANCZOS4)
    np.testing.assert_allclose(out.astype(int), expected, atol=2)  # uint8 has coefficients of 11 bits


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_turned_views(flipped, turns):
    size = (100, 200) if turns % 2 == 0 else (200, 100)
    turned = view([0, 0, 200, 100], flipped=flipped, turns=turns)
    expected = np.rot90(RAMP[:, ::-1] if flipped else RAMP, -turns)
    np.testing.assert_array_equal(render(turned, size, cv2.INTER_LINEAR, FILL), expected)


def test_pictures_lie_where_they_are_placed():
    """Two halves of a scene, the right one cut at its window and half transparent."""
    red, blue = (np.full((10, 10, 3), color, np.uint8) for color in ((200, 0, 0), (0, 0, 200)))
    pictures = (
        Picture(lambda: red, (10, 10), (0, 0, 40, 40), (0, 0, 40, 40)),
        Picture(lambda: blue, (10, 10), (20, 0, 60, 40), (30, 0, 60, 30), opacity=0.5),
        Picture(lambda: blue, (10, 10), (0, 0, 20, 20), (30, 0, 60, 30)),  # nothing of it can be seen
    )
    scene = replace(view([0, 0, 80, 40]), pictures=pictures)
    out = render(scene, (40, 80), cv2.INTER_NEAREST, (100, 100, 100))
    expected = np.full((40, 80, 3), 100)
    expected[:, :40] = (200, 0, 0)
    expected[:30, 30:40] = (100, 0, 100)
    expected[:30, 40:60] = (50, 50, 150)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("side", [1, 2])
def test_tiny_parts_are_at_least_a_pixel(side):
    assert draw([199, 99, 199 + side, 99 + side], (30, 30)).shape == (30, 30, 3)


def test_a_size_that_differs_from_the_annotation(tmp_path):
    path = tmp_path / "turned.png"
    cv2.imwrite(str(path), RAMP.transpose(1, 0, 2))
    with pytest.raises(
        ImageError, match=r"turned\.png: the annotated size is 200x100 pixels, the image has 100x200"
    ):
        draw([0, 0, 200, 100], (30, 30), source=str(path))


@pytest.mark.parametrize("shape", [(99, 200), (100, 201)])
def test_a_size_that_differs_by_one(shape):
    with pytest.raises(ImageError, match="annotated size is 200x100"):
        draw([0, 0, 200, 100], (100, 200), source=lambda: np.zeros((*shape, 3), np.uint8))


@pytest.mark.parametrize(("side", "reduction"), [(800, 1), (400, 2), (401, 1), (200, 4), (90, 8)])
def test_decoded_at_the_smallest_scale_that_suffices(monkeypatch, side, reduction):
    seen, original = [], render_module.read_image

    def spy(source, *, reduction, size, **options):
        seen.append(reduction)
        return original(source, reduction=reduction, size=size)

    monkeypatch.setattr(render_module, "read_image", spy)
    whole = view([0, 0, 800, 800], lambda: np.zeros((800, 800, 3), np.uint8), (800, 800))
    render(whole, (side, side), cv2.INTER_LINEAR, FILL)
    assert seen == [reduction]
