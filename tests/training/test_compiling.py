"""What a recipe chooses for `train`, and what is passed beside it."""

from dataclasses import replace

import keras
import pytest

import multibox as mb
from multibox.data_generator import Mosaic, Stages
from multibox.recipes import RatedAdam, RatedSGD
from multibox.training.batches import chosen_augmentation
from multibox.training.compiling import compile_model
from multibox.training.known import precision_of

DATA = mb.load_shapes(4, (64, 64), seed=0)
SHORT = replace(mb.recipes.modern, epochs=2, batch_size=2, bias_rate=2.0)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return mb.SSD7(class_names=DATA.class_names, image_size=(64, 64))


def test_a_recipe_is_all_that_train_needs(model, tmp_path):
    recipe = replace(SHORT, precision="mixed_bfloat16")
    history = mb.train(model, DATA, tmp_path / "run", recipe=recipe, verbose=0)
    assert model.get_layer("conv1").dtype_policy.name == "mixed_bfloat16"
    assert history.epoch == [0, 1] and int(model.optimizer.iterations) == 4
    assert type(model.optimizer) is RatedAdam and model.optimizer.use_ema
    assert model.optimizer.global_clipnorm == 10 and type(model.loss) is mb.SSDLoss
    other = replace(recipe, precision="float32")
    assert precision_of(other, tmp_path / "run", resume=True) == "mixed_bfloat16"
    assert precision_of(other, tmp_path / "run", resume=False) == "float32"
    again = keras.models.load_model(tmp_path / "run" / "last.keras")
    assert type(again.optimizer) is RatedAdam


def test_a_recipe_for_a_compiled_model_and_what_is_passed(model, tmp_path):
    options = {"recipe": replace(SHORT, precision="mixed_bfloat16"), "epochs": 1, "precision": "float32"}
    loss = mb.loss_of(model, negative_ratio=1)
    mb.train(model, DATA, tmp_path / "run", **options, batch_size=4, loss=loss, verbose=0)
    assert model.get_layer("conv1").dtype_policy.name == "float32"
    assert int(model.optimizer.iterations) == 1 and model.loss.negative_ratio == 1
    sgd = keras.optimizers.SGD(1e-4)
    mb.train(model, DATA, tmp_path / "other", optimizer=sgd, recipe="finetune", epochs=1, verbose=0)
    assert model.optimizer is sgd and not isinstance(sgd, RatedSGD)


def test_plain_augmentation(model):
    for recipe, preset in (
        (None, mb.ssd_augmentation),
        (replace(mb.recipes.modern, mosaic=0.0), mb.ssd_augmentation),
        (mb.recipes.finetune, mb.ssdlite_augmentation),
    ):
        assert chosen_augmentation(model, DATA, recipe, 10) == preset((64, 64))


def test_mosaics_end_before_the_training(model):
    stages = chosen_augmentation(model, DATA, replace(SHORT, mosaic=0.7, augmentation="ssdlite"), 10)
    plain = mb.ssdlite_augmentation((64, 64))
    assert stages == Stages(replace(plain, geometry=(Mosaic(DATA), *plain.geometry)), 7, plain)


@pytest.mark.parametrize(
    ("loss", "activation"), [("mining", "softmax"), ("focal", "sigmoid"), (None, "sigmoid")]
)
def test_box_loss(loss, activation):
    """The recipe's, with the model's anchors and a weight of 5, for whichever confidence loss."""
    detector = mb.SSDMobileNet(1, image_size=(64, 64), alpha=0.25, activation=activation)

    def compiled(**changes):
        recipe = replace(SHORT, loss=loss, **changes)
        compile_model(detector, DATA, "sgd", None, recipe, epochs=1, on_nan="stop")
        found = detector.loss
        assert type(found) is (mb.SSDLoss if activation == "softmax" else mb.SSDFocalLoss)
        return found.box_loss, found.localization_weight, found.anchors

    assert compiled() == ("smooth_l1", 1.0, None)
    assert compiled(box_loss="ciou") == ("ciou", 5.0, mb.anchors_of(detector))
    assert compiled(box_loss="giou", localization_weight=2.0)[:2] == ("giou", 2.0)
    assert compiled(localization_weight=0.5)[:2] == ("smooth_l1", 0.5)


def test_a_loss_of_keras(model):
    compile_model(model, DATA, "sgd", keras.losses.MeanSquaredError(), None, epochs=1, on_nan="stop")
    assert type(model.loss) is keras.losses.MeanSquaredError


def test_the_rate_of_sgd_is_for_the_images_that_a_step_has(model):
    encoder = mb.GroundTruthEncoder(model, sparse=True)
    for asked, images in ((192, 4), (2, 2)):
        data = mb.DataGenerator(DATA, asked, mb.resize_only((64, 64)), encoder)
        compile_model(model, data, None, None, mb.recipes.paper, epochs=1, on_nan="stop")
        rate = model.optimizer._learning_rate(0)
        assert float(keras.ops.convert_to_numpy(rate)) == pytest.approx(1e-3 * images / 32)


@pytest.mark.parametrize("on_nan", ["stop", "skip"])
def test_the_loss_is_scaled_for_float16(monkeypatch, on_nan):
    """As Keras does it for a model that is built in float16. A scale of 1 would lose small gradients."""
    monkeypatch.setattr("multibox.models.precision._on_accelerator", lambda: True)
    half = mb.cast_model(mb.SSD7(2, image_size=(64, 64)), "mixed_float16")
    compile_model(half, DATA, "sgd", None, None, epochs=1, on_nan=on_nan)
    assert type(half.optimizer) is keras.optimizers.LossScaleOptimizer
    assert half.optimizer.initial_scale == 2**15 and half.optimizer.dynamic_growth_steps == 2000
    half.compile("sgd", mb.loss_of(half))
    with pytest.raises(ValueError, match="float16 needs an optimizer=, which it can wrap in LossScaleOptim"):
        compile_model(half, DATA, None, None, None, epochs=1, on_nan="stop")


def test_errors(model, tmp_path):
    for options, message in (
        ({}, 'train: pass epochs=, or recipe= such as "finetune"'),
        ({"recipe": "fine"}, "train: recipe must be one of paper, .*, got 'fine'"),
        (
            {"recipe": replace(SHORT, loss="focal")},
            "train: the focal loss is for sigmoid scores, the model's are softmax",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            mb.train(model, DATA, tmp_path / "run", **options)
    assert not [*tmp_path.iterdir()]
