"""How networks expect their pixels, as arguments of `ImageNormalization`."""

from __future__ import annotations

import keras

from ..messages import did_you_mean, printable

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in 0..1

# By what `keras.applications` calls them: "caffe" is ImageNet's mean in the order BGR, "torch" is ImageNet's
# mean and standard deviation, "tf" is -1..1, and "none" leaves 0..255.
PIXELS = {
    "caffe": {"mean": [123.68, 116.779, 103.939], "bgr": True},
    "torch": {"mean": [255 * m for m in _MEAN], "scale": [1 / (255 * s) for s in _STD]},
    "tf": {"mean": 127.5, "scale": 1 / 127.5},
    "none": {"mean": 0.0},
}
# Beginnings of the names that `keras.applications` gives its models. The first that fits counts.
_FAMILIES = (
    ("resnet50v2", "tf"),
    ("resnet101v2", "tf"),
    ("resnet152v2", "tf"),
    ("resnet", "caffe"),
    ("vgg", "caffe"),
    ("densenet", "torch"),
    ("mobilenet", "tf"),
    ("xception", "tf"),
    ("inception", "tf"),
    ("nasnet", "tf"),
)
_OWN = (keras.layers.Rescaling, keras.layers.Normalization)


def pixels_of(backbone: keras.Model, pixels: str | dict | None, owner: str) -> dict:
    """The arguments of `ImageNormalization` for a backbone.

    Args:
        backbone: the backbone.
        pixels: what the caller has passed: a name of `PIXELS`, such arguments, or None. None: as the family
            of `keras.applications` expects it, or nothing if the backbone begins with layers that do it.
        owner: name of the calling function, for messages.

    Raises:
        ValueError: for an unknown name, or None if the backbone is of an unknown family.
    """
    if isinstance(pixels, dict):
        return pixels
    names = ", ".join(map(repr, PIXELS))
    if pixels is not None:
        if pixels not in PIXELS:
            hint = did_you_mean(pixels, PIXELS)
            raise ValueError(f"{owner}: pixels must be one of {names} or a dict, got {pixels!r}{hint}")
        return PIXELS[pixels]
    if any(isinstance(layer, _OWN) for layer in backbone.layers):
        return PIXELS["none"]
    for beginning, kind in _FAMILIES:
        if backbone.name.lower().startswith(beginning):
            return PIXELS[kind]
    raise ValueError(
        f"{owner}: it is not known which pixels the backbone {printable(backbone.name)!r} expects; pass "
        f"pixels, one of {names}, or arguments of ImageNormalization, such as "
        "{'mean': 127.5, 'scale': 1 / 127.5}"
    )
