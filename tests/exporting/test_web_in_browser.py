"""The page of the format "web" in a real browser: it finds what `detect` finds, and asks no other host."""

import base64
import functools
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from PIL import Image
from web_pages import HOSTILE, SIZE, network

import multibox as mb
from multibox.data_generator import resize_only

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from multibox.exporting import web_runtime
from multibox.weights.download import DownloadError


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def model():
    """Its scores go up to about 0.9, whatever numbers a backend draws."""
    made = network()
    for layer in made.layers:
        if layer.name.endswith("_mbox_conf"):
            layer.kernel.assign(layer.kernel * 0.5)
    return made


@pytest.fixture(scope="module")
def url(tmp_path_factory, browser, model):
    """The address of a page on a plain web server."""
    try:
        web_runtime.runtime_files()
    except DownloadError as error:
        pytest.skip(f"onnxruntime-web is not available: {error}")
    folder = mb.export(model, tmp_path_factory.mktemp("web") / "page", "web")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@contextmanager
def opened(browser, url, **options):
    """A page and its messages: reported errors, and addresses of other hosts that it asks for something."""
    context = browser.new_context(device_scale_factor=2, **options)
    page = context.new_page()
    messages = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda r: r.url.startswith((url, "blob:", "data:")) or messages.append(r.url))
    try:
        page.goto(url)
        yield page, messages
    finally:
        context.close()


@pytest.fixture(scope="module")
def shared_page(browser, url):
    with opened(browser, url) as (page, messages):
        page.get_by_text("Ready.", exact=True).wait_for(timeout=60_000)
        yield page, messages


@pytest.fixture
def page(shared_page):
    """The page, ready. Loading it takes seconds, so it is not loaded again for each test."""
    page, messages = shared_page
    set_threshold(page, 0.5)
    yield page
    assert page.evaluate("window.hit") is None
    assert messages == []


def look_at(page, path):
    page.set_input_files("#file", path)
    page.locator("#speed:not(:empty)").wait_for(timeout=60_000)


def set_threshold(page, value):
    page.locator("#threshold").fill(str(value))


def rows_of(page):
    """What the table says, rows [class_id, score, xmin, ymin, xmax, ymax]."""
    ids = {"cat": 1, HOSTILE: 2, "class 3": 3}
    rows = page.locator("#objects tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.querySelectorAll('button, data')]"
        ".map((part) => part.value || part.textContent))"
    )
    return np.array([[ids[name], float(score), *map(float, box.split())] for name, score, box in rows])


def assert_same(found, expected):
    """Rows of nearly equal scores may be swapped."""
    assert len(found) == len(expected)
    ours = np.column_stack([expected.class_ids, expected.scores, expected.boxes])
    for rows, others in ((found, ours), (ours, found)):
        for row in rows:
            same = others[others[:, 0] == row[0]]
            difference = np.abs(same - row)[:, 1:] / [1e-3, 1, 1, 1, 1]
            assert difference.max(axis=1).min() <= 1, row


