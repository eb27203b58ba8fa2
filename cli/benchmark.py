"""`multibox benchmark`: a table of models, batch sizes and precisions on this machine."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..networks import NETWORKS
from .arguments import Classes, Size, parse_size
from .backend import start_keras

FILES = ("benchmark.md", "benchmark.json")


def benchmark(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL", help="Saved models, published ones or networks. Default: all networks."
        ),
    ] = None,
    batch: Annotated[str, typer.Option(help="Images per batch, separated by commas.")] = "1",
    precision: Annotated[
        str, typer.Option(help="float32, mixed_bfloat16, mixed_float16, separated by commas.")
    ] = "float32",
    classes: Classes = None,
    size: Size = None,
    rounds: Annotated[int, typer.Option(min=1, help="Timed runs.")] = 10,
    output: Annotated[Path | None, typer.Option(help=f"Folder for {' and '.join(FILES)}.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier call.")] = False,
):
    """Measure models on this machine: time, images per second and peak memory of the forward pass.

    Each combination of model, batch size and precision runs in a process of its own. Decoding and
    non-max suppression count.

    Exit status: 0 done; 1 an error, or combinations that could not be measured.
    """
    from ..files import atomic, check_absent, check_folder
    from ..profiling.benchmark import benchmark as measure

    if output is not None:
        check_folder(output)
        if not force:
            check_absent(output / name for name in FILES)
    sizes = _whole_numbers(batch)
    precisions = [name.strip() for name in precision.split(",")]
    models = list(models or NETWORKS)
    image_size = parse_size(size)
    start_keras()
    total = len(models) * len(sizes) * len(precisions)
    result = measure(
        models,
        batch_sizes=sizes,
        precisions=precisions,
        classes=classes,
        image_size=image_size,
        rounds=rounds,
        on_row=_Progress(total),
    )
    print(result)
    if output is not None:
        texts = (result.to_markdown(), json.dumps(result.to_dict(), indent=2) + "\n")
        for name, content in zip(FILES, texts, strict=True):
            with atomic(output / name, force) as partial:
                partial.write_text(content, encoding="utf-8")
        print(f"\nWritten to {output}: {', '.join(FILES)}")
    raise typer.Exit(1 if any(row.error for row in result.rows) else 0)


class _Progress:
    """Tells each row on the error stream when it is measured."""

    def __init__(self, total):
        self.total, self.done = total, 0

    def __call__(self, row):
        self.done += 1
        what = row.error or f"{row.milliseconds:.1f} ms"
        line = f"{self.done}/{self.total} {row.model}, batch {row.batch_size}, {row.precision}: {what}"
        print(line, file=sys.stderr, flush=True)


def _whole_numbers(text):
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--batch: expected whole numbers separated by commas, got {text!r}") from None
