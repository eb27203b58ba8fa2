"""Times models on this machine: a table of models x batch sizes x precisions.

Each row is measured in a process of its own, whose peak memory is that of the row.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from ..arguments import checked
from ..eval_utils.metrics.tables import markdown_table, markdown_text
from ..messages import did_you_mean, printable
from .tables import text_table

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
HEAD = ("model", "input", "batch", "precision", "ms", "images/s", "peak MiB", "parameters", "multiply-adds")
MARK = "multibox-benchmark: "  # begins the line with the result of a process


@dataclass(frozen=True)
class BenchmarkRow:
    """A model with a batch size and a precision.

    Attributes:
        model: its name as given.
        batch_size: images in a batch.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        input_shape: (height, width, channels).
        milliseconds: median time of a forward pass of a batch, decoding included.
        peak_bytes: memory that building, compiling and running took at most, beyond the started backend; of
            the accelerator if there is one.
        parameters: number of weights.
        multiply_adds: for one image, see `complexity`.
        error: why the row could not be measured, in one line; then the other numbers are None.
    """

    model: str
    batch_size: int
    precision: str
    input_shape: tuple[int, ...] | None = None
    milliseconds: float | None = None
    peak_bytes: int | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    error: str | None = None

    @property
    def images_per_second(self) -> float | None:
        """Images of a second; None after an error."""
        return None if self.milliseconds is None else 1e3 * self.batch_size / self.milliseconds

    def cells(self) -> tuple[str, ...]:
        """The row of a table, see `HEAD`."""
        start = (printable(self.model), _by(self.input_shape), str(self.batch_size), self.precision)
        if self.milliseconds is None:
            return (*start, *["-"] * 5)
        speed = f"{self.milliseconds:.1f}", f"{self.images_per_second:.1f}"
        size = f"{self.peak_bytes / 2**20:.0f}", f"{self.parameters:,}", f"{self.multiply_adds:,}"
        return (*start, *speed, *size)


@dataclass(frozen=True)
class Benchmark:
    """The result of `benchmark`. `print(result)` shows a table.

    Attributes:
        rows: a `BenchmarkRow` for each combination.
        machine: backend, versions, processor, cores, accelerator.
        rounds: timed runs, of which each time is the median.
    """

    rows: tuple[BenchmarkRow, ...]
    machine: dict[str, Any]
    rounds: int

    def to_dict(self) -> dict[str, Any]:
        """The result as plain numbers and strings, ready for JSON."""
        rows = [asdict(row) | {"images_per_second": row.images_per_second} for row in self.rows]
        return {"machine": self.machine, "rounds": self.rounds, "rows": rows}

    def to_markdown(self) -> str:
        """The table in Markdown."""
        table = markdown_table(HEAD, [row.cells() for row in self.rows])
        return "\n\n".join([self._title(), table, *map(markdown_text, self._errors())]) + "\n"

    def __str__(self):
        return "\n".join(
            [self._title(), text_table(HEAD, [row.cells() for row in self.rows]), *self._errors()]
        )

    def _title(self):
        return f"{', '.join(str(value) for value in self.machine.values())}; medians of {self.rounds} runs"

    def _errors(self):
        return [
            f"{row.model}, {row.batch_size}, {row.precision}: {row.error}" for row in self.rows if row.error
        ]


@checked(rounds=1)
def benchmark(
    models: Sequence[str],
    *,
    batch_sizes: Iterable[int] = (1,),
    precisions: Iterable[str] = ("float32",),
    classes: int | None = None,
    image_size: tuple[int, int] | None = None,
    rounds: int = 10,
    on_row: Callable[[BenchmarkRow], object] = lambda row: None,
) -> Benchmark:
    """Measures the forward pass of models on this machine, decoding included.

    Every combination runs in a process of its own, which starts Keras with the backend of this one.

    Args:
        models: saved models, published ones or networks, see `chosen_model`.
        batch_sizes: numbers of images in a batch.
        precisions: "float32", "mixed_bfloat16" or "mixed_float16". A saved model of another
            package has the one that it was built with, and is an error in another.
        classes: number of classes of networks.
        image_size: (height, width) of networks in pixels.
        rounds: timed runs, after one that compiles.
        on_row: is called with each row when it is measured.

    Raises:
        ValueError: for an unknown precision, a batch size below 1, or no models. What is wrong with one
            model is told in its row.
    """
    combinations = list(product(models, batch_sizes, precisions))
    _check(models, combinations)
    rows, machine = [], {}
    for model, batch_size, precision in combinations:
        task = {"model": model, "batch_size": batch_size, "precision": precision, "rounds": rounds}
        result = _in_a_process(task | {"classes": classes, "image_size": image_size})
        machine = result.pop("machine", machine)
        if result.get("input_shape"):
            result["input_shape"] = tuple(result["input_shape"])
        rows.append(BenchmarkRow(model, batch_size, precision, **result))
        on_row(rows[-1])
    return Benchmark(tuple(rows), machine, rounds)


def _check(models, combinations):
    if not models or not combinations:
        raise ValueError("benchmark: expected at least one model, batch size and precision")
    for _, batch_size, precision in combinations:
        if precision not in PRECISIONS:
            hint = did_you_mean(precision, PRECISIONS)
            raise ValueError(
                f"benchmark: unknown precision {precision!r}; there are {', '.join(PRECISIONS)}{hint}"
            )
        if batch_size < 1:
            raise ValueError(f"benchmark: batch sizes must be at least 1, got {batch_size}")


def _in_a_process(task):
    """What `worker` says about a task, or {"error": why it ended without saying anything}."""
    import keras

    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "KERAS_BACKEND": keras.config.backend(),
    }
    command = [sys.executable, "-m", "multibox.profiling.worker", json.dumps(task)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    for line in run.stdout.splitlines():
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    last = (run.stderr.strip().splitlines() or ["no message"])[-1]
    return {"error": f"the process ended with status {run.returncode}: {printable(last, 300)}"}


def _by(shape):
    return "x".join(map(str, shape)) if shape else "-"
