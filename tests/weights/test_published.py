import io
import re
import stat
import zipfile
from pathlib import Path

import keras
import pytest

import multibox as mb
from multibox.class_names import COCO_NAMES_BY_ID
from multibox.models import SSDMobileNet
from multibox.weights import archives, loading
from multibox.weights import published as sources
from multibox.weights.archives import extract_member
from multibox.weights.digests import check_digest
from multibox.weights.download import DownloadError
from multibox.weights.published import SOURCES, WEIGHTS, Source, fetch_source, published

LARGE = 1 << 20


def keras_source(module):
    return (Path(keras.__file__).parent / "src" / "applications" / f"{module}.py").read_text()


def test_the_table_is_sound():
    assert {key for keys in WEIGHTS.values() for key in keys} == set(SOURCES)
    for key, source in SOURCES.items():
        check_digest(source.digest)
        assert key == source.key and source.url.startswith("https://") and source.what
        assert source.class_names is None or len(source.class_names) == source.num_classes + 1
    assert len({source.url.rpartition("/")[2] for source in SOURCES.values()}) == len(SOURCES)


def test_digests_and_names_of_keras_are_those_of_its_source_code():
    source = SOURCES["vgg16_imagenet"]
    text = keras_source("vgg16")
    assert f'file_hash="{source.digest.removeprefix("md5:")}"' in text
    stated = re.search(
        r'"vgg16_weights_tf_dim_ordering_tf_kernels\.h5",\s+WEIGHTS_PATH,.*?"(\w{32})"', text, re.S
    )
    assert source.digest == f"md5:{stated[1]}"
    assert source.url == "".join(re.search(r'WEIGHTS_PATH = \(\s+"(.+)"\s+"(.+)"', text).groups())
    for key, module in (("mobilenet_1.0_imagenet", "mobilenet"), ("mobilenet_v2_imagenet", "mobilenet_v2")):
        text = keras_source(module)
        folder = re.search(r'BASE_WEIGHT_PATH = \(\s+"(.+)"', text)[1]
        assert SOURCES[key].url.startswith(folder) and SOURCES[key].digest is None
        assert "hash=" not in text  # once Keras states one, it belongs into the table


def test_digests_of_torchvision_are_those_in_the_file_names():
    files = [s for s in SOURCES.values() if s.url.startswith("https://download.pytorch.org/")]
    assert len(files) == 3
    for source in files:
        assert source.digest == f"sha256:{re.search(r'-([0-9a-f]{8})[.]pth$', source.url)[1]}"


def test_published():
    ssd300, ssd512 = mb.SSD300(1), mb.SSD512(1)
    assert published(ssd512, "imagenet") is published(ssd300, "imagenet")
    assert published(mb.SSDLite(90), "coco").class_names == COCO_NAMES_BY_ID
    with pytest.raises(ValueError, match="ssd512: there are no published weights 'coco', only imagenet"):
        published(ssd512, "coco")
    with pytest.raises(ValueError, match=r"ssd7: .* only none"):
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


def test_the_arguments_of_the_table_build_models_that_fit():
    builders = {
        "ssd300": mb.SSD300,
        "ssdlite": mb.SSDLite,
        "ssdlite_mobilenet_v2": mb.SSDLite,
        "ssd_mobilenet": SSDMobileNet,
    }
    for (name, _), keys in WEIGHTS.items():
        for key in keys if name in builders else ():
            arguments = eval(f"dict({SOURCES[key].arguments})", {"multibox": mb})
            assert SOURCES[key].fits(builders[name](**{"num_classes": 3, **arguments})), key


def test_the_models_of_the_table_exist():
    models = (
        mb.SSD300(1),
        mb.SSD512(1),
        mb.SSDLite(1),
        mb.SSDLite(1, backbone="mobilenet_v2"),
        SSDMobileNet(1),
    )
    assert {name for name, _ in WEIGHTS} == {model.name for model in models}


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in members.items():
            zipped.writestr(name, data)
    return path


def test_weights_in_an_archive_are_taken_out(tmp_path, monkeypatch):
    asked = []

    def fetch(*args):
        asked.append(args)
        return archive(tmp_path / "net.v1.zip", **{"detect.tflite": b"weights", "labelmap.txt": b"cat"})

    monkeypatch.setattr(sources, "fetch", fetch)
    source = Source("a", "https://example.org/net.v1.zip", None, "", 1, member="detect.tflite", max_bytes=99)
    path = fetch_source(source, tmp_path, progress=False)
    assert path == tmp_path / "net.v1-detect.tflite" and path.read_bytes() == b"weights"
    assert asked == [("https://example.org/net.v1.zip", None, None, tmp_path, 99, False)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.v1-detect.tflite", "net.v1.zip"]


def test_weights_that_are_the_file_are_returned(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "fetch", lambda url, *args: tmp_path / url.rpartition("/")[2])
    assert fetch_source("ssd300_coco") == tmp_path / "ssd300_vgg16_coco-b556d3b4.pth"


def test_a_member_is_extracted_once_and_anew_when_it_differs(tmp_path):
    path, target = archive(tmp_path / "a.zip", m=b"12345"), tmp_path / "out"
    assert extract_member(path, "m", target, LARGE) == target
    first = target.stat().st_mtime_ns
    extract_member(path, "m", target, LARGE)
    assert target.stat().st_mtime_ns == first
    target.write_bytes(b"54321")
    extract_member(path, "m", str(target), LARGE)
    assert target.read_bytes() == b"12345"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "out"]


