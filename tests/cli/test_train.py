"""`multibox train`: what it passes on, and how it ends."""

import sys
from types import ModuleType, SimpleNamespace

import keras
import pytest

from multibox import cli, runner


@pytest.fixture
def started(monkeypatch, tmp_path):
    """The calls of `start_run`, which trains nothing."""
    calls = []

    class Result:
        folder = tmp_path / "runs/a"
        evaluation = object()

    def start_run(config, **options):
        calls.append((config, options))
        return Result

    monkeypatch.setattr(runner, "start_run", start_run)
    monkeypatch.chdir(tmp_path)
    return calls


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["multibox", "train", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_options_become_a_description(started, monkeypatch, capsys):
    options = ["--epochs", "5", "--size", "96x128", "--devices", "2", "--seed", "0", "--force"]
    assert run(monkeypatch, "my_data", *options) == 0
    config = runner.RunConfig(data="my_data", epochs=5, size="96x128", devices=2, seed=0)
    assert started == [(config, {"resume": False, "force": True})]
    assert "detections.jpg" in capsys.readouterr().out


def test_one_of_several_processes(started, monkeypatch, capsys):
    joined = []
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(keras.distribution, "initialize", lambda: joined.append(True))
    assert run(monkeypatch, "my_data", "--distributed") == 0
    assert started[0][0] == runner.RunConfig(data="my_data", devices="all")
    assert joined == [True]

    def initialize():
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(keras.distribution, "initialize", initialize)
    assert run(monkeypatch, "my_data", "--distributed") == 1
    assert "set KERAS_DISTRIBUTION_JOB_ADDRESSES, KERAS" in capsys.readouterr().err
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    assert run(monkeypatch, "my_data", "--distributed") == 2
    message = "--distributed needs KERAS_BACKEND=jax or torch, the backend is tensorflow"
    assert message in capsys.readouterr().err


def test_one_of_several_processes_of_torch(started, monkeypatch, capsys):
    calls, torch = [], ModuleType("torch")
    torch.cuda = SimpleNamespace(is_available=lambda: True, set_device=calls.append)
    torch.distributed = SimpleNamespace(
        init_process_group=lambda: calls.append("join"), destroy_process_group=lambda: calls.append("leave")
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert run(monkeypatch, "my_data", "--distributed") == 0
    assert started[0][0] == runner.RunConfig(data="my_data", devices="all")
    assert calls == [3, "join", "leave"]

    def fail():
        raise ValueError("environment variable RANK expected, but not set")

    torch.distributed.init_process_group = fail
    assert run(monkeypatch, "my_data", "--distributed") == 1
    assert "RANK expected, but not set) Start the command by torchrun" in capsys.readouterr().err


def test_options_of_the_model_and_of_the_training(started, monkeypatch):
    options = {"model": "ssd", "backbone": "ResNet50", "head": "shared", "neck": "fpn", "box_loss": "giou"}
    arguments = [part for key, value in options.items() for part in (f"--{key.replace('_', '-')}", value)]
    assert run(monkeypatch, "my_data", *arguments) == 0
    assert started[0][0] == runner.RunConfig(data="my_data", **options)


def test_a_file_and_options_that_beat_it(started, monkeypatch, tmp_path):
    (tmp_path / "run.yaml").write_text("data: my_data\nepochs: 5\nbatch: 4\n")
    assert run(monkeypatch, "run.yaml", "--epochs", "7") == 0
    assert started[0][0] == runner.RunConfig(data="my_data", epochs=7, batch=4)


def test_what_is_printed_is_a_file(started, monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, "my_data", "--name", "second", "--print-config") == 0
    (tmp_path / "run.yaml").write_text(capsys.readouterr().out)
    assert run(monkeypatch, "run.yaml") == 0
    assert [config for config, _ in started] == [runner.RunConfig(data="my_data", name="second")]


def test_a_run_that_goes_on(started, monkeypatch, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old/config.yaml").write_text("data: my_data\nepochs: 5\noutput: elsewhere\n")
    assert run(monkeypatch, "--resume", "old", "--epochs", "9") == 0
    config = runner.RunConfig(data="my_data", epochs=9, output="old")
    assert started == [(config, {"resume": True, "force": False})]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "expected a data set, a yaml file or --resume FOLDER"),
        (["data", "--resume", "old"], 2, "--resume takes its data from the run"),
        (["data", "--size", "300"], 1, "multibox: train: size: expected HEIGHTxWIDTH"),
        (["data", "--recipe", "sgd"], 1, "multibox: train: recipe: Invalid enum value 'sgd'"),
        (["bad.yaml"], 1, "multibox: bad.yaml: unknown key 'epoch'; did you mean 'epochs'?"),
        (["--resume", "nowhere"], 1, "nowhere/config.yaml"),
    ],
)
def test_what_is_refused(started, monkeypatch, capsys, tmp_path, arguments, status, message):
    (tmp_path / "bad.yaml").write_text("data: a\nepoch: 5\n")
    assert run(monkeypatch, *arguments) == status
    assert message in capsys.readouterr().err
    assert not started
