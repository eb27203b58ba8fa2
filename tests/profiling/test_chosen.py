"""Which model a command means."""

import pytest

from multibox.profiling.chosen import chosen_model


def test_no_classes_are_not_twenty():
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        chosen_model("ssd7", classes=0, runs=False)
