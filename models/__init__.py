"""Model functions. Each returns a plain functional `keras.Model`."""

from .detector import (
    activation_of,
    anchors_of,
    class_names_of,
    class_weights_of,
    num_classes_of,
    to_inference,
)
from .pretrained import pretrained
from .sample_classes import sample_classes
from .ssd import SSD
from .ssd7 import SSD7
from .ssd_mobilenet import SSDMobileNet
from .ssdlite import SSDLite
from .vgg16 import SSD300, SSD512

__all__ = [
    "SSD",
    "SSD7",
    "SSD300",
    "SSD512",
    "SSDLite",
    "SSDMobileNet",
    "activation_of",
    "anchors_of",
    "class_names_of",
    "class_weights_of",
    "num_classes_of",
    "pretrained",
    "sample_classes",
    "to_inference",
]
