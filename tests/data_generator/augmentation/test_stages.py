from dataclasses import replace

import numpy as np
import pytest

import multibox as mb
from multibox.data_generator import Flip, Stages

DATA = mb.load_shapes(4, (32, 32), seed=0)
PLAIN = mb.resize_only((32, 32))
FLIPPED = replace(PLAIN, geometry=(Flip(1.0),))
STAGES = Stages(FLIPPED, 2, PLAIN)


@pytest.mark.parametrize(
    "options", [{"workers": 0}, {"workers": 2}, {"workers": 2, "use_multiprocessing": True}]
)
def test_the_epoch_decides(options):
    data = mb.DataGenerator(DATA, 2, STAGES, shuffle=False, **options)
    seen = []
    for _ in range(3):
        data.on_epoch_begin()
        seen.append([data[0][0], data[1][0]])
        data.on_epoch_end()
    data.close()
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(np.array(seen[0])[:, :, :, ::-1], seen[2])


def test_an_epoch_can_be_chosen():
    data = mb.DataGenerator(DATA, 4, STAGES, shuffle=False, workers=0)
    data.epoch = 2
    np.testing.assert_array_equal(data[0][0][0], mb.read_image(DATA[0].image))


def test_pictures_of_samples_show_the_first():
    image, _ = STAGES(DATA[0], np.random.default_rng(0))
    np.testing.assert_array_equal(image[:, ::-1], mb.read_image(DATA[0].image))


def test_one_size():
    with pytest.raises(ValueError, match=r"images of one size, got \(32, 32\) and \(64, 32\)"):
        Stages(PLAIN, 1, mb.resize_only((64, 32)))
