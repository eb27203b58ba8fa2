import shutil

import numpy as np
import pytest

import multibox as mb

pytest.importorskip("openvino", reason="openvino is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

SIZE = (64, 96)


@pytest.fixture(scope="module")
def model():
    import keras

    keras.utils.set_random_seed(0)
    return mb.SSD7(class_names=("cat", "dog", "bird"), image_size=SIZE)


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    return mb.export(model, tmp_path_factory.mktemp("openvino") / "m.xml")


@pytest.fixture
def copy(path, tmp_path):
    for file in path.parent.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path / "m.xml"


def test_detect_finds_what_it_finds_with_keras(model, path):
    detector = mb.load_detector(path)
    image = np.random.default_rng(1).integers(0, 256, (80, 120, 3), np.uint8)
    found, expected = mb.detect(detector, image), mb.detect(model, image)
    assert len(found) == len(expected) > 0
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=2e-3)  # pixels
    assert found.class_names == ("cat", "dog", "bird")
    assert detector.facts.image_size == SIZE and detector.metadata["max_detections"] == "200"


def test_a_label_is_no_model(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<annotation><folder>VOC2007</folder></annotation>")
    with pytest.raises(ValueError, match=r"a.xml: .* it is no model of OpenVINO, which begins with <net>$"):
        mb.load_detector(path)


def test_files_that_are_missing_or_damaged(copy):
    weights, content = copy.with_suffix(".bin"), copy.read_bytes()
    for damage in (
        content[:2000],
        b'<net name="a" version="11"></net>',
        content.replace(b"Convolution", b"C"),
    ):
        copy.write_bytes(damage)
        with pytest.raises(ValueError, match=r"m.xml: expected a detector that multibox.export") as caught:
            mb.load_detector(copy)
        assert "\n" not in str(caught.value)
    copy.write_bytes(content)
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"m.xml: .* OpenVINO cannot load this file: "):
        mb.load_detector(copy)
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"m.bin: no such file; it has the weights of the .xml file"):
        mb.load_detector(copy)


def test_other_models_of_openvino(copy):
    content = copy.read_bytes()
    copy.write_bytes(b'<net name="a" version="11"></net>')
    with pytest.raises(ValueError, match=r"m.xml: .*: its input or output is another one$"):
        mb.load_detector(copy)
    copy.write_bytes(content)
    text = copy.read_text(encoding="utf-8")
    copy.write_text(
        text.replace("<multibox>", "<other>").replace("</multibox>", "</other>"), encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"m.xml: expected a detector .*: its metadata has no 'num_classes'"):
        mb.load_detector(copy)
