import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibox.adaptive_matching import AdaptiveMatching
from multibox.anchors import SSD300_VOC, AnchorLevel, AnchorSpec
from multibox.data_generator import GroundTruthEncoder
from multibox.matching import BACKGROUND

# Nine anchors of 20 x 20 pixels side by side.
NINE = AnchorSpec((60, 60), (AnchorLevel((3, 3), ((20.0, 20.0),), (20.0, 20.0)),))
WIDE = AnchorSpec(
    (120, 200),
    (
        AnchorLevel((6, 10), ((30.0, 30.0), (40.0, 20.0), (20.0, 40.0)), (20.0, 20.0)),
        AnchorLevel((3, 4), ((60.0, 50.0), (80.0, 90.0)), (40.0, 50.0)),
        AnchorLevel((1, 2), ((100.0, 110.0), (150.0, 90.0)), (120.0, 100.0)),
        AnchorLevel((1, 1), ((190.0, 110.0),), (120.0, 200.0)),
    ),
)


def plain_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def plain_candidates(box, spec):
    """Each level's 9 nearest cells, all anchors of each."""
    (height, width), found, first = spec.image_size, set(), 0
    x, y = (box[0] + box[2]) * (width / 2), (box[1] + box[3]) * (height / 2)
    for level in spec.levels:
        cells = []
        for row in range(level.grid[0]):
            for column in range(level.grid[1]):
                dx = ((column + 0.5) * level.step[1] - x) ** 2
                dy = ((row + 0.5) * level.step[0] - y) ** 2
                cells.append((dx + dy, dy, row, dx, column))
        for *_, row, _, column in sorted(cells)[:9]:
            cell = row * level.grid[1] + column
            found |= {first + cell * len(level.sides) + i for i in range(len(level.sides))}
        first += level.num_anchors
    return sorted(found)


def plain_matching(boxes, spec):
    """Algorithm 1 of the paper in loops; then objects without an anchor get free ones, best pair first."""
    matches, of_matches = [BACKGROUND] * spec.num_anchors, [0.0] * spec.num_anchors
    for item, box in enumerate(boxes):
        candidates = plain_candidates(box, spec)
        overlaps = [plain_iou(box, spec.xyxy[i]) for i in candidates]
        threshold = statistics.mean(overlaps) + statistics.stdev(overlaps)
        for i, overlap in zip(candidates, overlaps, strict=True):
            x, y = spec.cxcywh[i, :2]
            inside = box[0] < x < box[2] and box[1] < y < box[3]
            if overlap >= threshold and inside and overlap > of_matches[i]:
                matches[i], of_matches[i] = item, overlap
    missing = [item for item in range(len(boxes)) if item not in matches]
    while missing:
        free = [i for i in range(spec.num_anchors) if matches[i] == BACKGROUND]
        pairs = [(plain_iou(boxes[item], spec.xyxy[i]), -item, -i) for item in missing for i in free]
        if not pairs or max(pairs)[0] == 0:
            break
        _, item, i = max(pairs)
        matches[-i] = -item
        missing.remove(-item)
    return matches


def random_boxes(rng, objects, smallest, largest):
    """(objects, 4) xyxy, relative; some extend beyond the image."""
    sides = np.exp(rng.uniform(np.log(smallest), np.log(largest), (objects, 2)))
    centers = rng.uniform(0, 1, (objects, 2))
    return np.concatenate([centers - sides / 2, centers + sides / 2], axis=1)


def test_by_hand():
    matching = AdaptiveMatching(NINE)
    # IoUs 0.25 with the middle, 1/9 with four, 1/19 with the corners: mean 0.1006, deviation 0.0632.
    wide = np.array([[10, 10, 50, 50]]) / 60
    np.testing.assert_array_equal(matching(wide), [-2, -2, -2, -2, 0, -2, -2, -2, -2])
    # IoUs 0.2, 2/7 and 0.2 with the upper three, else 0: mean 0.0762, deviation 0.1169.
    flat = np.array([[5, 1, 55, 11]]) / 60
    np.testing.assert_array_equal(matching(flat), [0, 0, 0, -2, -2, -2, -2, -2, -2])


def test_an_object_that_contains_no_center_gets_its_best_anchor():
    # IoUs 0.176, 0.25 and 0.176 reach 0.067 + 0.103, but the centers at y = 10 are outside.
    flatter = np.array([[5, 1, 55, 9]]) / 60
    np.testing.assert_array_equal(AdaptiveMatching(NINE)(flatter), [-2, 0, -2, -2, -2, -2, -2, -2, -2])


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_an_anchor_goes_to_the_object_that_it_fits_best(order):
    # The small object has the middle anchor alone, IoU 1. The large one claims it too, and gets one of the
    # four others with 1/9.
    boxes = (np.array([[10, 10, 50, 50], [20, 20, 40, 40]]) / 60)[order]
    matches = AdaptiveMatching(NINE)(boxes)
    assert matches[4] == order.index(1)
    assert sorted(matches[[1, 3, 5, 7]]) == [BACKGROUND] * 3 + [order.index(0)]
    assert (matches[[0, 2, 6, 8]] == BACKGROUND).all()


