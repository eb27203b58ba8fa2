"""What the commands import and write before they work."""

import os
import subprocess
import sys

import keras  # noqa: F401 - a backend sets variables when it is imported
import pytest
from annotated_images import write_image

import multibox
from multibox import cli
from multibox.cli import backend
from multibox.cli.boundary import debug_mode

HEAVY = {"keras", "tensorflow", "jax", "torch", "matplotlib"}


def command(*arguments):
    """Runs `multibox <arguments>`; (process, the top-level modules that it imported)."""
    code = (
        "import sys, atexit; atexit.register(lambda: print('MODULES', *sys.modules)); "
        "from multibox.cli import main; main()"
    )
    run = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    *_, modules = run.stdout.partition("MODULES ")
    return run, {name.split(".")[0] for name in modules.split()}


@pytest.mark.parametrize(
    "arguments",
    ["", "--help", "--version", "check --help", "convert --help", "demo --help", "complexity --help"],
)
def test_help_imports_nothing_heavy(arguments):
    run, modules = command(*arguments.split())
    assert run.returncode == 0, run.stderr
    assert "typer" in modules
    assert not modules & {*HEAVY, "numpy", "cv2", "rich", "h5py", "PIL"}


def test_a_check_imports_no_keras(tmp_path):
    (tmp_path / "data.yaml").write_text("names: [dog]\ntrain: images\n")
    write_image(tmp_path / "images/a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 0.4 0.6\n")
    run, modules = command("check", tmp_path)
    assert run.returncode == 0 and "1 images, 1 objects" in run.stdout, run
    assert not modules & HEAVY


def run_main(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["multibox", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_a_newcomer_is_told_how_to_begin(monkeypatch, capsys):
    assert run_main(monkeypatch) == 0
    printed = capsys.readouterr().out
    lines = [line.split() for line in printed.splitlines() if line.startswith("  multibox ")]
    assert [line[1] for line in lines] == ["check", "train", "predict"]
    assert "`multibox --help`" in printed and "`multibox demo`" in printed


def test_the_version(monkeypatch, capsys):
    assert run_main(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"multibox {multibox.__version__}\n"


@pytest.mark.parametrize(
    "name",
    [
        *("benchmark", "check", "check any", "complexity", "convert", "convert-data", "demo", "evaluate"),
        "pretrained",
    ],
)
def test_each_help_has_examples_on_lines_of_their_own(monkeypatch, capsys, name):
    assert run_main(monkeypatch, *name.split(), "--help") == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    examples = lines[lines.index("Examples:") + 1 :]
    assert examples and all(line.startswith(f"multibox {name.split()[0]}") for line in examples)


def test_as_a_module():
    run = subprocess.run([sys.executable, "-m", "multibox", "chek"], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("Usage: multibox ") and "Did you mean 'check'?" in run.stderr


NOISE = """
import os, sys
from multibox.cli.backend import held_back_messages
with held_back_messages():
    os.write(2, b"I0000 no CUDA, says C++\\n")
    print("E0000 says Python", file=sys.stderr)
    {end}
print("after", file=sys.stderr)
"""


def test_messages_of_the_start_are_held_back():
    run = subprocess.run([sys.executable, "-c", NOISE.format(end="")], capture_output=True, text=True)
    assert run.stderr == "after\n"


def test_messages_are_shown_if_the_start_fails():
    code = NOISE.format(end="raise ImportError('no backend')")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    first, second, *_, last = run.stderr.splitlines()
    assert (first, second) == ("I0000 no CUDA, says C++", "E0000 says Python")
    assert last == "ImportError: no backend"


def test_debug_mode_holds_nothing_back(monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.setattr(backend, "held_back_messages", None)  # a call would fail
    debug_mode(True)
    try:
        backend.start_keras()
        assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    finally:
        debug_mode(False)


def test_start_keras_is_quiet_afterwards_unless_the_user_wants_it(monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    backend.start_keras()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    backend.start_keras()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_a_later_import_of_tensorflow_is_quiet_too(tmp_path):
    """A stand-in for TensorFlow, which Keras imports on other backends, too."""
    (tmp_path / "tensorflow.py").write_text("import os; os.write(2, b'no CUDA\\n')")
    code = (
        "import sys; from multibox.cli.backend import start_keras; "
        "sys.modules['keras'] = sys; start_keras(); "
        f"sys.path.insert(0, {str(tmp_path)!r}); import tensorflow; print('done', file=sys.stderr)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stderr == "done\n"
