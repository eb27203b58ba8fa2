"""What decides about best.keras, and the order of callbacks at the end of an epoch."""

import math

import keras
import pytest

import multibox as mb
from multibox.training.best import in_order, is_best, measured

SIZE = (64, 64)
DATA = mb.load_shapes(2, SIZE)
HARD = mb.DetectionDataset(
    DATA.class_names,
    [mb.Record(r.image_id, r.image, *SIZE, r.boxes, r.labels, difficult=r.labels > 0) for r in DATA],
)


@pytest.mark.parametrize(
    ("best_by", "rows", "best"),
    [
        ("val_loss", [{"val_loss": 3.0}, {"val_loss": 2.0}, {"val_loss": 2.0}, {}], [0, 1]),
        ("val_map", [{"val_map": 0.0, "val_loss": 3.0}, {"val_map": 0.0, "val_loss": 2.0}], [0, 1]),
        ("val_map", [{"val_map": 0.2, "val_loss": 2.0}, {"val_map": 0.1, "val_loss": 1.0}], [0]),
        ("val_map", [{"val_map": 0.2, "val_loss": 2.0}, {"val_map": 0.3, "val_loss": 3.0}], [0, 1]),
        ("val_map", [{"val_map": math.nan, "val_loss": 1.0}, {"val_map": 0.0, "val_loss": 3.0}], [1]),
        ("val_map", [{"loss": 1.0}, {"val_map": 0.5}, {"val_map": 0.5}], [1]),
    ],
)
def test_the_best_epochs(best_by, rows, best):
    assert [i for i, row in enumerate(rows) if is_best(row, rows[:i], best_by)] == best


def test_map_is_measured_where_it_can_be():
    own = mb.MeanAveragePrecision(DATA)
    assert measured(None, None, [own]) == ([], "val_map")
    assert measured("val_loss", None, [own]) == ([], "val_loss")
    assert measured(None, None, []) == ([], "val_loss")
    model = mb.SSD7(class_names=DATA.class_names, image_size=SIZE)
    batches = mb.DataGenerator(DATA, 2, mb.resize_only(SIZE), mb.GroundTruthEncoder(model))
    (callback,), best_by = measured(None, batches, [])
    assert (callback.dataset, best_by) == (DATA, "val_map")
    assert measured("val_loss", batches, []) == ([], "val_loss")
    nothing = mb.DataGenerator(HARD, 2, mb.resize_only(SIZE), mb.GroundTruthEncoder(model))
    assert measured(None, nothing, []) == ([], "val_loss")
    for validation in (nothing, None):
        with pytest.raises(ValueError, match='train: best_by="val_map" needs a DetectionDataset or DataGen'):
            measured("val_map", validation, [])


def test_averages_come_first_then_map_then_the_users_callbacks():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(use_ema=True), "mse")
    own, stop = mb.MeanAveragePrecision(DATA), keras.callbacks.EarlyStopping("val_map", mode="max")
    names = [type(c).__name__ for c in in_order(model, [own], [stop])]
    assert names == ["AveragedWeights", "MeanAveragePrecision", "EarlyStopping"]
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    assert in_order(model, [own], [stop, swap]) == [swap, own, stop]
    model.compile("sgd", "mse")
    assert in_order(model, [], [stop]) == [stop]