def save_noise(path, shape, options=(), seed=0):
    """A picture with large and small spots."""
    rng = np.random.default_rng(seed)
    height, width = shape
    spots = cv2.resize(
        rng.integers(0, 256, (5, 7, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    fine = rng.integers(-20, 21, (height, width, 3))
    cv2.imwrite(str(path), np.clip(spots + fine, 0, 255).astype(np.uint8), options)
    return path


@pytest.mark.parametrize("shape", [SIZE, (131, 117), (600, 500), (20, 31)])
def test_the_page_finds_what_detect_finds(page, model, tmp_path, shape):
    path = save_noise(tmp_path / "a.png", shape)
    expected = mb.detect(model, path, min_score=0.0)
    threshold = 0.3
    assert np.abs(expected.scores - threshold).min() > 1e-5  # no score that rounding puts on the other side
    expected = mb.detect(model, path, min_score=threshold)
    assert len(expected) > 5 and len(set(expected.class_ids)) == 3
    set_threshold(page, threshold)
    look_at(page, path)
    assert_same(rows_of(page), expected)
    assert page.locator("#speed").inner_text().startswith(f"{shape[1]} × {shape[0]}, network ")  # noqa: RUF001
    assert page.locator("#summary").inner_text().startswith(f"{len(expected)} objects: ")
    assert page.locator("#objects").get_by_text(HOSTILE).count() > 0


def test_resizing_gives_the_pixels_of_opencv(page):
    rng = np.random.default_rng(0)
    for before, after in (((50, 50), (64, 96)), ((97, 130), (40, 33)), ((80, 60), (40, 30))):
        pixels = rng.integers(0, 256, (*before, 3), np.uint8)
        found = page.evaluate(
            "async ([pixels, before, after]) => "
            "[...(await import('./pixels.js')).resized(new Uint8Array(pixels), before, after)]",
            [pixels.ravel().tolist(), before, after],
        )
        expected = cv2.resize(pixels, after[::-1], interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(np.reshape(found, expected.shape), expected)


PIXELS = """async ([file, size, reduce]) => {
  const { networkPixels } = await import("./pixels.js");
  const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
  return [...networkPixels(await createImageBitmap(new Blob([bytes])), size, reduce)];
}"""


def test_large_jpeg_files_are_reduced_first_as_by_detect(page, tmp_path):
    path = save_noise(tmp_path / "a.jpg", (600, 450), (cv2.IMWRITE_JPEG_QUALITY, 95))
    record = mb.Record("a", str(path), 450, 600, np.zeros((0, 4)), np.zeros(0, int))
    expected = resize_only(SIZE)(record, np.random.default_rng(0))[0].astype(int)
    file = base64.b64encode(path.read_bytes()).decode()
    reduced, whole = (
        np.reshape(page.evaluate(PIXELS, [file, SIZE, reduce]), expected.shape) for reduce in (True, False)
    )
    assert np.abs(reduced - expected).mean() < 1
    assert np.abs(whole - expected).mean() > 3


def test_a_picture_is_turned_as_its_exif_says(page, model, tmp_path):
    image = Image.open(save_noise(tmp_path / "a.png", (60, 90)))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif, quality=95)
    expected = mb.detect(model, tmp_path / "a.jpg", min_score=0.3)
    set_threshold(page, 0.3)
    look_at(page, tmp_path / "a.jpg")
    assert page.locator("#speed").inner_text().startswith("60 × 90")  # noqa: RUF001
    found = rows_of(page)
    # JPEG decoders differ by a level here and there.
    assert (found[0, 0], found[0, 1]) == (expected.class_ids[0], pytest.approx(expected.scores[0], abs=0.02))


def test_a_picture_that_is_one_line(page, model, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((1, 5000, 3), 90, np.uint8))
    set_threshold(page, 0.01)
    look_at(page, tmp_path / "a.png")
    assert len(rows_of(page)) == len(mb.detect(model, tmp_path / "a.png", min_score=0.01))


def test_the_threshold_and_the_keyboard(page, tmp_path):
    look_at(page, save_noise(tmp_path / "a.png", SIZE))
    set_threshold(page, 0.99)
    nothing = "No object found with a score of 0.99 or more."
    assert page.locator("#summary").inner_text() == nothing and page.locator("#objects").is_hidden()
    page.locator("#threshold").press("Home")
    assert page.locator("#threshold-value").inner_text() == "0.01"
    assert len(rows_of(page)) > 100
    picture = page.locator("#view").screenshot()
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.className") == "list":
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === document.querySelector('#objects button')")
    assert page.locator("#view").screenshot() != picture  # one box is shown before the others


def test_what_is_no_picture_is_told_in_one_line(page, tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("no picture")
    look_at(page, save_noise(tmp_path / "a.png", SIZE))
    page.set_input_files("#file", path)
    page.get_by_text("notes.png: this is not a picture that the browser can read.").wait_for()
    assert page.locator("#status.error").count() == 1 and page.locator("#objects").is_hidden()
    look_at(page, tmp_path / "a.png")
    assert page.locator("#status").inner_text() == ""


PASTE = """([kind, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
  const data = kind === "paste" ? { clipboardData: files } : { dataTransfer: files };
  const event = kind === "paste" ? ClipboardEvent : DragEvent;
  document.body.dispatchEvent(new event(kind, { bubbles: true, cancelable: true, ...data }));
}"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_pictures_are_pasted_and_dropped_also_before_all_is_loaded(browser, url, tmp_path, kind):
    path = save_noise(tmp_path / "a.png", SIZE)
    with opened(browser, url) as (page, messages):
        page.evaluate(PASTE, [kind, list(path.read_bytes())])
        page.locator("#speed:not(:empty)").wait_for(timeout=60_000)
        assert page.locator("#hint").is_hidden() and page.locator("#progress").is_hidden()
        assert messages == []


def test_the_camera(browser, url):
    with opened(browser, url, permissions=["camera"]) as (page, messages):
        page.get_by_role("button", name="Use the camera").press("Enter")
        page.locator("#speed:not(:empty)").wait_for(timeout=60_000)
        assert page.locator("#status").inner_text() == "The camera is on."
        page.get_by_role("button", name="Stop the camera", pressed=True).click()
        assert page.locator("#status").inner_text() == "The camera is off."
        assert page.evaluate("document.getElementById('video').srcObject") is None
        assert messages == []


def test_a_camera_that_is_not_allowed(page):
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_text("The camera is not allowed. Allow it in the settings of this site.").wait_for()
    assert page.get_by_role("button", name="Use the camera", pressed=False).count() == 1


def test_a_missing_file_is_told(browser, url):
    context = browser.new_context()
    page = context.new_page()
    page.route("**/model.onnx", lambda route: route.fulfill(status=404, body="none"))
    page.goto(url)
    page.get_by_text("model.onnx: the server answers 404").wait_for()
    assert page.locator("#progress").is_hidden()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_the_screen(page, tmp_path, width, scheme):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    set_threshold(page, 0.3)
    look_at(page, save_noise(tmp_path / "a.png", (200, 300)))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 29)"}[scheme]
    drawn, shown = page.evaluate("(v => [v.width, v.clientWidth])(document.getElementById('view'))")
    assert drawn == 2 * shown > 500  # sharp on a dense screen
