import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import pytest

import multibox as mb
from multibox.class_names import COCO_NAMES_BY_ID
from multibox.models import SSDMobileNet
from multibox.models.unallocated import unallocated_weights
from multibox.weights import loading
from multibox.weights import published as sources
from multibox.weights.published import SOURCES, WEIGHTS, Source, fetch_source, published


def keras_source(module):
    return (Path(keras.__file__).parent / "src" / "applications" / f"{module}.py").read_text()


def test_the_table_is_sound():
    assert {key for keys in WEIGHTS.values() for key in keys} == set(SOURCES)
    for key, source in SOURCES.items():
        assert source.digest is None or re.fullmatch("sha256:[0-9a-f]{8,64}|md5:[0-9a-f]{32}", source.digest)
        assert key == source.key and source.what
        assert (source.url is None) == (source.package is not None)
        if source.package:
            assert source.member and re.fullmatch("sha256:[0-9a-f]{64}", source.digest)
        else:
            assert re.fullmatch(r"https://\S+/\w[\w.+-]*", source.url, re.ASCII)
        assert (
            (source.function is None)
            == (source.class_names is None)
            == ("num_classes" not in source.arguments)
        )
        assert source.function is None or len(source.class_names) == source.arguments["num_classes"] + 1
    names = [source.url.rpartition("/")[2] for source in SOURCES.values() if source.url]
    assert len(set(names)) == len(names)


def test_digests_and_names_of_keras_are_those_of_its_source_code():
    source = SOURCES["vgg16_imagenet"]
    text = keras_source("vgg16")
    assert f'file_hash="{source.digest.removeprefix("md5:")}"' in text
    stated = re.search(
        r'"vgg16_weights_tf_dim_ordering_tf_kernels\.h5",\s+WEIGHTS_PATH,.*?"(\w{32})"', text, re.S
    )
    assert source.digest == f"md5:{stated[1]}"
    assert source.url == "".join(re.search(r'WEIGHTS_PATH = \(\s+"(.+)"\s+"(.+)"', text).groups())
    source, text = SOURCES["resnet101_imagenet"], keras_source("resnet")
    stated = re.search(r'"resnet101": \(\s+"\w{32}",\s+"(\w{32})"', text)
    assert source.digest == f"md5:{stated[1]}"
    assert source.url.startswith(re.search(r'BASE_WEIGHTS_PATH = \(\s+"(.+)"', text)[1])
    for key, module in (("mobilenet_1.0_imagenet", "mobilenet"), ("mobilenet_v2_imagenet", "mobilenet_v2")):
        text = keras_source(module)
        folder = re.search(r'BASE_WEIGHT_PATH = \(\s+"(.+)"', text)[1]
        assert SOURCES[key].url.startswith(folder) and SOURCES[key].digest is None
        assert "hash=" not in text  # once Keras states one, it belongs into the table


def test_digests_of_torchvision_are_those_in_the_file_names():
    files = [s for s in SOURCES.values() if s.place.startswith("https://download.pytorch.org/")]
    assert len(files) == 3
    for source in files:
        assert source.digest == f"sha256:{re.search(r'-([0-9a-f]{8})[.]pth$', source.url)[1]}"


def test_published():
    ssd300, ssd512 = mb.SSD300(1), mb.SSD512(1)
    assert published(ssd512, "imagenet") is published(ssd300, "imagenet")
    assert published(mb.SSDLite(90), "coco").class_names == COCO_NAMES_BY_ID
    with pytest.raises(ValueError, match="ssd512: there are no published weights 'coco', only imagenet"):
        published(ssd512, "coco")
    with pytest.raises(
        ValueError, match="ssd7 has no published weights 'imagenet'; pass the path of a weight file"
    ):
        published(mb.SSD7(1), "imagenet")
    with pytest.raises(ValueError, match="no published weights 'vgg'; there are: vgg16_imagenet, "):
        fetch_source("vgg")


@pytest.mark.parametrize(
    ("alpha", "options", "name"),
    [(1.0, {}, "1_0"), (0.75, {}, "7_5"), (0.5, {}, "5_0"), (0.25, {"min_depth": 8}, "2_5")],
)
def test_the_file_for_the_width_of_the_model(alpha, options, name):
    model = SSDMobileNet(1, alpha=alpha, **options)
    assert published(model, "imagenet").url.endswith(f"/mobilenet_{name}_224_tf_no_top.h5")


