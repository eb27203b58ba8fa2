"""`multibox convert`: converts a weight file of any supported kind to a Keras file."""

import inspect
from pathlib import Path
from typing import Annotated

import typer

from ..files import atomic
from ..networks import NETWORKS, find_network
from .backend import start_keras

SUFFIXES = (".keras", ".weights.h5")


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Weight file of Keras, Caffe, torch or TensorFlow Lite; or coco, imagenet.",
        ),
    ],
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="The model (.keras) or its weights (.weights.h5).")
    ],
    model: Annotated[str, typer.Option(help=f"The network: {', '.join(NETWORKS)}.")],
    classes: Annotated[int, typer.Option(min=1, help="Number of classes, background not counted.")],
    anchors: Annotated[
        str | None, typer.Option(help="Anchors, as named in multibox.anchors: SSD512_VOC_CAFFE, ...")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Width of a MobileNet.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Backbone of ssdlite or ssd-mobilenet.")] = None,
    head: Annotated[
        str | None, typer.Option(help="Of ssd-mobilenet: pointwise (the default), conv or separable.")
    ] = None,
    separable_extras: Annotated[
        bool | None, typer.Option(help="Separable extra layers of ssd-mobilenet, as in SSDLite.")
    ] = None,
    batch_norm: Annotated[
        bool | None,
        typer.Option(help="BatchNorm of ssd-mobilenet; off if it is folded into the weights."),
    ] = None,
    channel_order: Annotated[
        str | None, typer.Option(help="rgb or bgr, if the weights expect another order than usual.")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Load only the layers that fit.")] = False,
):
    """Convert weights of Caffe, torch, Keras or TensorFlow Lite to a Keras file."""
    if not output.name.endswith(SUFFIXES):
        raise ValueError(f"{output}: expected a name that ends in {' or '.join(SUFFIXES)}")
    start_keras()
    from ..weights.loading import load_weights

    given = {"alpha": alpha, "backbone": backbone, "head": head, "batch_norm": batch_norm}
    given |= {"anchors": _anchors(anchors), "separable_extras": separable_extras}
    options = {name: value for name, value in given.items() if value is not None}
    function = find_network(model).function
    for name in set(options) - set(inspect.signature(function).parameters):
        raise ValueError(f"{model} has no option --{name.replace('_', '-')}")
    with atomic(output, overwrite=False) as file:
        network = function(classes, **options)
        print(load_weights(network, source, strict=not partial, channel_order=channel_order))
        (network.save_weights if output.name.endswith(".weights.h5") else network.save)(file)
    print(f"Written to {output}.")


def _anchors(name):
    from .. import anchors as specs

    spec = getattr(specs, name, None) if name else None
    if name and not isinstance(spec, specs.AnchorSpec):
        known = [key for key, value in vars(specs).items() if isinstance(value, specs.AnchorSpec)]
        raise ValueError(f"unknown anchors {name!r}; there are {', '.join(known)}")
    return spec
