import numpy as np
import pytest

from multibox import anchors
from multibox.anchors import AnchorLevel, AnchorSpec, ssd7_anchors, ssd_mobilenet_anchors


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("SSD300_VOC", 8732),
        ("SSD300_COCO", 8732),
        ("SSD512_VOC", 24564),
        ("SSD512_COCO", 24564),
        ("SSD300_TORCHVISION", 8732),
        ("SSD512_VOC_CAFFE", 24564),
        ("SSD512_COCO_CAFFE", 24564),
        ("SSDLITE320", 3234),
        ("SSD_MOBILENET_V1", 1917),
    ],
)
def test_number_of_anchors(name, count):
    spec = getattr(anchors, name)
    assert spec.num_anchors == count
    assert spec.cxcywh.shape == spec.xyxy.shape == (count, 4)


@pytest.mark.parametrize(("spec", "size"), [("SSD300_VOC", 300), ("SSD512_VOC", 512)])
def test_voc_anchors_equal_ssd_keras(small_golden, spec, size):
    expected = np.load(small_golden / "ssd_keras" / f"encoder_ssd{size}_voc.npz")["anchors_cxcywh"]
    np.testing.assert_allclose(getattr(anchors, spec).cxcywh, expected, rtol=0, atol=1e-6)


def test_voc_anchors_equal_caffe_priors(small_golden):
    expected = np.load(small_golden / "caffe" / "priorbox.npz")["mbox_priorbox"]
    np.testing.assert_allclose(anchors.SSD300_VOC.xyxy, expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(anchors.SSD300_VOC.variances, expected[1, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "ours", "size"),
    [("ssd300", anchors.SSD300_TORCHVISION, 300), ("ssdlite320", anchors.SSDLITE320, 320)],
)
def test_coco_anchors_equal_torchvision(golden, kind, ours, size):
    expected = np.load(golden / "torchvision" / f"{kind}_default_boxes.npz")["default_boxes"]
    np.testing.assert_allclose(ours.xyxy * size, expected, rtol=0, atol=1e-4)


def test_torchvision_limits_the_sides_of_a_few_anchors_only():
    differ = np.any(anchors.SSD300_TORCHVISION.cxcywh != anchors.SSD300_COCO.cxcywh, axis=1)
    assert np.flatnonzero(differ).tolist() == [8730, 8731]  # the last cell, ratios 2 and 1/2
    np.testing.assert_allclose(anchors.SSD300_TORCHVISION.cxcywh[8730, 2:], (1, 0.6151829), atol=1e-6)


def caffe_prior_boxes(first_percent, ratios):
    """Widths and heights of a cell of each level, as Caffe's SSD512 script and its PriorBox layer make them.

    The script hands over min_size and max_size in percent of 512; the layer stores both in an `int`.
    """
    starts = [first_percent, *ratios]
    step = ratios[1] - ratios[0]
    ends = [ratios[0], *(r + step for r in ratios)]
    cells = []
    for level, (low, high) in enumerate(zip(starts, ends, strict=True)):
        small, large = int(512 * low / 100), int(512 * high / 100)
        cell = [(small, small), (np.sqrt(small * large),) * 2]
        for ratio in (2,) if level in (0, 5, 6) else (2, 3):
            wide = (small * np.sqrt(ratio), small / np.sqrt(ratio))
            cell += [wide, wide[::-1]]
        cells.append(cell)
    return cells


@pytest.mark.parametrize(
    ("spec", "first_percent", "ratios"),
    [
        (anchors.SSD512_VOC_CAFFE, 7, (15, 30, 45, 60, 75, 90)),
        (anchors.SSD512_COCO_CAFFE, 4, (10, 26, 42, 58, 74, 90)),
    ],
)
def test_caffe_holds_prior_sizes_in_whole_pixels(spec, first_percent, ratios):
    for level, cell in zip(spec.levels, caffe_prior_boxes(first_percent, ratios), strict=True):
        np.testing.assert_allclose(level.sides, cell, rtol=1e-12)


def test_the_first_cell_of_caffes_ssd512_by_hand():
    expected = [(35, 35), (51.575188, 51.575188), (49.497475, 24.748737), (24.748737, 49.497475)]
    np.testing.assert_allclose(anchors.SSD512_VOC_CAFFE.levels[0].sides, expected, atol=1e-6)


def test_mobilenet_anchors_equal_the_detection_api(golden):
    expected = np.load(golden / "ssd_mobilenet_v1_coco" / "anchors.npz")["rule"]  # y, x, h, w
    ours = anchors.SSD_MOBILENET_V1.cxcywh[:, [1, 0, 3, 2]]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


def test_mobilenet_anchors_of_a_wide_image_by_hand():
    spec = ssd_mobilenet_anchors((160, 330), min_scale=0.3, max_scale=0.8)
    assert [v.grid for v in spec.levels] == [(10, 21), (5, 11), (3, 6), (2, 3), (1, 2), (1, 1)]
    assert spec.levels[1].step == (32, 30)
    # Scales 0.3, 0.4, ..., 0.8 and 1 of the shorter side.
    np.testing.assert_allclose(spec.levels[0].sides[:2], [(16, 16), (48 * 2**0.5, 48 / 2**0.5)])
    s = 0.4 * 160
    np.testing.assert_allclose(spec.levels[1].sides[3], (s * 3**0.5, s / 3**0.5))
    np.testing.assert_allclose(spec.levels[1].sides[5], ((0.4 * 0.5) ** 0.5 * 160,) * 2)
    np.testing.assert_allclose(spec.levels[5].sides[5], (0.8**0.5 * 160,) * 2)


@pytest.mark.parametrize(
    ("spec", "size", "scales", "steps", "grids"),
    [
        (
            anchors.SSD300_COCO,
            300,
            (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
            (8, 16, 32, 64, 100, 300),
            (38, 19, 10, 5, 3, 1),
        ),
        (
            anchors.SSD512_COCO,
            512,
            (0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06),
            (8, 16, 32, 64, 128, 256, 512),
            (64, 32, 16, 8, 4, 2, 1),
        ),
    ],
    ids=["300", "512"],
)
def test_coco_anchors_written_out_plainly(spec, size, scales, steps, grids):
    ratios = [(2,), *[(2, 3)] * (len(grids) - 3), (2,), (2,)]
    rows = []
    for k, grid in enumerate(grids):
        s = scales[k]
        sides = [(s, s), ((s * scales[k + 1]) ** 0.5,) * 2]
        for r in ratios[k]:
            sides += [(s * r**0.5, s / r**0.5), (s / r**0.5, s * r**0.5)]
        for y in range(grid):
            for x in range(grid):
                rows += [((x + 0.5) * steps[k] / size, (y + 0.5) * steps[k] / size, w, h) for w, h in sides]
    np.testing.assert_allclose(spec.cxcywh, rows, rtol=0, atol=1e-6)


def test_cells_of_a_non_square_image_by_hand():
    spec = AnchorSpec.from_scales((100, 200), [(1, 2)], scales=(0.5, 0.5), aspect_ratios=[(4,)])
    # The scale refers to the shorter side: 50 pixels; step 100 in both directions.
    expected = [
        [0.25, 0.5, 0.25, 0.5],
        [0.25, 0.5, 0.25, 0.5],
        [0.25, 0.5, 0.5, 0.25],
        [0.25, 0.5, 0.125, 1.0],
        [0.75, 0.5, 0.25, 0.5],
        [0.75, 0.5, 0.25, 0.5],
        [0.75, 0.5, 0.5, 0.25],
        [0.75, 0.5, 0.125, 1.0],
    ]
    np.testing.assert_allclose(spec.cxcywh, expected, atol=1e-7)
    np.testing.assert_allclose(spec.xyxy[3], [0.1875, 0.0, 0.3125, 1.0], atol=1e-7)


def test_ssd7_cells_cover_odd_sizes():
    spec = ssd7_anchors((300, 487))
    assert [v.grid for v in spec.levels] == [(38, 61), (19, 31), (10, 16), (5, 8)]
    assert spec.xyxy[:, 2].max() >= 1
    assert spec.xyxy[:, 3].max() >= 1


def test_config_round_trip_is_exact_and_specs_are_values():
    spec = anchors.SSD512_COCO
    copy = AnchorSpec.from_config(spec.get_config())
    assert copy == spec
    assert hash(copy) == hash(spec)
    assert np.array_equal(copy.cxcywh, spec.cxcywh)


def test_anchors_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        anchors.SSD300_VOC.cxcywh[0] = 0


def test_lengths_that_do_not_fit():
    with pytest.raises(ValueError, match="for 2 grids expected 3 scales"):
        AnchorSpec.from_scales((300, 300), [(3, 3), (1, 1)], scales=(0.1, 0.2), aspect_ratios=[(2,), (2,)])


@pytest.mark.parametrize(
    "level",
    [
        AnchorLevel((0, 3), ((1.0, 1.0),), (8, 8)),
        AnchorLevel((3, 3), (), (8, 8)),
        AnchorLevel((3, 3), ((1.0, -1.0),), (8, 8)),
        AnchorLevel((3, 3), ((1.0, float("nan")),), (8, 8)),
    ],
)
def test_impossible_levels(level):
    with pytest.raises(ValueError, match=r"levels\[0\]: grid, sides and step must be positive"):
        AnchorSpec((300, 300), (level,))


@pytest.mark.parametrize(
    "arguments", [{"image_size": (0, 3)}, {"levels": ()}, {"variances": (0.1, 0.1, 0.2, 0)}]
)
def test_impossible_specs(arguments):
    level = AnchorLevel((1, 1), ((1.0, 1.0),), (8, 8))
    with pytest.raises(ValueError, match=next(iter(arguments))):
        AnchorSpec(**{"image_size": (8, 8), "levels": (level,), **arguments})


def test_sides_are_clipped_to_width_and_height():
    spec = AnchorSpec.from_scales((100, 200), [(1, 1)], (1.0, 1.0), [(3,)], clip_sides=True)
    wide, tall = spec.levels[0].sides[2:]
    np.testing.assert_allclose(wide, (100 * 3**0.5, 100 / 3**0.5))
    np.testing.assert_allclose(tall, (100 / 3**0.5, 100))


def test_default_steps_spread_the_cells_evenly():
    spec = AnchorSpec.from_scales((100, 200), [(2, 5)], (0.1, 0.1), [()])
    assert spec.levels[0].step == (50, 40)
    np.testing.assert_allclose(spec.cxcywh[-1, :2], (0.9, 0.75))


def test_variances_travel_in_the_config():
    spec = AnchorSpec((8, 16), (AnchorLevel((1, 2), ((4.0, 6.0),), (8.0, 8.0)),), (0.3, 0.4, 0.5, 0.6))
    assert AnchorSpec.from_config(spec.get_config()).variances == (0.3, 0.4, 0.5, 0.6)


@pytest.mark.parametrize(
    ("spec", "grids", "count"),
    [
        (
            anchors.ssd300_anchors((480, 640)),
            [(60, 80), (30, 40), (15, 20), (8, 10), (6, 8), (4, 6)],
            28968,
        ),
        (
            anchors.ssd512_anchors((480, 640)),
            [(60, 80), (30, 40), (15, 20), (8, 10), (4, 5), (2, 3), (1, 2)],
            28832,
        ),
        (anchors.ssdlite_anchors((333, 500)), [(21, 32), (11, 16), (6, 8), (3, 4), (2, 2), (1, 1)], 5478),
    ],
)
def test_anchors_of_another_size(spec, grids, count):
    assert [level.grid for level in spec.levels] == grids
    assert spec.num_anchors == count


def test_ssd300_anchors_of_another_size_by_hand():
    """Sides follow the shorter image side; the last two levels, whose borders are cut off, spread evenly."""
    spec = anchors.ssd300_anchors((480, 640))
    first, last = spec.levels[0], spec.levels[-1]
    np.testing.assert_allclose(first.sides[0], (48, 48))
    assert first.step == (8, 8) and last.step == (120, 640 / 6)
    assert anchors.ssd300_anchors((300, 300)) == anchors.SSD300_VOC


@pytest.mark.parametrize("function", [anchors.ssd300_anchors, anchors.ssd512_anchors])
def test_sizes_without_a_last_feature_map(function):
    assert function((257, 257)).levels[-1].grid == (1, 1)
    with pytest.raises(ValueError, match=f"{function.__name__}: each side .* 257 pixels, got 300x256"):
        function((300, 256))
