"""Converts the names and layouts of other projects to ours. One module for each family of networks."""

from ...messages import one_line
from ..formats.caffe import read_caffe
from ..formats.keras_file import read_keras
from ..formats.onnx_file import read_onnx
from ..formats.recognize import recognize
from ..formats.tensorflow_checkpoint import read_checkpoint
from ..formats.tensorflow_graph import read_tensorflow_graph
from ..formats.tflite import read_tflite
from ..formats.torch_file import read_torch
from . import efficientnet_lite, mobilenet, object_detection, object_detection_tf2, vgg16
from .mapped import Mapped, adapt_pixels, fit_channels, has_heads

__all__ = ["Mapped", "adapt_pixels", "fit_channels", "map_weights"]

# A torch network is recognized by a tensor that no other network has.
TORCH_NETWORKS = (
    ("backbone.scale_weight", vgg16.from_torchvision),
    ("backbone.features.0.0.0.weight", mobilenet.from_ssdlite),
    ("features.16.0.weight", mobilenet.from_mobilenet_v3),
    ("_conv_stem.weight", efficientnet_lite.from_efficientnet_lite),
)


def map_weights(path, channel_order=None):
    """Reads a weight file of any supported kind.

    Args:
        path: path of the file. The kind is recognized by the content, not by the name.
        channel_order: "rgb" or "bgr" if the first layer expects another channel order than usual for weights
            of this origin; otherwise None.

    Returns:
        A `Mapped`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is damaged, of an unknown kind, or of a network that this package does not
            have.
    """
    kind = recognize(path)
    if kind.startswith("torch"):
        content, function = read_torch(path), _from_torch
    elif kind == "onnx":
        # Torch's exporter keeps the names of the tensors.
        content, function = read_onnx(path), _from_torch
    elif kind == "caffe":
        content, function = read_caffe(path), vgg16.from_caffe
    elif kind == "tflite":
        content, function = read_tflite(path), object_detection.from_tflite
    elif kind == "tensorflow-checkpoint":
        content, function = read_checkpoint(path), _from_checkpoint
    elif kind == "tensorflow-graph":
        content, function = read_tensorflow_graph(path), object_detection.from_tensorflow
    else:
        content, function = read_keras(path), _from_keras
    try:
        mapped = function(content)
        if kind.startswith("tensorflow"):
            object_detection.read_config(mapped, path)
        return mapped if channel_order is None else vgg16.channel_order(mapped, channel_order)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _from_torch(state):
    for name, function in TORCH_NETWORKS:
        if name in state:
            return function(state)
    if names := vgg16.torch_project(state):
        return vgg16.from_torch_project(state, names)
    found = one_line(", ".join(list(state)[:4]), 200)
    raise ValueError(
        "expected torchvision's ssd300_vgg16, ssdlite320_mobilenet_v3_large or mobilenet_v3_large, an SSD300 "
        "or SSD512 of ssd.pytorch, pytorch-ssd, lufficc/SSD or mmdetection, or an EfficientNet-Lite, "
        f"found a network with the tensors {found}, ...; for another network pass names; the repository's "
        "examples/torch_mobilenets.py converts MobileNet SSDs of pytorch-ssd, lufficc/SSD and mmdetection"
    )


def _from_checkpoint(arrays):
    if object_detection_tf2.is_of_tensorflow_2(arrays):
        return object_detection_tf2.from_tensorflow_2(arrays)
    return object_detection.from_tensorflow(arrays)


def _from_keras(layers):
    """Maps files of this package, of ssd_keras and of keras.applications, which use the same layer names."""
    if "block1_conv1" in layers:
        return vgg16.from_keras(layers)
    if has_heads(layers):
        return Mapped("Keras' weights", layers)
    backbone = next((names for names in mobilenet.KERAS_BACKBONES if names & set(layers)), frozenset(layers))
    return Mapped("Keras' weights", layers, expected=backbone)
