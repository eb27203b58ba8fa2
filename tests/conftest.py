"""Shared fixtures."""

import gc
import os
import shutil
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Most of a run with JAX is compiling, and many tests and their processes compile the same.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Pictures of a camera are drawn by the browser.
BROWSER_OPTIONS = ("--no-sandbox", "--use-fake-device-for-media-stream")
SHARED = Path(os.environ.get("MULTIBOX_SHARED", Path(__file__).parents[2] / "shared"))


def pytest_collection_finish(session):
    """Takes the imported packages out of the garbage collections of the run: they stay, and they are many."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def collected_garbage():
    """Frees the graphs of a module at its end. Otherwise large collections fall into tests, for minutes."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def small_golden():
    """The folder of the independent reference numbers in the repository."""
    return Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden():
    """The folder of the large independent reference numbers. Tests that need it are skipped without it."""
    return _shared("golden", "reference numbers")


@pytest.fixture(scope="session")
def voc_mini():
    """A real Pascal VOC devkit of 1500 images. Tests that need it are skipped without it."""
    return _shared("data/voc2007-mini/VOCdevkit", "Pascal VOC images")


@pytest.fixture(scope="session")
def shared_data():
    """The folder of small real data sets in several layouts. Tests that need it are skipped without it."""
    return _shared("data", "real data sets")


@pytest.fixture(scope="module")
def browser():
    """A browser without a window, of playwright. Tests that need it are skipped without it."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser found ({', '.join(BROWSERS)}); install one, such as Debian's chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=BROWSER_OPTIONS)
        yield chromium
        chromium.close()


def _shared(path, what):
    folder = SHARED / path
    if not folder.is_dir():
        pytest.skip(f"{what} not found at {folder} (set MULTIBOX_SHARED)")
    return folder
