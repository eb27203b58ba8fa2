import json
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
from exported_files import DATA, SIZE, assert_detects_as_keras, small_model

import multibox as mb
from multibox.exporting import litert

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytest.importorskip("tensorflow", reason="TensorFlow is not installed")


@pytest.fixture(scope="module")
def model():
    return small_model()


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    return mb.export(model, tmp_path_factory.mktemp("litert") / "m.tflite")


def test_detect_finds_what_it_finds_with_keras(model, path):
    assert_detects_as_keras(path, model)


def test_the_archive_says_what_the_file_is(model, path):
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read("about.json"))
        assert archive.read("labels.txt").decode().split() == [*DATA.class_names]
    assert about["image_size"] == [64, 96] and about["class_names"] == [*DATA.class_names]
    assert about["variances"] == [0.1, 0.1, 0.2, 0.2] and about["max_detections"] == 200
    assert mb.load_detector(path).metadata["image_size"] == "[64, 96]"


def test_the_script_runs_alone(model, path, tmp_path):
    """With neither Keras nor this package, as on a small computer."""
    image = mb.read_image(DATA[0].image)
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['keras', 'tensorflow', 'jax', 'multibox'])); "
        f"sys.path.insert(0, {str(path.parent)!r}); from detect import main; main(*sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(path), str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    found = mb.detect(model, image)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[1] for line in lines] == [found.class_names[i - 1] for i in found.class_ids.astype(int)]
    np.testing.assert_allclose([float(line[2]) for line in lines], found.scores, atol=0.006)
    np.testing.assert_allclose(np.array([line[3:] for line in lines], int), found.boxes, atol=0.51)


@pytest.mark.parametrize(("precision", "share"), [("float16", 0.55), ("dynamic", 0.4), ("int8", 0.4)])
def test_smaller_numbers_make_a_smaller_file(model, path, tmp_path, precision, share):
    options = {"calibration": DATA} if precision == "int8" else {}
    small = mb.export(model, tmp_path / "s.tflite", precision=precision, **options)
    with zipfile.ZipFile(path) as archive:
        archived = sum(member.compress_size for member in archive.infolist())
    assert small.stat().st_size - archived < share * (path.stat().st_size - archived) + 20_000
    images = np.stack([cv2.resize(mb.read_image(r.image), SIZE[::-1]) for r in DATA])
    expected = np.asarray(mb.to_inference(model).predict_on_batch(images))
    found = mb.load_detector(small).predict_on_batch(images)
    assert np.abs(np.sort(found[:, :20, 1]) - np.sort(expected[:, :20, 1])).max() < 0.1


def test_pixels_enter_the_file_of_8_bits_unchanged(model, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    path = mb.export(model, tmp_path / "m.tflite", precision="int8", calibration=DATA[:2])
    (given,) = Interpreter(model_path=str(path)).get_input_details()
    assert given["dtype"] == np.uint8 and given["quantization"] == (1.0, 0)


def test_bad_options(model, tmp_path):
    path = tmp_path / "m.tflite"
    with pytest.raises(ValueError, match=r"the precision int8 and calibration, .* belong together"):
        mb.export(model, path, precision="int8")
    with pytest.raises(ValueError, match=r"the precision int8 and calibration, .* belong together"):
        mb.export(model, path, calibration=DATA)
    with pytest.raises(
        ValueError, match=r"precision must be float32 or float16 or dynamic or int8 for litert"
    ):
        mb.export(model, path, precision="bfloat16")
    assert not [*tmp_path.iterdir()]


def test_a_script_of_somebody_else_is_kept(model, tmp_path, monkeypatch):
    (tmp_path / "detect.py").write_text("mine")
    with pytest.raises(FileExistsError, match=r"detect.py exists already"):
        mb.export(model, tmp_path / "m.tflite")
    assert [file.name for file in tmp_path.iterdir()] == ["detect.py"]


def test_a_network_that_disagrees_is_not_written(model, tmp_path, monkeypatch):
    convert = litert._convert

    def other(job, path):
        return convert(job._replace(detector=mb.to_inference(mb.SSD7(2, image_size=SIZE))), path)

    monkeypatch.setattr(litert, "_convert", other)
    model = mb.SSD7(2, image_size=SIZE)
    with pytest.raises(
        RuntimeError, match=r"m.tflite is not written: in LiteRT, the network's outputs differ"
    ):
        mb.export(model, tmp_path / "m.tflite")
    assert not [*tmp_path.iterdir()]


def _damaged(path, folder, member, change):
    damaged = folder / "bad.tflite"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
        start = min(info.header_offset for info in archive.infolist())
    damaged.write_bytes(path.read_bytes()[:start])
    members[member] = change(members[member])
    with zipfile.ZipFile(damaged, "a") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return damaged


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("activation", "tanh", "activation must be one of softmax, sigmoid"),
        ("max_detections", 10**9, "its counts"),
        ("iou_threshold", "a", "its thresholds"),
        ("num_classes", 9, "its outputs are"),
        ("class_names", ["a"], "its metadata"),
    ],
)
def test_a_changed_about(path, tmp_path, key, value, words):
    def change(content):
        return json.dumps({**json.loads(content), key: value})

    with pytest.raises(
        ValueError, match=rf"bad.tflite: expected a detector that multibox.export wrote: .*{words}"
    ):
        mb.load_detector(_damaged(path, tmp_path, "about.json", change))


def test_damaged_files(path, tmp_path):
    def anchors(content):
        return content[:128]

    with pytest.raises(ValueError, match=r"bad.tflite: expected a detector that multibox.export wrote: "):
        mb.load_detector(_damaged(path, tmp_path, "anchors.npy", anchors))
    (tmp_path / "text.tflite").write_text("no model")
    with pytest.raises(ValueError, match=r"text.tflite: expected a detector .*: it holds no about.json"):
        mb.load_detector(tmp_path / "text.tflite")
