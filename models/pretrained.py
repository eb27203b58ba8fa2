"""Published detectors by name."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import keras

from ..anchors import AnchorSpec
from ..arguments import checked
from ..class_names import map_names
from ..messages import did_you_mean
from ..weights.loading import load_weights
from ..weights.published import SOURCES
from .detector import model_of
from .sample_classes import initial_weights, layer_seeds, sample_classes
from .ssd_mobilenet import SSDMobileNet
from .ssdlite import SSDLite
from .vgg16 import SSD300

FUNCTIONS = {function.__name__: function for function in (SSD300, SSDLite, SSDMobileNet)}

# Names of the published detectors.
DETECTORS = tuple(key for key, source in SOURCES.items() if source.function)


@checked(seed=0, channels=1)
def pretrained(
    name: str,
    class_names: Sequence[str] | None = None,
    *,
    seed: int = 0,
    channels: int = 3,
    image_size: tuple[int, int] | None = None,
    anchors: AnchorSpec | None = None,
) -> keras.Model:
    """Builds a published detector with its weights and class names, ready to detect or to fine-tune.

    Args:
        name: "ssd300_coco", "ssdlite_coco" or "ssd_mobilenet_coco". The weights are downloaded once.
        class_names: the classes of your own data, in the order of their labels. Classes that the published
            model knows keep their weights, also under a synonym ("tvmonitor" is COCO's "tv"). The other
            classes are initialized. None: the classes of the published model.
        seed: seed of the initializers.
        channels: number of channels of your images; the first layer is extended, see `load_weights`.
        image_size: (height, width) of the input in pixels. None: that of the published model, for which alone
            its mAP is known. "ssd300_coco" takes no other.
        anchors: anchors of your own, for their image size; None: those of the published model. The model must
            then be trained. Heads of levels with another number of anchors are initialized.

    Returns:
        `keras.Model` for training. `detect`, `predict_dataset` and `to_inference` accept it, too.

    Raises:
        DownloadError: if the weights cannot be downloaded; the message tells where to put the file by hand.
        ValueError: for an unknown name, and as `sample_classes`.
    """
    if name not in DETECTORS:
        hint = did_you_mean(name, DETECTORS)
        raise ValueError(f"pretrained: name must be one of {', '.join(DETECTORS)}, got {name!r}{hint}")
    source = SOURCES[name]
    names = source.class_names[1:]
    changes = {"image_size": image_size, "anchors": anchors}
    changes = {key: value for key, value in changes.items() if value is not None}
    options = {"class_names": names, "channels": channels, **source.arguments, **changes}
    function = FUNCTIONS[source.function]
    model = _with_other_anchors(function, options, seed) if changes else function(weights="coco", **options)
    if class_names is None:
        return model
    known = map_names(class_names, names)
    return sample_classes(model, class_names, new=[n for n in class_names if known[n] is None], seed=seed)


def _with_other_anchors(function, options, seed):
    model = function(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other anchors, which are meant
        report = load_weights(model, "coco", strict=False)
    for name, layer_seed in zip(report.left, layer_seeds(seed, len(report.left)), strict=True):
        layer = model.get_layer(name)
        layer.set_weights(initial_weights(layer, layer_seed))
    return model


def find_model(model: str | os.PathLike[str], class_names: Sequence[str] | None = None) -> keras.Model:
    """The model that a command names: a saved one, or a published one.

    Args:
        model: path of a saved model (`.keras`), or a name that `pretrained` takes. An existing path counts
            first.
        class_names: None, or the classes that a published model is to find. It must know all of them. A saved
            model keeps its own classes.

    Raises:
        DownloadError: see `pretrained`.
        FileNotFoundError: if it is neither; lists the names.
        ValueError: for classes that the published model does not know; names them.
    """
    name = os.fspath(model)
    if Path(name).exists():
        return model_of(name, "find_model")
    if name not in DETECTORS:
        raise FileNotFoundError(
            f"{name}: no such model file, and no published model, of which there are "
            f"{', '.join(DETECTORS)}{did_you_mean(name, DETECTORS)}"
        )
    known = map_names(class_names or (), SOURCES[name].class_names)
    if unknown := [given for given, found in known.items() if found is None]:
        raise ValueError(
            f"{name}: does not know the class{'es' * (len(unknown) > 1)} {', '.join(map(repr, unknown))}; "
            f"train it on your data first, or name a model that you have trained"
        )
    return pretrained(name, class_names=class_names)
