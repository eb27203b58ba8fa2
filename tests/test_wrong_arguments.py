"""Every public function with wrong values of every argument: the error names the argument."""

from pathlib import Path

import pytest
from wrong_arguments import accepted_lines, outcomes, parameters_of, public_functions

import multibox as mb
from multibox.arguments import _rules

ACCEPTED = Path(__file__).parent / "accepted_arguments.txt"
# Without `checked`: their own checks are faster (a record, an image) or the value is a model's own.
UNCHECKED = {"Record", "read_image"}


def test_errors_name_the_argument(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = outcomes(tmp_path)
    assert {key: result for key, result in results.items() if result not in ("named", "accepted")} == {}
    assert accepted_lines(results) == ACCEPTED.read_text().splitlines()
    assert len(results) > 2300


@pytest.mark.parametrize("name", sorted(public_functions().keys() - UNCHECKED))
def test_all_arguments_have_a_rule(name):
    function = public_functions()[name]
    function = getattr(function, "__init__", function) if isinstance(function, type) else function
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    function = getattr(function, "__func__", function)
    assert set(parameters_of(function)) - {"self", "cls"} <= _rules(function).keys(), name


def test_mistakes_of_a_kind_are_explained():
    data = mb.load_shapes(1, (64, 64))
    with pytest.raises(TypeError, match=r"num_classes must be .*; is it meant for class_names"):
        mb.SSD7(["cat", "dog"])
    with pytest.raises(ValueError, match=r"mode must be .*, got str 'trainig'; did you mean 'training'"):
        mb.SSD7(2, mode="trainig")
    with pytest.raises(FileNotFoundError, match=r"sample_classes: no such model: /nope\.keras"):
        mb.sample_classes("/nope.keras", ["cat"])
    model = mb.SSD7(4, image_size=(64, 64))
    with pytest.raises(TypeError, match=r"output must be a path, got DetectionDataset .*for validation_data"):
        mb.train(model, data, data, epochs=1)
    with pytest.raises(TypeError, match="train: loss must be a Loss or None, got str 'mse'"):
        mb.train(model, data, "run", epochs=1, loss="mse")
