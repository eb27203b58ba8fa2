"""A fixed share of `make fuzz`, and what the fuzzer itself must do."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import mutators
from fuzz.run import Fuzzer, summary
from fuzz.targets import Target

TESTS = Path(__file__).parents[1]
SOUND = b"sound file\n" * 20


def test_a_fixed_share_of_inputs_finds_nothing(tmp_path):
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    settings = {"PYTHONPATH": path, "KERAS_BACKEND": "numpy", "FUZZ_SEED": "1", "FUZZ_COUNT": "250"}
    run = subprocess.run(
        [sys.executable, "-m", "fuzz"],
        env={**os.environ, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stdout or run.stderr


def _read(folder):
    content = (folder / "x.txt").read_bytes()
    if content.startswith(b"x"):
        raise ValueError(f"{folder / 'x.txt'}: damaged")
    if content.startswith(b"y"):
        raise ValueError("damaged")
    if content.startswith(b"z"):
        raise KeyError("z")
    if content.startswith(b"k"):
        os.kill(os.getpid(), 11)
    if content.startswith(b"m"):
        bytearray(80 << 20)
    if content.startswith(b"n"):
        raise ValueError(f"{folder / 'x.txt'}: two\nlines")


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"s", None),
        (b"x", None),
        (b"y", "error without file name"),
        (b"z", "KeyError"),
        (b"k", "death (SIGSEGV)"),
        (b"m", "memory"),
        (b"n", "unclear error"),
    ],
)
def test_findings(start, kind):
    target = Target(
        "x",
        lambda folder: (folder / "x.txt").write_bytes(SOUND),
        "x.txt",
        _read,
        lambda rng, data: start + data,
        memory=40 << 20,
    )
    fuzzer = Fuzzer(target, 0)
    fuzzer.run(range(3))
    found = {} if kind is None else {kind: [1, 2]}
    assert {kind: [n for n, _ in f] for kind, f in fuzzer.result.findings.items()} == found
    assert (fuzzer.result.cases, fuzzer.result.refused) == (3, 2 * (start == b"x"))
    assert f"x       3      {fuzzer.result.refused}" in summary([fuzzer.result])


@pytest.mark.parametrize(
    "mutate",
    [f for name, f in vars(mutators).items() if name.startswith("change_") and name != "change_archive"],
)
def test_mutators_are_repeatable_and_take_anything(mutate):
    for number, data in enumerate(
        (SOUND, b"", b"\x00" * 50, b'{"a": [1]}', b"<a><b>1</b></a>", bytes(range(256)))
    ):
        changed = [mutate(random.Random(f"{seed}-{number}"), data) for seed in range(20)]
        assert changed == [mutate(random.Random(f"{seed}-{number}"), data) for seed in range(20)]
        assert len(set(changed)) > 1
