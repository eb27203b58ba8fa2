"""A saved model loads without `custom_objects`, in whatever order Keras and this package are imported."""

import subprocess
import sys
from pathlib import Path

import pytest

SAVED = Path(__file__).parent / "saved" / "detector_0_1_0.keras"
LOAD = f"print(type(keras.models.load_model({str(SAVED)!r})).__name__)"


def python(*lines):
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    "imports",
    [
        ["import multibox", "import keras"],
        ["import keras", "import multibox"],
        ["import multibox", "import importlib.util", "importlib.util.find_spec('keras')", "import keras"],
    ],
    ids=" then ".join,
)
def test_the_classes_are_registered(imports):
    run = python(
        *imports,
        "print(keras.saving.get_registered_object('multibox>MultiBox').__name__)",
        "print(keras.saving.get_registered_object('multibox>SSDLoss').__name__)",
        "import sys",
        "print([str(finder) for finder in sys.meta_path])",
    )
    assert run.returncode == 0, run.stderr
    layer, loss, finders = run.stdout.splitlines()
    assert (layer, loss) == ("MultiBox", "SSDLoss")
    assert "import_hooks" not in finders  # leaves nothing behind


def test_a_saved_model_loads():
    run = python("import multibox", "import keras", LOAD)
    assert run.stdout == "Functional\n", run.stderr


def test_keras_does_not_notice():
    run = python(
        "import multibox, keras, importlib.machinery as machinery",
        "print(type(keras.__loader__) is type(keras.__spec__.loader) is machinery.SourceFileLoader)",
    )
    assert run.stdout == "True\n", run.stderr


def test_other_errors_of_keras_stay_as_they_are():
    run = python(
        "import sys, multibox",
        "class Broken:",
        "    def find_spec(name, path=None, target=None):",
        "        if name.startswith('keras.'): raise ImportError('a broken Keras')",
        "sys.meta_path.insert(0, Broken)",
        "import keras",
    )
    assert run.stderr.splitlines()[-1] == "ImportError: a broken Keras"


def test_two_hooks_for_one_package(tmp_path):
    """As two commands in one process leave them."""
    (tmp_path / "wanted.py").write_text("print('runs')")
    run = python(
        "import sys",
        f"sys.path.insert(0, {str(tmp_path)!r})",
        "from multibox.import_hooks import on_import",
        "on_import('wanted', lambda run: (print('outer'), run()))",
        "on_import('wanted', lambda run: (print('later'), run()))",
        "import wanted",
        "print([finder for finder in sys.meta_path if getattr(finder, 'name', '') == 'wanted'])",
    )
    assert run.stdout.splitlines() == ["later", "outer", "runs", "[]"], run.stderr