def test_two_equal_objects_both_get_an_anchor():
    matches = AdaptiveMatching(NINE)(np.array([[10, 10, 50, 50]] * 2) / 60)
    assert matches[4] == 0 and sorted(matches) == [BACKGROUND] * 7 + [0, 1]


def test_more_objects_than_anchors_leave_some_without():
    matches = AdaptiveMatching(NINE)(np.array([[10, 10, 50, 50]] * 12) / 60)
    assert sorted(matches) == list(range(9))


def test_distances_are_in_pixels():
    """Cells of 12 x 36 pixels: five of the middle column are nearer than the second one of the middle row."""
    spec = AnchorSpec((60, 180), (AnchorLevel((5, 5), ((20.0, 20.0), (9.0, 9.0)), (12.0, 36.0)),))
    # From (89, 29): 1 to 25 in column 2; then 35.0 to row 2, column 1; 36.7 (1, 1); 37.0 (2, 3); 37.3 (3, 1).
    box = np.array([[80 / 180, 20 / 60, 98 / 180, 38 / 60]])
    cells = [
        5 * row + column for row, column in [*((i, 2) for i in range(5)), (2, 1), (1, 1), (2, 3), (3, 1)]
    ]
    expected = sorted(2 * cell + i for cell in cells for i in (0, 1))
    assert sorted(AdaptiveMatching(spec).candidates(box)[0]) == expected


def test_a_level_of_few_cells_gives_all_of_them():
    candidates = AdaptiveMatching(WIDE).candidates(np.array([[0.1, 0.2, 0.5, 0.4]]))[0]
    assert len(candidates) == len(set(candidates)) == 9 * 3 + 9 * 2 + 2 * 2 + 1
    assert set(range(WIDE.num_anchors - 5, WIDE.num_anchors)) <= set(candidates)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 12),
    st.sampled_from([(0.001, 0.02), (0.05, 0.5), (0.2, 1.5), (0.01, 1.0)]),
    st.integers(0, 2**32 - 1),
)
def test_equals_plain_loops(objects, sides, seed):
    boxes = random_boxes(np.random.default_rng(seed), objects, *sides)
    np.testing.assert_array_equal(AdaptiveMatching(WIDE)(boxes), plain_matching(boxes, WIDE))


def test_equals_plain_loops_with_the_anchors_of_ssd300():
    boxes = random_boxes(np.random.default_rng(0), 6, 0.02, 0.9)
    matching = AdaptiveMatching(SSD300_VOC)
    assert matching.candidates(boxes).shape == (6, 9 * (4 + 6 + 6 + 6 + 4) + 4)
    np.testing.assert_array_equal(matching(boxes), plain_matching(boxes, SSD300_VOC))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.sampled_from([0.002, 0.02, 0.3]), st.integers(0, 2**32 - 1))
def test_each_object_has_an_anchor(objects, side, seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0.4, 0.5, (objects, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.5, 1, (objects, 2)) * side], axis=1)
    matches = AdaptiveMatching(SSD300_VOC)(boxes)
    assert set(matches) == {BACKGROUND, *range(objects)}


@pytest.mark.parametrize("sparse", [False, True])
def test_targets_by_hand(sparse):
    encoder = GroundTruthEncoder(NINE, 3, matching="atss", sparse=sparse)
    targets = encoder(np.array([[10, 10, 50, 50], [0, 0, 14, 18]]) / 60, [2, 3])
    middle, corner, background = ([2], [3], [0]) if sparse else ([0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0])
    np.testing.assert_allclose(targets[4], [0, 0, *[np.log(2) / 0.2] * 2, *middle], rtol=1e-5, atol=1e-6)
    # Centers (7, 9) and (10, 10), sides 14 and 18 of 20.
    offsets = [-1.5, -0.5, np.log(0.7) / 0.2, np.log(0.9) / 0.2]
    np.testing.assert_allclose(targets[0], [*offsets, *corner], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.delete(targets, [0, 4], axis=0), [[0] * 4 + background] * 7)


def test_no_objects_is_all_background():
    targets = GroundTruthEncoder(NINE, 3, matching="atss")(np.zeros((0, 4)), [])
    np.testing.assert_array_equal(targets, [[0, 0, 0, 0, 1, 0, 0, 0]] * 9)


def test_thresholds_belong_to_the_matching_of_the_paper():
    with pytest.raises(ValueError, match='matching="atss" finds its own thresholds; leave out positive_iou'):
        GroundTruthEncoder(NINE, 3, matching="atss", negative_iou=0.4)
    with pytest.raises(ValueError, match='matching must be "paper" or "atss", got str'):
        GroundTruthEncoder(NINE, 3, matching="ats")
