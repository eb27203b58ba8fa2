"""What editors and type checkers see of the package."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import multibox as mb

FOLDER = Path(__file__).parent / "typing"


def problems(name):
    """The messages of the type checker for a file by line number, from 1."""
    pytest.importorskip("basedpyright")
    command = ["-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, str(FOLDER / name)]
    run = subprocess.run([sys.executable, *command], cwd=FOLDER.parents[1], capture_output=True, text=True)
    report = json.loads(run.stdout)
    assert report["summary"]["filesAnalyzed"] == 1, run.stdout
    return {d["range"]["start"]["line"] + 1: d["message"] for d in report["generalDiagnostics"]}


def test_nothing_is_found_in_correct_code():
    assert problems("good.py") == {}


def test_each_mistake_is_found():
    lines = (FOLDER / "bad.py").read_text().splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    assert len(expected) >= 30
    assert set(problems("bad.py")) == expected


def functions(name):
    """The function that a public name stands for, or the public methods of the class that are its own."""
    value = getattr(mb, name)
    if not inspect.isclass(value):
        return {name: value} if inspect.isfunction(value) else {}
    inherited = {n for base in value.__mro__[1:] for n in vars(base)}
    own = {n: getattr(f, "fget", None) or getattr(f, "__func__", f) for n, f in vars(value).items()}
    return {
        f"{name}.{n}": f
        for n, f in own.items()
        if inspect.isfunction(f) and (n == "__init__" or (n not in inherited and not n.startswith("_")))
    }


def lacks_hints(function):
    signature = inspect.signature(function)
    bare = [n for n, p in signature.parameters.items() if p.annotation is inspect.Parameter.empty]
    if function.__name__ != "__init__" and signature.return_annotation is inspect.Signature.empty:
        bare.append("return")
    return bool({*bare} - {"self", "cls", "kwargs"})


def test_public_functions_have_type_hints():
    found = {name: f for public in mb.__all__ for name, f in functions(public).items()}
    assert len(found) > 60
    assert {name for name, f in found.items() if lacks_hints(f)} == set()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_the_examples_of_the_type_checker_are_python(path):
    compile(path.read_text(), str(path), "exec")
