"""Runs the table of bad inputs in a program of its own, which no backend has given threads yet."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_bad_input_has_its_expected_outcome():
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "KERAS_BACKEND": "numpy"}
    run = subprocess.run(
        [sys.executable, "-m", "bad_inputs"], env=environment, capture_output=True, text=True, timeout=600
    )
    faults = run.stdout.partition("\n\n")[2]
    assert run.returncode == 0, faults or run.stderr
