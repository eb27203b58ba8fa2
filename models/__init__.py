"""Model functions. Each returns a plain functional `keras.Model`."""

from .detector import (
    activation_of,
    anchors_of,
    class_names_of,
    class_weights_of,
    num_classes_of,
    to_inference,
)
from .folding import fold_batch_norm
from .precision import cast_model, fastest_precision
from .pretrained import pretrained
from .sample_classes import sample_classes
from .ssd import SSD
from .ssd7 import SSD7
from .ssd_mobilenet import SSDMobileNet
from .ssd_resnet import DSSD321, SSD321, SSD513
from .ssdlite import SSDLite
from .vgg16 import SSD300, SSD512

__all__ = [
    "DSSD321",
    "SSD",
    "SSD7",
    "SSD300",
    "SSD321",
    "SSD512",
    "SSD513",
    "SSDLite",
    "SSDMobileNet",
    "activation_of",
    "anchors_of",
    "cast_model",
    "class_names_of",
    "class_weights_of",
    "fastest_precision",
    "fold_batch_norm",
    "num_classes_of",
    "pretrained",
    "sample_classes",
    "to_inference",
]