def forbid_writing(monkeypatch):
    def locked(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(archives, "locked", locked)


def test_a_cache_that_can_only_be_read_serves_what_is_in_it(tmp_path, monkeypatch):
    path, target = archive(tmp_path / "a.zip", m=b"12345"), tmp_path / "out"
    extract_member(path, "m", target, LARGE)
    forbid_writing(monkeypatch)
    assert extract_member(path, "m", target, LARGE) == target
    target.write_bytes(b"54321")
    with pytest.raises(DownloadError, match=r"cannot write .*out: Permission denied; set .*MULTIBOX_HOME"):
        extract_member(path, "m", target, LARGE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_named(tmp_path):
    path = archive(tmp_path / "a.zip", m=b"12345")
    (tmp_path / "out.partial").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"cannot write .*out: No space left.*MULTIBOX_HOME"):
        extract_member(path, "m", tmp_path / "out", LARGE)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_names_in_an_archive_are_printed_on_one_short_line(tmp_path):
    path = archive(tmp_path / "a.zip", **{"a\nERROR: all is well\x1b[31m" + "x" * 10_000: b""})
    with pytest.raises(ValueError, match=r"only a\\nERROR: all is well\\x1b\[31mx+\.\.\.$") as error:
        extract_member(path, "m", tmp_path / "out", LARGE)
    assert len(str(error.value)) < len(str(path)) + 300


def test_names_in_the_archive_lead_nowhere(tmp_path):
    path = archive(tmp_path / "a.zip", **{"../../evil": b"evil", "/etc/evil": b"evil", "m": b"good"})
    target = tmp_path / "in" / "out"
    target.parent.mkdir()
    assert extract_member(path, "../../evil", target, LARGE).read_bytes() == b"evil"
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["a.zip", "in", "in/out"]


def test_a_symbolic_link_is_not_made(tmp_path):
    link = zipfile.ZipInfo("m")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(link, "/etc/hostname")
    target = extract_member(tmp_path / "a.zip", "m", tmp_path / "out", LARGE)
    assert not target.is_symlink() and target.read_bytes() == b"/etc/hostname"


def test_too_large_a_member_is_refused(tmp_path):
    path = archive(tmp_path / "a.zip", m=bytes(10 * LARGE))
    assert path.stat().st_size < LARGE
    with pytest.raises(ValueError, match=r"a\.zip: m has 10485760 bytes, expected at most 1048576"):
        extract_member(path, "m", tmp_path / "out", LARGE)
    assert not (tmp_path / "out").exists()


def test_a_member_that_is_larger_than_the_archive_says_is_refused(tmp_path):
    path = archive(tmp_path / "a.zip", m=bytes(3 * LARGE))
    size, lie = (n.to_bytes(4, "little") for n in (3 * LARGE, 1000))
    path.write_bytes(path.read_bytes().replace(size, lie))
    with pytest.raises(ValueError, match="not a readable ZIP file"):
        extract_member(path, "m", tmp_path / "out", LARGE)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("damage", ["text", "cut", "bytes", "empty"])
def test_broken_archives_are_refused(tmp_path, damage):
    path = archive(tmp_path / "a.zip", m=b"0123456789" * 1000 + bytes(range(256)) * 9)
    data = bytearray(path.read_bytes())
    middle = len(data) // 4
    data[middle : middle + 8] = bytes(8)
    path.write_bytes({"text": b"<html>", "cut": path.read_bytes()[:-30], "bytes": data, "empty": b""}[damage])
    with pytest.raises(ValueError, match=r"a\.zip: not a readable ZIP file, delete it to fetch it anew"):
        extract_member(path, "m", tmp_path / "out", LARGE)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_a_missing_or_encrypted_member_is_named(tmp_path):
    path = archive(tmp_path / "a.zip", one=b"1", two=b"2")
    with pytest.raises(ValueError, match=r"a\.zip: has no file 'm', only one, two"):
        extract_member(path, "m", tmp_path / "out", LARGE)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("m", b"1")
    data = bytearray(buffer.getvalue())
    data[data.index(b"PK\1\2") + 8] |= 1  # the flag in the directory
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.zip: m is encrypted"):
        extract_member(path, "m", tmp_path / "out", LARGE)
