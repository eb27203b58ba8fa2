"""`multibox complexity`: what a model costs, counted and measured."""

import json
from pathlib import Path
from typing import Annotated

import typer

from .arguments import AnyModel, Classes, Size, parse_size
from .backend import start_keras
from .boundary import one_line_warnings

FILES = ("complexity.md", "complexity.json")


def complexity(
    model: AnyModel,
    classes: Classes = None,
    size: Size = None,
    layers: Annotated[bool, typer.Option("--layers", help="Show each layer, too.")] = False,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Measure the stages of a forward pass and of a training step, too."),
    ] = False,
    batch: Annotated[int, typer.Option(min=1, help="Images per batch, for --measure.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Timed runs, for --measure.")] = 10,
    output: Annotated[Path | None, typer.Option(help=f"Folder for {' and '.join(FILES)}.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files of an earlier call.")] = False,
):
    """Count parameters, multiply-adds, activations and receptive field of each stage of a model."""
    from ..files import atomic, check_absent, check_folder

    if output is not None:
        check_folder(output)
        if not force:
            check_absent(output / name for name in FILES)
    image_size = parse_size(size)
    start_keras()
    from ..profiling import complexity as count
    from ..profiling import measure_stages
    from ..profiling.chosen import chosen_model

    with one_line_warnings("multibox complexity"):
        chosen = chosen_model(model, classes=classes, image_size=image_size, runs=measure)
        counted = count(chosen)
        print(f"{counted.layer_table()}\n\n{counted}" if layers else counted, flush=True)
        times = measure_stages(chosen, batch_size=batch, rounds=rounds) if measure else None
    if times is not None:
        print(f"\n{times}")
    if output is None:
        return
    text = counted.to_markdown() + (f"\n{times.to_markdown()}" if times else "")
    numbers = counted.to_dict() | ({"times": times.to_dict()} if times else {})
    for name, content in zip(FILES, (text, json.dumps(numbers, indent=2) + "\n"), strict=True):
        with atomic(output / name, force) as partial:
            partial.write_text(content, encoding="utf-8")
    print(f"\nWritten to {output}: {', '.join(FILES)}")
