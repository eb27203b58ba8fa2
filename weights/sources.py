"""Published weights as a table: where they are, how they are verified, and what they know."""

from dataclasses import dataclass

import keras

from ..labels import COCO_NAMES_BY_ID
from .archives import extract_member
from .download import MAX_BYTES, fetch

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_TORCH = "https://download.pytorch.org/models"
_TFLITE = "https://storage.googleapis.com/download.tensorflow.org/models/tflite"


@dataclass(frozen=True)
class Source:
    """A published file of weights.

    Args:
        key: short name.
        url: where the publisher has it.
        digest: as the publisher states it, see `fetch`: the MD5 in the source code of `keras.applications`,
            the first digits of the SHA-256 in the file names of torchvision. None: the publisher states none
            that is known here, so that nothing tells a damaged file but its length and its format.
        what: the network and its origin.
        num_classes: number of classes, background not counted.
        class_names: by class id, None for background and for unused ids; None if the classes do not matter,
            since a detector takes only the backbone.
        member: the file to take out of a ZIP archive; None if the file is the weights.
        max_bytes: size beyond which it cannot be the right file, nor its member.
    """

    key: str
    url: str
    digest: str | None
    what: str
    num_classes: int
    class_names: tuple | None = None
    member: str | None = None
    max_bytes: int = MAX_BYTES


SOURCES = {
    source.key: source
    for source in (
        Source(
            "vgg16_imagenet",
            f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
            "md5:64373286793e3c8b2b4e3219cbf3544b",
            "VGG16 with its fully connected layers, of which fc6 and fc7 are made (keras.applications)",
            1000,
        ),
        Source(
            "mobilenet_v3_large_imagenet",
            f"{_TORCH}/mobilenet_v3_large-8738ca79.pth",
            "sha256:8738ca79",
            "MobileNetV3-Large with the full last stage, 160 and 960 channels (torchvision, IMAGENET1K_V1)",
            1000,
        ),
        # keras.applications states no digest of the MobileNets v1 and v2.
        *(
            Source(
                f"mobilenet_{alpha}_imagenet",
                f"{_KERAS}/mobilenet/mobilenet_{name}_224_tf_no_top.h5",
                None,
                f"MobileNet v1 without its classifier, alpha {alpha} (keras.applications)",
                1000,
            )
            for alpha, name in ((1.0, "1_0"), (0.75, "7_5"), (0.5, "5_0"), (0.25, "2_5"))
        ),
        Source(
            "mobilenet_v2_imagenet",
            f"{_KERAS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
            None,
            "MobileNet v2 without its classifier, width 1.0 (keras.applications)",
            1000,
        ),
        Source(
            "ssd300_coco",
            f"{_TORCH}/ssd300_vgg16_coco-b556d3b4.pth",
            "sha256:b556d3b4",
            "SSD300 on VGG16, 91 outputs by category id (torchvision, COCO_V1)",
            90,
            COCO_NAMES_BY_ID,
        ),
        Source(
            "ssdlite_coco",
            f"{_TORCH}/ssdlite320_mobilenet_v3_large_coco-a79551df.pth",
            "sha256:a79551df",
            "SSDLite320 on MobileNetV3-Large with the reduced last stage, 91 outputs (torchvision, COCO_V1)",
            90,
            COCO_NAMES_BY_ID,
        ),
        # The model zoo states no digest.
        Source(
            "ssd_mobilenet_coco",
            f"{_TFLITE}/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.zip",
            None,
            "SSD300 on MobileNet v1, trained for 8 bits, 91 outputs by category id (TensorFlow model zoo)",
            90,
            COCO_NAMES_BY_ID,
            member="detect.tflite",
            max_bytes=256 << 20,
        ),
    )
}

# (name of a model function's model, what it was trained on) -> key of the source, or keys by the channels of
# the model's first convolution where the publisher has several widths.
WEIGHTS = {
    ("ssd300", "imagenet"): "vgg16_imagenet",
    ("ssd512", "imagenet"): "vgg16_imagenet",
    ("ssdlite", "imagenet"): "mobilenet_v3_large_imagenet",
    ("ssdlite_mobilenet_v2", "imagenet"): "mobilenet_v2_imagenet",
    ("ssd_mobilenet", "imagenet"): {
        32: "mobilenet_1.0_imagenet",
        24: "mobilenet_0.75_imagenet",
        16: "mobilenet_0.5_imagenet",
        8: "mobilenet_0.25_imagenet",
    },
    ("ssd300", "coco"): "ssd300_coco",
    ("ssdlite", "coco"): "ssdlite_coco",
    ("ssd_mobilenet", "coco"): "ssd_mobilenet_coco",
}


PUBLISHED = tuple(dict.fromkeys(trained_on for _, trained_on in WEIGHTS))


def published(model, weights):
    """The `Source` of the weights of a model.

    Args:
        model: of this package.
        weights: "imagenet" or "coco".

    Raises:
        ValueError: if there are none, or none of the model's width; names what there is for the model.
    """
    if (model.name, weights) not in WEIGHTS:
        there = sorted(w for name, w in WEIGHTS if name == model.name)
        raise ValueError(
            f"{model.name}: there are no published weights {weights!r}, only {', '.join(there) or 'none'}"
        )
    key = WEIGHTS[model.name, weights]
    if isinstance(key, dict):
        channels = next(layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
        if channels not in key:
            raise ValueError(
                f"{model.name}: there are published weights {weights!r} for {', '.join(map(str, key))} "
                f"channels in the first convolution, the model has {channels}: another alpha, or weights=None"
            )
        key = key[channels]
    return SOURCES[key]


def fetch_source(source, cache_dir=None, progress=True):
    """The path of the weights of a `Source` (or of its key), downloaded unless they are in the cache.

    Raises:
        DownloadError: see `fetch`.
        ValueError: for an unknown key, or an archive that does not hold the weights.
    """
    if not isinstance(source, Source):
        if source not in SOURCES:
            raise ValueError(f"no published weights {source!r}; there are: {', '.join(SOURCES)}")
        source = SOURCES[source]
    path = fetch(source.url, source.digest, None, cache_dir, source.max_bytes, progress)
    if source.member is None:
        return path
    target = path.with_name(f"{path.stem}-{source.member}")
    return extract_member(path, source.member, target, source.max_bytes)
