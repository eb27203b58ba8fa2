"""`multibox train`: from a data set to a detector in a run folder."""

import os
from pathlib import Path
from typing import Annotated

import typer

from .backend import start_keras
from .boundary import one_line_warnings

EXAMPLES = (
    "multibox train my_data",
    "multibox train my_data:train --val my_data:val --epochs 50 --name second",
    "multibox train my_data --print-config > run.yaml",
    "multibox train run.yaml --epochs 5",
    "multibox train my_data --model ssd --backbone EfficientNetV2B0 --head separable --size 320x320",
    "multibox train --resume runs/my_data",
)


def train(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="Data set in any layout that load_dataset reads: PATH, or PATH:SET. Or a yaml file with the "
            "options below as keys, and `data`.",
        ),
    ] = None,
    val: Annotated[
        str | None,
        typer.Option(help="Validation data. Default: the set val of DATA, or else a fifth of its images."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="ssd-mobilenet (the default), ssd300, ssd512, ssdlite, ssd7, ssd321, ssd513 or dssd321; or "
            "ssd with --backbone."
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Of ssd: a network of keras.applications, such as EfficientNetV2B0, MobileNetV3Large or "
            "ResNet50. Of ssdlite: mobilenet_v2, efficientnet_lite0, efficientnet_lite1 or "
            "efficientnet_lite2. Of ssd-mobilenet: mobilenet_v2."
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(help="Of ssd: conv (the default), separable for small backbones, residual or shared."),
    ] = None,
    neck: Annotated[str | None, typer.Option(help="Of ssd: fpn or deconvolution. Default: none.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="coco, imagenet, none, a weight file or a model. Default: published ones if any."),
    ] = None,
    size: Annotated[str | None, typer.Option(help="Input of the model, HEIGHTxWIDTH in pixels.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the images. Default: 20, or those of the recipe.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Images per step. Default: 16, or that of the recipe.")
    ] = None,
    devices: Annotated[
        str | None, typer.Option(help="Devices that share each batch: a number, or all. Default: one.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="finetune (the default), modern, paper or torchvision_ssdlite; see docs/train.md."),
    ] = None,
    box_loss: Annotated[
        str | None,
        typer.Option(help="smooth_l1, giou, diou or ciou. Default: that of the recipe, smooth_l1."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, float32, mixed_bfloat16 or mixed_float16.")
    ] = None,
    check: Annotated[
        str | None, typer.Option(help="At errors in the data: stop (the default) or warn; off: no check.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run. Default: that of the data.")] = None,
    output: Annotated[str | None, typer.Option(help="Folder of the run. Default: runs/NAME.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all randomness. Default: 0.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Folder of a run to go on with.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Rename an earlier run in the folder to NAME-old-1, -2, ...")
    ] = False,
    distributed: Annotated[
        bool,
        typer.Option(
            "--distributed",
            help="This is one of several processes that train together, with JAX or PyTorch; see "
            "docs/clusters.md.",
        ),
    ] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the yaml file of this run and stop.")
    ] = False,
):
    """Train a detector on your data, and write it to a run folder with its log, curves and pictures.

    Without options it fine-tunes SSD MobileNet from COCO weights, which suits a few hundred pictures.
    """
    from ..runner.config import KEYS

    options = {key: value for key, value in locals().items() if key in KEYS and value is not None}
    if resume is None and data is None:
        raise typer.BadParameter("expected a data set, a yaml file or --resume FOLDER")
    if distributed:
        options.setdefault("devices", "all")
    config = _config(options, resume)
    if print_config:
        print(config.to_yaml(), end="")
        return
    start_keras()
    leave = _join_others() if distributed else _stay
    from ..runner import start_run

    with one_line_warnings("multibox train"):
        result = start_run(config, resume=resume is not None, force=force)
    leave()
    if result.evaluation is None:  # the first process tells
        return
    print(
        f"\nNext: look at {result.folder / 'detections.jpg'}. To find objects in pictures:\n"
        f"  multibox predict {result.folder / 'best.keras'} PICTURES"
    )


def _join_others():
    """Makes this process one of several, as the environment says; returns how it leaves them."""
    import keras

    if (backend := keras.backend.backend()) not in _JOIN:
        raise typer.BadParameter(f"--distributed needs KERAS_BACKEND=jax or torch, the backend is {backend}")
    join, right = _JOIN[backend]
    try:
        return join()
    except ValueError as error:
        raise ValueError(
            f"--distributed: the environment does not say which process this is ({error}) {right}"
        ) from None


def _stay():
    pass


def _join_jax():
    import keras

    keras.distribution.initialize()
    return _stay  # JAX lets the processes wait for each other at their end


def _join_torch():
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    torch.distributed.init_process_group()
    return torch.distributed.destroy_process_group


# How to join the others, and what to do if the environment does not tell.
_JOIN = {
    "jax": (
        _join_jax,
        "Start the command by srun or mpirun, or set KERAS_DISTRIBUTION_JOB_ADDRESSES, "
        "KERAS_DISTRIBUTION_NUM_PROCESSES, KERAS_DISTRIBUTION_PROCESS_ID",
    ),
    "torch": (
        _join_torch,
        "Start the command by torchrun: torchrun --nproc-per-node 2 -m multibox train ... --distributed",
    ),
}


def _config(options, resume):
    """The description of the run: a yaml file or the one of a run to resume, changed by the options."""
    from ..runner.config import is_run_file, make_config, read_config

    if resume is not None:
        if "data" in options:
            raise typer.BadParameter("--resume takes its data from the run")
        return read_config(resume / "config.yaml", **options | {"output": str(resume)})
    if is_run_file(options["data"]):
        file = options.pop("data")
        return read_config(file, **options)
    return make_config(options, "train")
