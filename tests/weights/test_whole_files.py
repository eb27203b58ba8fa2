"""Files of the widely used SSD300s, written here as their projects write them: heads equal the reference."""

import keras
import numpy as np
import pytest
from foreign_files import keras2, write_caffemodel, write_pth
from reference import caffe_weights, torchvision_state
from torch_names import SSD_PYTORCH

import multibox as mb
from multibox.class_names import COCO_NAMES_BY_ID


def assert_caffe_heads(golden, model):
    data = np.load(golden / "caffe" / "ssd300_strongbias.npz")
    predictions = model.predict(data["image_rgb_uint8"][None], verbose=0)[0]
    np.testing.assert_allclose(predictions[:, :4], data["mbox_loc"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(predictions[:, 4:], data["mbox_conf"], rtol=0, atol=2e-4)


@pytest.fixture(scope="module")
def blobs(golden):
    return caffe_weights(golden / "caffe", "strongbias")


def test_a_caffemodel_of_ssd300(golden, tmp_path, blobs):
    path = write_caffemodel(tmp_path / "VGG_VOC0712_SSD_300x300.caffemodel", blobs)
    assert_caffe_heads(golden, mb.SSD300(20, weights=path))


def test_a_file_of_ssd_keras(golden, tmp_path, blobs):
    """Keras 2 names and layouts: kernels (rows, columns, in, out), weights in the layer's order."""
    layers = {"input_1": {}, "identity_layer": {}, "pool1": {}}
    for name, (kernel, *bias) in blobs.items():
        if name == "conv4_3_norm":
            layers[name] = {f"{name}/{name}_gamma:0": kernel}
        else:
            layers[name] = {f"{name}/kernel:0": kernel.transpose(2, 3, 1, 0), f"{name}/bias:0": bias[0]}
    model = mb.SSD300(20)
    report = mb.load_weights(model, keras2(tmp_path / "VGG_VOC0712_SSD_300x300.h5", layers))
    assert not report.left and not report.skipped
    assert_caffe_heads(golden, model)


def converted_from_caffe(blobs):
    """Names of ssd.pytorch, whose `ssd_300_VOC0712.pth` has Caffe's numbers: the first layer expects BGR."""
    state = {"L2Norm.weight": blobs["conv4_3_norm"][0]}
    for ours, theirs in SSD_PYTORCH.items():
        state[f"{theirs}.weight"], state[f"{theirs}.bias"] = blobs[ours]
    return state


def test_a_file_of_ssd_pytorch_from_caffe(golden, tmp_path, blobs):
    path = write_pth(tmp_path / "ssd_300_VOC0712.pth", converted_from_caffe(blobs))
    model = mb.SSD300(20)
    mb.load_weights(model, path, channel_order="bgr")
    assert_caffe_heads(golden, model)


def test_a_file_of_torchvisions_ssd300(golden, tmp_path):
    folder = golden / "torchvision"
    path = write_pth(tmp_path / "ssd300_vgg16_coco.pth", torchvision_state(folder, "ssd300_21"))
    model = mb.SSD300(20, weights=path, anchors=mb.anchors.SSD300_TORCHVISION)
    heads = np.load(folder / "ssd300_21_heads.npz")
    predictions = model.predict(np.load(folder / "images_300.npz")["images"], verbose=0)[:, heads["rows"]]
    np.testing.assert_allclose(predictions[..., :4], heads["bbox_regression"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(predictions[..., 4:], heads["cls_logits"], rtol=0, atol=1e-4)


def test_a_converted_file_is_the_same_detector(tmp_path, golden, blobs):
    """From Caffe to `.keras`, and back without a word about custom objects."""
    path = write_caffemodel(tmp_path / "ssd300.caffemodel", blobs)
    mb.SSD300(20, weights=path).save(tmp_path / "ssd300.keras")
    assert_caffe_heads(golden, keras.models.load_model(tmp_path / "ssd300.keras"))


def test_the_published_detector_on_real_images(golden, voc_mini):
    """The same weights give 0.631 on all 4952 test images of VOC 2007, of which these are 300."""
    weights = golden / "ssd_mobilenet_v1_coco" / "ssd_mobilenet.tflite"
    coco = mb.SSDMobileNet(90, alpha=0.75, batch_norm=False, weights=weights)
    model = mb.sample_classes(coco, mb.VOC_CLASSES, class_names=COCO_NAMES_BY_ID)
    images = mb.load_voc(voc_mini, [("2007", "val")], progress=False)
    detections = mb.predict_dataset(mb.to_inference(model, max_detections=100), images, progress=False)
    result = mb.evaluate_voc(detections, images, metric="11_point")
    assert result.mean_average_precision == pytest.approx(0.631, abs=0.01)
