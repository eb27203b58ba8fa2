import keras
import numpy as np
import pytest

from multibox.losses.mining import MINING


def numpy(x):
    return keras.ops.convert_to_numpy(x)


def mine(confidence_loss, positive, negative, rule="paper", negative_ratio=3, min_negatives=0):
    tensors = [keras.ops.convert_to_tensor(x) for x in (np.float32(confidence_loss), positive, negative)]
    return numpy(MINING[rule](*tensors, negative_ratio, min_negatives))


def test_ties_choose_exactly_as_many_as_wanted():
    positive = np.zeros((1, 10), bool)
    positive[0, 4] = True
    chosen = mine(np.ones((1, 10)), positive, ~positive)
    assert chosen.sum() == 3
    assert not chosen[0, 4]


def test_fewer_negatives_than_wanted():
    positive = np.array([[True, True, False, False]])
    negative = np.array([[False, False, True, False]])  # the last is neutral
    chosen = mine(np.ones((1, 4)), positive, negative)
    np.testing.assert_array_equal(chosen, negative)


def test_a_negative_without_loss_comes_before_what_is_no_negative():
    positive, negative = np.array([[True, False, False, False]]), np.array([[False, False, False, True]])
    np.testing.assert_array_equal(mine(np.zeros((1, 4)), positive, negative), negative)


# Three images of six anchors: one with two positives, one with one, one with none.
POSITIVE = np.zeros((3, 6), bool)
POSITIVE[0, :2] = POSITIVE[1, 0] = True
LOSS = np.array([[9, 9, 8, 7, 2, 1], [9, 5, 6, 7.5, 8, 0], [15, 14, 13, 6, 5, 4]])


@pytest.mark.parametrize(
    ("rule", "min_negatives", "chosen"),
    [
        ("paper", 0, [[2, 3], [4], []]),
        ("paper", 2, [[2, 3], [3, 4], [0, 1]]),
        ("all_images", 0, [[2, 3], [4], [0, 1]]),  # 1.5 positives on average: ranks below 1.5
        ("all_images", 3, [[2, 3, 4], [2, 3, 4], [0, 1, 2]]),
        ("batch", 0, [[], [], [0, 1, 2]]),
        ("batch", 3, [[2, 3], [2, 3, 4], [0, 1, 2, 3]]),  # nine of the batch
    ],
)
def test_by_hand(rule, min_negatives, chosen):
    mined = mine(LOSS, POSITIVE, ~POSITIVE, rule, negative_ratio=1, min_negatives=min_negatives)
    assert [np.flatnonzero(row).tolist() for row in mined] == chosen


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ("paper", [[], [], []]),
        ("all_images", [[0, 1, 2], [0, 3, 4], [0, 1, 2]]),
        ("batch", [[0, 1, 2], [0, 3, 4], [0, 1, 2]]),  # each of these is harder than the others
    ],
)
def test_a_batch_without_objects_counts_as_one_positive_for_each_image(rule, chosen):
    nothing = np.zeros((3, 6), bool)
    mined = mine(LOSS, nothing, ~nothing, rule)
    assert [np.flatnonzero(row).tolist() for row in mined] == chosen


@pytest.mark.parametrize("rule", MINING)
def test_neutral_and_positive_anchors_are_never_mined(rule):
    negative = ~POSITIVE
    negative[2, 3:] = False
    mined = mine(LOSS, POSITIVE, negative, rule, negative_ratio=20, min_negatives=20)
    np.testing.assert_array_equal(mined, negative)
