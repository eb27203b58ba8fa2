"""`multibox convert-data`: writes a data set in another layout."""

from pathlib import Path
from typing import Annotated

import typer

from .arguments import Data
from .boundary import one_line_warnings


def convert_data(
    data: Data,
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="New folder; for hdf5 also a file, NAME.h5.")
    ],
    to: Annotated[str, typer.Option(help="voc, coco, yolo, csv, labelme, hdf5 or shards.")],
    link: Annotated[bool, typer.Option("--link", help="Hard links instead of copies.")] = False,
):
    """Write a data set in another layout, with its sets and pictures.

    Pictures are copied. What the layout cannot keep is counted. Nothing is overwritten.
    """
    from ..data_generator.formats.layouts import path_and_set
    from ..data_generator.formats.saving import convert_dataset

    path, split = path_and_set(data)
    with one_line_warnings("multibox convert-data"):
        splits = convert_dataset(path, output, to, split=split, images="link" if link else "copy")
    for name, dataset in splits.items():
        objects = sum(len(record.labels) for record in dataset)
        print(f"{name}: {len(dataset)} images, {objects} objects of {dataset.num_classes} classes")
    print(f"Written to {output}.")
