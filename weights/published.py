"""Published weights as a table: where they are, how they are verified, and what they know."""

from dataclasses import dataclass, field

import keras

from ..class_names import COCO_NAMES_BY_ID
from ..layers.multibox import multibox_layers
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
        arguments: of the model function, for the model that the weights fit.
        filters: {layer name: filters} that tell a model of that width.
        batch_norm: whether that model has BatchNorm; None if it does not matter.
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
    arguments: str = ""
    filters: dict = field(default_factory=dict)
    batch_norm: bool | None = None

    def fits(self, model):
        """Whether the model has the classes and the width of the weights, which is known without them."""
        norms = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
        (multibox,) = multibox_layers(model)
        return (
            self.batch_norm in (None, norms)
            and (self.class_names is None or multibox.num_classes == self.num_classes)
            and all(model.get_layer(name).filters == count for name, count in self.filters.items())
        )


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
            arguments="alpha=1.0",
            filters={"block12_project": 112},
        ),
        # keras.applications states no digest of the MobileNets v1 and v2.
        *(
            Source(
                f"mobilenet_{alpha}_imagenet",
                f"{_KERAS}/mobilenet/mobilenet_{name}_224_tf_no_top.h5",
                None,
                f"MobileNet v1 without its classifier, alpha {alpha} (keras.applications)",
                1000,
                arguments=f"alpha={alpha}, batch_norm=True" + (", min_depth=8" if alpha == 0.25 else ""),
                filters={"conv1": int(32 * alpha), "conv_pw_13": int(1024 * alpha)},
                batch_norm=True,
            )
            for alpha, name in ((1.0, "1_0"), (0.75, "7_5"), (0.5, "5_0"), (0.25, "2_5"))
        ),
        Source(
            "mobilenet_v2_imagenet",
            f"{_KERAS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
            None,
            "MobileNet v2 without its classifier, alpha 1.0 (keras.applications)",
            1000,
            arguments='backbone="mobilenet_v2", alpha=1.0',
            filters={"block_16_project": 320},
        ),
        Source(
            "ssd300_coco",
            f"{_TORCH}/ssd300_vgg16_coco-b556d3b4.pth",
            "sha256:b556d3b4",
            "SSD300 on VGG16, 91 outputs by category id (torchvision, COCO_V1)",
            90,
            COCO_NAMES_BY_ID,
            arguments="num_classes=90, anchors=multibox.anchors.SSD300_TORCHVISION",
        ),
        Source(
            "ssdlite_coco",
            f"{_TORCH}/ssdlite320_mobilenet_v3_large_coco-a79551df.pth",
            "sha256:a79551df",
            "SSDLite320 on MobileNetV3-Large with the reduced last stage, 91 outputs (torchvision, COCO_V1)",
            90,
            COCO_NAMES_BY_ID,
            arguments="num_classes=90, alpha=1.0",
            filters={"block12_project": 112},
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
            arguments="num_classes=90, alpha=0.75, batch_norm=False",
            filters={"conv1": 24, "conv_pw_13": 768},
            batch_norm=False,
        ),
    )
}

# (name of a model function's model, what it was trained on) -> keys of the sources, one for each width.
WEIGHTS = {
    ("ssd300", "imagenet"): ("vgg16_imagenet",),
    ("ssd512", "imagenet"): ("vgg16_imagenet",),
    ("ssdlite", "imagenet"): ("mobilenet_v3_large_imagenet",),
    ("ssdlite_mobilenet_v2", "imagenet"): ("mobilenet_v2_imagenet",),
    ("ssd_mobilenet", "imagenet"): tuple(f"mobilenet_{alpha}_imagenet" for alpha in (1.0, 0.75, 0.5, 0.25)),
    ("ssd300", "coco"): ("ssd300_coco",),
    ("ssdlite", "coco"): ("ssdlite_coco",),
    ("ssd_mobilenet", "coco"): ("ssd_mobilenet_coco",),
}
PUBLISHED = tuple(dict.fromkeys(trained_on for _, trained_on in WEIGHTS))


def published(model, weights):
    """The `Source` of the weights of a model.

    Args:
        model: of this package.
        weights: "imagenet" or "coco".

    Raises:
        ValueError: if there are none for the model; says for which arguments there are.
    """
    if (model.name, weights) not in WEIGHTS:
        there = sorted(w for name, w in WEIGHTS if name == model.name)
        raise ValueError(
            f"{model.name}: there are no published weights {weights!r}, only {', '.join(there) or 'none'}"
        )
    sources = [SOURCES[key] for key in WEIGHTS[model.name, weights]]
    fitting = next((source for source in sources if source.fits(model)), None)
    if fitting is None:
        raise ValueError(
            f"{model.name}: the published weights {weights!r} are for a model with "
            f"{'; or '.join(source.arguments for source in sources)}"
            + (" (for other classes see sample_classes)" if sources[0].class_names else "")
        )
    return fitting


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