@pytest.mark.parametrize(
    ("build", "weights", "message"),
    [
        (
            lambda w: SSDMobileNet(1, alpha=1.4, weights=w),
            "imagenet",
            r"alpha=1\.0, batch_norm=True; ",
        ),
        (lambda w: SSDMobileNet(1, alpha=0.25, weights=w), "imagenet", r"alpha=0\.25, .*, min_depth=8$"),
        (lambda w: SSDMobileNet(1, batch_norm=False, weights=w), "imagenet", "batch_norm=True"),
        (lambda w: SSDMobileNet(90, weights=w), "coco", r"num_classes=90, alpha=0\.75, batch_norm=False"),
        (lambda w: SSDMobileNet(20, alpha=0.75, batch_norm=False, weights=w), "coco", "see sample_classes"),
        (lambda w: mb.SSD300(20, weights=w), "coco", r"num_classes=90, anchors=.*SSD300_TORCHVISION"),
        (lambda w: mb.SSDLite(90, alpha=0.5, weights=w), "coco", r"num_classes=90, alpha=1\.0"),
        (lambda w: mb.SSDLite(1, alpha=0.5, weights=w), "imagenet", r"with alpha=1\.0$"),
        (lambda w: mb.SSDLite(1, backbone="mobilenet_v2", alpha=0.5, weights=w), "imagenet", "mobilenet_v2"),
    ],
)
def test_nothing_is_fetched_for_a_model_that_the_weights_cannot_fit(monkeypatch, build, weights, message):
    monkeypatch.setattr(loading, "fetch_source", lambda source: pytest.fail("fetched"))
    with pytest.raises(ValueError, match=message):
        build(weights)


def test_the_function_and_the_arguments_of_a_detector_build_a_model_that_its_weights_fit():
    detectors = [source for source in SOURCES.values() if source.function]
    assert [source.key for source in detectors] == ["ssd300_coco", "ssdlite_coco", "ssd_mobilenet_coco"]
    for source in detectors:
        model = getattr(mb, source.function)(**source.arguments)
        assert published(model, "coco") is source


def test_the_arguments_of_a_backbone_build_a_model_that_it_fits():
    builders = {
        **{"ssd300": mb.SSD300, "ssd512": mb.SSD512, "ssd_mobilenet": SSDMobileNet},
        **{"ssd321": mb.SSD321, "ssd513": mb.SSD513, "dssd321": mb.DSSD321},
        "ssd_mobilenet_v2": SSDMobileNet,
    }
    for (name, trained_on), keys in WEIGHTS.items():
        for key in keys if trained_on == "imagenet" else ():
            with unallocated_weights():
                model = builders.get(name, mb.SSDLite)(3, **SOURCES[key].arguments)
            assert model.name == name and published(model, "imagenet") is SOURCES[key]


def test_arguments_are_written_as_in_a_call():
    assert SOURCES["ssd300_coco"].call() == "num_classes=90, anchors=multibox.anchors.SSD300_TORCHVISION"
    assert SOURCES["ssd_mobilenet_coco"].call() == "num_classes=90, alpha=0.75, batch_norm=False"
    assert SOURCES["mobilenet_v2_imagenet"].call() == "backbone='mobilenet_v2', alpha=1.0"
    assert SOURCES["vgg16_imagenet"].call() == ""


def test_the_models_of_the_table_exist():
    with unallocated_weights():
        models = (
            *(mb.SSD300(1), mb.SSD512(1), mb.SSD321(1), mb.SSD513(1), mb.DSSD321(1)),
            mb.SSDLite(1),
            mb.SSDLite(1, backbone="mobilenet_v2"),
            *(mb.SSDLite(1, backbone=f"efficientnet_lite{i}") for i in range(3)),
            SSDMobileNet(1),
            SSDMobileNet(1, backbone="mobilenet_v2"),
        )
    assert {name for name, _ in WEIGHTS} == {model.name for model in models}


def test_weights_in_an_archive_are_taken_out(tmp_path, monkeypatch):
    def fetch(url, *args):
        asked.append((url, *args))
        with zipfile.ZipFile(tmp_path / "net.v1.zip", "w") as zipped:
            zipped.writestr("detect.tflite", b"weights")
            zipped.writestr("labelmap.txt", b"cat")
        return tmp_path / "net.v1.zip"

    asked = []
    monkeypatch.setattr(sources, "fetch", fetch)
    source = Source("a", "https://example.org/net.v1.zip", None, "", member="detect.tflite", max_bytes=99)
    path = fetch_source(source)
    assert path == tmp_path / "net.v1-detect.tflite" and path.read_bytes() == b"weights"
    assert asked == [("https://example.org/net.v1.zip", None, 99)]
    with pytest.raises(ValueError, match="7 bytes, expected at most 6"):
        fetch_source(replace(source, max_bytes=6))


def test_weights_that_are_the_file_are_returned(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "fetch", lambda url, *args: tmp_path / url.rpartition("/")[2])
    assert fetch_source("ssd300_coco") == tmp_path / "ssd300_vgg16_coco-b556d3b4.pth"


def test_the_table_needs_neither_a_reader_of_images_nor_a_model():
    """With the package and `multibox.weights` replaced by empty packages, which would import all the rest."""
    root = Path(mb.__file__).parent
    code = f"""
import sys, types
for name, folder in (("multibox", {str(root)!r}), ("multibox.weights", {str(root / "weights")!r})):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [folder]
sys.modules.update(cv2=None, yaml=None, msgspec=None)
import multibox.weights.published
print(*(name for name in sys.modules if name.startswith("multibox.")))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name.split(".")[1] for name in run.stdout.split()}
    assert {"weights", "anchors", "class_names"} <= imported
    assert not imported & {"layers", "models", "losses", "data_generator", "eval_utils", "training", "cli"}
