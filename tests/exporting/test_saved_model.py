import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from exported_files import DATA, SIZE, assert_detects_as_keras, small_model

import multibox as mb
from multibox.exporting.checking import largest_difference

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    return mb.export(model, tmp_path_factory.mktemp("served") / "m", "savedmodel")


def images():
    return np.stack([cv2.resize(mb.read_image(record.image), SIZE[::-1]) for record in DATA])


def test_detect_finds_what_it_finds_with_keras(model, path):
    assert_detects_as_keras(path, model)


PROGRAM = """
import sys
sys.modules.update(dict.fromkeys(["keras", "multibox", "jax"]))
import numpy as np, tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
images = np.load(sys.argv[2])
found = {
    "serve": loaded.serve(images)["detections"],
    "served": loaded.signatures["serving_default"](images=tf.constant(images))["detections"],
    "float": loaded.signatures["float"](images=tf.constant(images, tf.float32))["detections"],
}
contents = [tf.io.encode_png(image).numpy() for image in images]
encoded = loaded.signatures["encoded"](image_bytes=tf.constant(contents))
found |= {"encoded": encoded["detections"], "sizes": encoded["sizes"]}
np.savez(sys.argv[3], **{key: value.numpy() for key, value in found.items()})
"""


def test_every_signature_without_keras(model, path, tmp_path):
    np.save(tmp_path / "images.npy", images())
    arguments = map(str, (path, tmp_path / "images.npy", tmp_path / "found.npz"))
    subprocess.run([sys.executable, "-I", "-c", PROGRAM, *arguments], check=True, capture_output=True)
    found = np.load(tmp_path / "found.npz")
    expected = np.asarray(mb.to_inference(model).predict_on_batch(images()))
    for name in ("serve", "served", "float", "encoded"):
        assert max(map(largest_difference, expected, found[name])) <= 1e-5, name
    assert found["sizes"].tolist() == [[*SIZE]] * len(DATA)


def test_the_folder_holds_the_weights_once_and_what_it_is(model, path):
    variables = path / "variables" / "variables.data-00000-of-00001"
    weights = sum(np.prod(weight.shape) * 4 for weight in model.weights)
    assert weights <= variables.stat().st_size < 1.1 * weights + 10_000
    about = json.loads((path / "assets.extra" / "about.json").read_text())
    assert about["class_names"] == [*DATA.class_names] and about["iou_threshold"] == 0.45


def test_more_channels_have_no_signature_for_files(tmp_path):
    path = mb.export(mb.SSD7(2, image_size=SIZE, channels=4), tmp_path / "m", "savedmodel")
    assert [*tf.saved_model.load(str(path)).signatures] == ["serving_default", "float"]
    rows = mb.load_detector(path).predict_on_batch(np.zeros((1, *SIZE, 4), np.uint8))
    assert rows.shape == (1, 200, 6)


def test_a_folder_that_is_there(model, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="m exists already"):
        mb.export(model, tmp_path / "m", "savedmodel")
    with pytest.raises(FileExistsError, match="m exists already and is no export of this format"):
        mb.export(model, tmp_path / "m", "savedmodel", overwrite=True)
    (tmp_path / "m" / "saved_model.pb").touch()
    with pytest.raises(FileExistsError, match=r"m has mine.txt, which no export wrote"):
        mb.export(model, tmp_path / "m", "savedmodel", overwrite=True)
    assert (tmp_path / "m" / "mine.txt").read_text() == "mine"
    with pytest.raises(ValueError, match="pass format for a folder: savedmodel or web"):
        mb.export(model, tmp_path / "new")


def test_folders_that_are_none_of_ours(path, tmp_path):
    with pytest.raises(ValueError, match=r"expected a file that ends with .* or the folder of a SavedModel"):
        mb.load_detector(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"expected a detector that multibox.export wrote: it has no assets"):
        mb.load_detector(tmp_path)
    (tmp_path / "assets.extra").mkdir()
    about = (path / "assets.extra" / "about.json").read_text()
    (tmp_path / "assets.extra" / "about.json").write_text(about)
    with pytest.raises(ValueError, match="TensorFlow cannot load this folder") as caught:
        mb.load_detector(tmp_path)
    assert "\n" not in str(caught.value)
