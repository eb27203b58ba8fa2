from dataclasses import FrozenInstanceError, replace

import keras
import pytest

import multibox as mb
from multibox.recipes import RECIPES, Recipe, find_recipe

PLAIN = Recipe("plain", "a test", epochs=10, warmup=0.0)


@pytest.fixture(scope="module")
def model():
    return mb.SSDMobileNet(class_names=["cat"], image_size=(64, 64), alpha=0.25)


def rate(optimizer, step):
    return float(keras.ops.convert_to_numpy(optimizer._learning_rate(step)))


def test_paper(model):
    """As `paper_sgd` for a whole training: the boundaries are at 80,000 and 100,000 of 120,000 steps."""
    sgd = mb.recipes.paper.build_optimizer(model, steps=120_000, batch_size=32)
    whole = mb.recipes.paper_sgd()
    assert float(sgd.momentum) == 0.9 and sgd.rates == {"bias": 2.0}
    for step in (0, 79_999, 80_001, 100_001, 119_999):
        assert rate(sgd, step) == pytest.approx(rate(whole, step))


def test_torchvision_ssdlite(model):
    """As `torchvision_ssdlite_sgd`; the warm-up of a short training is a twentieth of the steps."""
    recipe = mb.recipes.torchvision_ssdlite
    found = recipe.build_optimizer(model, steps=40_000, batch_size=64)
    published = mb.recipes.torchvision_ssdlite_sgd(steps=40_000, batch_size=64)
    for step in (0, 300, 1000, 20_000, 39_000, 40_000):
        assert rate(found, step) == pytest.approx(rate(published, step))
    short = recipe.build_optimizer(model, steps=11_000, batch_size=64)
    assert rate(short, 550) == pytest.approx(0.05)


def test_a_rate_of_its_own_or_that_of_the_network(model):
    assert rate(PLAIN.build_optimizer(model, 100, 16), 0) == pytest.approx(1e-3)
    assert rate(PLAIN.build_optimizer(model, 100, 4), 0) == pytest.approx(1e-3)  # Adam: whatever the batch
    tenth = replace(PLAIN, rate_factor=0.1)
    assert rate(tenth.build_optimizer(model, 100, 16), 0) == pytest.approx(1e-4)
    own = replace(PLAIN, learning_rate=0.01)
    assert rate(own.build_optimizer(model, 100, 16), 0) == pytest.approx(0.01)
    assert rate(replace(own, optimizer="sgd").build_optimizer(model, 100, 4), 0) == pytest.approx(0.0025)


@pytest.mark.parametrize(("warmup_steps", "end"), [(1000, 20), (5, 5)])
def test_warm_up(model, warmup_steps, end):
    recipe = replace(PLAIN, warmup=0.2, warmup_steps=warmup_steps)
    optimizer = recipe.build_optimizer(model, 100, 16)
    assert rate(optimizer, 0) == pytest.approx(1e-4)
    assert rate(optimizer, end) == pytest.approx(1e-3)
    assert rate(optimizer, 100) == pytest.approx(1e-5)


@pytest.mark.parametrize(("steps", "momentum"), [(1000, 0.99), (100, 0.9), (5, 0.5)])
def test_the_window_of_the_average_is_a_share_of_the_steps(model, steps, momentum):
    optimizer = replace(PLAIN, averaging=0.1).build_optimizer(model, steps, 16)
    assert optimizer.use_ema and optimizer.ema_momentum == pytest.approx(momentum)
    assert not PLAIN.build_optimizer(model, steps, 16).use_ema


def test_rates_of_layers(model):
    assert type(PLAIN.build_optimizer(model, 100, 16)) is keras.optimizers.Adam
    rates = replace(PLAIN, feature_rate=0.1, bias_rate=2.0).build_optimizer(model, 100, 16).rates
    assert rates["bias"] == 2.0 and rates["conv1"] == rates["extra4_expand"] == 0.1
    assert not [name for name in rates if "mbox" in name]


def test_it_is_a_value():
    recipe = mb.recipes.finetune
    assert recipe == replace(recipe) != replace(recipe, epochs=3)
    with pytest.raises(FrozenInstanceError):
        recipe.epochs = 3
    lines = str(recipe).splitlines()
    assert lines[0].split() == ["name", "finetune"] and lines[2].split() == ["epochs", "20"]
    assert lines[5].split() == ["learning_rate", "-"]


def test_the_recipe_for_known_objects():
    recipe = replace(PLAIN, known={"rate_factor": 0.1, "batch_size": 32, "averaging": 0.5})
    known = recipe.for_known_objects()
    expected = replace(PLAIN, name="plain, known objects", rate_factor=0.1, batch_size=32, averaging=0.5)
    assert known == expected
    assert str(recipe).splitlines()[-1].split(maxsplit=1) == [
        "known",
        "rate_factor 0.1, batch_size 32, averaging 0.5",
    ]
    assert replace(recipe, box_loss="giou").for_known_objects().box_loss == "giou"
    assert len({recipe, replace(recipe)}) == 1  # it can be hashed


def test_names():
    for name, recipe in RECIPES.items():
        assert find_recipe(name) is getattr(mb.recipes, name) is recipe and recipe.name == name
    with pytest.raises(
        ValueError,
        match="must be one of paper, torchvision_ssdlite, finetune, modern, got 'finetun'; did you mean",
    ):
        find_recipe("finetun")


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "Recipe: epochs must be at least 1, got 0"),
        ({"averaging": 1.5}, ValueError, "Recipe: averaging must be at most 1, got 1.5"),
        (
            {"optimizer": "adamm"},
            ValueError,
            'must be "sgd" or "adam", got str .adamm.; did you mean',
        ),
        (
            {"decay": "steps", "warmup": 0.1},
            ValueError,
            'decay="steps" has no warm-up; pass warmup=0, not 0.1',
        ),
        ({"known": {"precision": "auto"}}, ValueError, "known has no attribute 'precision'"),
        ({"loss": 3}, ValueError, 'loss must be "mining" or "focal" or None'),
        ({"learning_rate": "fast"}, TypeError, "learning_rate must be a number or None"),
        ({"known": {"rate": 1}}, ValueError, "known has no attribute 'rate'; did you mean 'bias_rate'"),
        ({"known": {"epochs": 3}}, ValueError, "known has no attribute 'epochs'"),
        ({"known": {"averaging": 2}}, ValueError, "averaging must be at most 1, got 2"),
        ({"known": 3}, TypeError, "known must be a dictionary, got int 3"),
    ],
)
def test_values_that_do_not_fit(values, error, message):
    with pytest.raises(error, match=message):
        replace(PLAIN, **values)
