"""What a run trains, and with what: the keys of run.yaml and the options of `multibox train`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from ..arguments import checked
from ..data_generator.formats.plain_yaml import read_yaml
from ..messages import did_you_mean, printable
from ..networks import BACKBONES, backbones_of

Count = Annotated[int, msgspec.Meta(ge=1)]
OF_BACKBONES = ("sources", "extras", "head", "neck")  # keys that `SSD` takes as they are


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The description of a run. `start_run` checks the values.

    Attributes:
        data: a data set in any layout that `load_dataset` reads: a path, or "path:set".
        val: validation data, like `data`. None: the validation set of `data` if its layout has one, otherwise
            a fifth of the images, chosen with `seed`.
        model: name of a network, see `networks.NETWORKS`; or "ssd", which needs a backbone.
        backbone: of "ssd" the name of a network of `keras.applications`, such as "EfficientNetV2B0"; of
            "ssdlite" and "ssd-mobilenet" one of their own. `networks.BACKBONES` lists them.
        sources, extras, head, neck: of "ssd", see `SSD`. None: its defaults.
        weights: "coco" or "imagenet" (published weights), "none", or the path of a weight file or a model
            (`.keras`). None: "coco" for networks that have such weights, otherwise "imagenet" or "none".
        size: the model's input in pixels, "HEIGHTxWIDTH". None: the network's default.
        epochs: number of the last epoch, counted from the start of the first run. None: that of the recipe.
        batch: images per step. None: that of the recipe, or all images if there are fewer.
        devices: number of devices that share each batch, or "all", see `train`. None: one.
        recipe: name of a recipe, see `multibox.recipes`: optimizer and schedule, augmentation, loss, and the
            epochs, the batch and the box loss that are not given.
        box_loss: see `multibox.recipes.Recipe`. None: that of the recipe.
        precision: a policy of Keras: "float32", "mixed_bfloat16" or "mixed_float16". "auto": what is
            fastest for the network on this device, see `fastest_precision`.
        check: what the data check does at an error in the data: "stop", or "warn" and go on; "off": no check.
        name: name of the run. None: that of the data.
        output: the run's folder. None: `runs/NAME`.
        seed: seed of the division of the data, the weights, the order of the images and the augmentation.
    """

    data: str
    val: str | None = None
    model: str = "ssd-mobilenet"
    backbone: str | None = None
    sources: tuple[int | str, ...] | None = None
    extras: tuple[Count, ...] | None = None
    head: Literal["conv", "separable", "shared", "residual"] | None = None
    neck: Literal["fpn", "deconvolution"] | None = None
    weights: str | None = None
    size: str | None = None
    epochs: Count | None = None
    batch: Count | None = None
    devices: Count | Literal["all"] | None = None
    recipe: Literal["finetune", "modern", "paper", "torchvision_ssdlite"] = "finetune"
    box_loss: Literal["smooth_l1", "giou", "diou", "ciou"] | None = None
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    check: Literal["stop", "warn", "off"] = "stop"
    name: str | None = None
    output: str | None = None
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def folder(self) -> Path:
        """The run's folder."""
        if self.output is not None:
            return Path(self.output)
        # "data/birds:train" and "birds/data.yaml" become birds-train and birds-data.
        parts = Path(self.data).with_suffix("").parts[-2 if Path(self.data).suffix else -1 :]
        return Path("runs") / (self.name or re.sub(r"[^\w.-]+", "-", "-".join(parts)).strip("-.") or "run")

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) in pixels, or None."""
        if self.size is None:
            return None
        height, width = self.size.split("x")
        return int(height), int(width)

    def to_yaml(self) -> str:
        """The description as the text of a yaml file, which `read_config` reads."""
        return yaml.safe_dump(msgspec.to_builtins(self), sort_keys=False, allow_unicode=True)


KEYS = RunConfig.__struct_fields__


def make_config(values: Mapping[str, Any], owner: str) -> RunConfig:
    """A checked `RunConfig`.

    Args:
        values: {key: value}; numbers may be texts.
        owner: begins the messages: the file, or the command.

    Raises:
        ValueError: for an unknown key (names the nearest one), a missing one, or a value that does not fit.
    """
    for key in values:
        if key not in KEYS:
            hint = did_you_mean(key, KEYS)
            raise ValueError(f"{owner}: unknown key {printable(key)!r}{hint}; there are {', '.join(KEYS)}")
    if not values.get("data"):
        raise ValueError(f"{owner}: no data; expected the path of a data set")
    try:
        config = msgspec.convert(dict(values), RunConfig, strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise ValueError(f"{owner}: {where.rstrip('`') or 'value'}: {what}") from None
    if config.size is not None and not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}", config.size):
        raise ValueError(
            f"{owner}: size: expected HEIGHTxWIDTH such as 300x300, got {printable(config.size)!r}"
        )
    if config.name is not None and not re.fullmatch(r"\w[\w.-]*", config.name):
        raise ValueError(
            f"{owner}: name: expected letters, digits, -, _ and dots, got {printable(config.name)!r}"
        )
    _check_backbone(config, owner)
    if config.sources is None:
        return config
    # A file's values are texts, and msgspec cannot know which of them are meant as numbers.
    sources = tuple(int(source) if str(source).isdecimal() else source for source in config.sources)
    return msgspec.structs.replace(config, sources=sources)


def _check_backbone(config, owner):
    """Refuses an unknown backbone, one that the model does not take, and "ssd" without one."""
    model, name, known = printable(config.model), config.backbone, backbones_of(config.model)
    is_ssd = config.model == "ssd"
    other = "" if is_ssd else "; for one of keras.applications add model: ssd, or --model ssd"
    if name is not None and not known:
        raise ValueError(f"{owner}: backbone: {model} has its own{other}")
    if name not in known and (name is not None or is_ssd):
        hint = "" if name is None else did_you_mean(name, known if is_ssd else (*known, *BACKBONES["ssd"]))
        got = "none" if name is None else f"{printable(name)!r}{hint}"
        raise ValueError(f"{owner}: backbone: of {model} one of {', '.join(known)}; got {got}{other}")
    for key in OF_BACKBONES:
        if getattr(config, key) is not None and config.model != "ssd":
            raise ValueError(f"{owner}: {key}: only with model: ssd, got model: {model}")


def read_values(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The keys and values of a yaml file, not checked.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: if it is not a yaml file of keys and values; names it.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise ValueError(f"{os.fspath(path)}: expected keys and values, such as `data: my_data`")
    return content


def is_run_file(path: str) -> bool:
    """Whether a path is a yaml file that describes a run: it has `data`, which no data set's file has."""
    if not path.endswith((".yaml", ".yml")) or not Path(path).is_file():
        return False
    return "data" in read_values(path)


@checked()
def read_config(path: str | os.PathLike[str], **changes: Any) -> RunConfig:
    """Reads the description of a run.

    Args:
        path: path of a yaml file with the attributes of `RunConfig` as keys.
        **changes: values that take the place of those in the file.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: for an unknown key or a value that does not fit; names the file and the key.
    """
    return make_config({**read_values(path), **changes}, os.fspath(path))
