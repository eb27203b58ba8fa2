"""Writes a detector as OpenVINO's intermediate representation, an `.xml` file and a `.bin` file beside it."""

from __future__ import annotations

from contextlib import ExitStack
from xml.etree import ElementTree

import numpy as np

from .. import __version__
from ..eval_utils.exported import ExportedDetector
from ..eval_utils.runtimes.openvino_runtime import METADATA, open_pair, weights_path
from ..files import atomic
from .checking import check_decoder, check_network, noise
from .job import Job
from .metadata import metadata_of
from .network import PREDICTIONS, onnx_model

HINTS = {"float32": "f32", "bfloat16": "bf16"}
# Of offsets and logits, a share of the largest. A bfloat16 number has 8 bits, and each layer rounds again.
TOLERANCES = {"float32": None, "bfloat16": 0.1}


def write(job: Job) -> None:
    """Writes both files, and runs them beside Keras before they get their names.

    The `.xml` file names no `.bin` file: OpenVINO takes the one beside it. An old `.xml` file is deleted
    before the new `.bin` file gets its name, so that a program that is killed leaves no pair of different
    exports.
    """
    if job.path.suffix.lower() != ".xml":
        raise ValueError(
            f"export: an OpenVINO file must end with .xml, its weights with .bin; got {job.path}"
        )
    paths = (job.path, weights_path(job.path))
    with ExitStack() as stack:  # the last one gets its name first
        xml, weights = (stack.enter_context(atomic(path, job.overwrite)) for path in paths)
        _save(job, xml, weights)
        _check(job, xml, weights)
        if job.overwrite:
            job.path.unlink(missing_ok=True)


def _check(job, xml, weights):
    """Compares the network in the files with that of Keras, and then both decoders on the same numbers.

    With bfloat16 these are the numbers of a compilation in float32: among those of 8 bits many are equal, and
    it is open which comes first.
    """
    images = noise(job.detector.input_shape[1:])
    found = ExportedDetector(str(xml), open_pair(xml, weights)).predict_on_batch(images)
    _, predictions = _outputs(xml, weights, images)
    check_network(job.detector, images, predictions, TOLERANCES[job.precision])
    if job.precision != "float32":
        found, predictions = _outputs(xml, weights, images, {"INFERENCE_PRECISION_HINT": "f32"})
    check_decoder(job.detector, predictions, found)


def _save(job, xml, weights):
    import openvino
    from openvino._offline_transformations import apply_moc_transformations

    content = onnx_model(job.detector, __version__, {}).SerializeToString()
    model = openvino.Core().read_model(content)
    # What makes new layers of several comes first: a new layer would lose the mark of `_finish`.
    apply_moc_transformations(model, cf=False)
    _use_first_max_pool(model)
    for key, text in metadata_of(job.detector).items():
        model.set_rt_info(text, [METADATA, key])
    model.set_rt_info(HINTS[job.precision], ["runtime_options", "INFERENCE_PRECISION_HINT"])
    openvino.save_model(model, xml, compress_to_fp16=False)
    weights_path(xml).replace(weights)  # the temporary names differ
    _finish(xml, _network(model) if job.precision == "bfloat16" else set())


def _use_first_max_pool(model):
    """Puts the first version of MaxPool in place of later ones, as OpenVINO does when it loads a file."""
    from openvino import opset1

    for operation in model.get_ops():
        if operation.get_type_name() == "MaxPool":
            settings = operation.get_attributes()
            names = ("strides", "pads_begin", "pads_end", "kernel", "rounding_type", "auto_pad")
            pool = opset1.max_pool(operation.input_value(0), *map(settings.get, names))
            pool.set_friendly_name(operation.get_friendly_name())
            operation.output(0).replace(pool.output(0))


def _network(model):
    """Names of the layers up to offsets and logits."""
    waiting = [operation for operation in model.get_ops() if operation.get_friendly_name() in PREDICTIONS]
    names = set()
    while waiting:
        if (operation := waiting.pop()).get_friendly_name() not in names:
            names.add(operation.get_friendly_name())
            waiting += [source.get_node() for source in operation.input_values()]
    return names


def _finish(path, others):
    """Marks all layers but the `others`, a set of names, as not to be computed in fewer bits.

    OpenVINO computes in bfloat16 by default where the processor can, whatever the runtime option in the file
    says.
    """
    tree = ElementTree.parse(path)
    for layer in tree.getroot().iter("layer"):
        if layer.get("name") in others:
            continue
        marks = layer.find("rt_info")
        if marks is None:
            marks = ElementTree.Element("rt_info")
            layer.insert(0 if layer.find("data") is None else 1, marks)
        ElementTree.SubElement(marks, "attribute", name="precise", version="0")
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _outputs(xml, weights, images, options=None):
    """Detections of the files, and offsets and logits of the network in them."""
    import openvino

    core = openvino.Core()
    model = core.read_model(xml.read_bytes(), weights.read_bytes())
    model.add_outputs([*PREDICTIONS])
    found, offsets, logits = core.compile_model(model, "CPU", options or {})(images).values()
    return found, np.concatenate([offsets, logits], axis=-1)
