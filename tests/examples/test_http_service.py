"""The service of examples/, over real connections."""

import asyncio
import struct
import threading
import zlib

import cv2
import keras
import numpy as np
import pytest
from PIL import ImageFile

import multibox as mb

httpx = pytest.importorskip("httpx", reason="httpx is not installed")
uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
for name in ("fastapi", "onnx", "onnxruntime"):
    pytest.importorskip(name, reason=f"{name} is not installed")

COUNT = 100


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    keras.utils.set_random_seed(0)
    model = mb.SSD7(class_names=("cat", "dog"), image_size=(64, 96))
    return mb.export(model, tmp_path_factory.mktemp("model") / "m.onnx", max_detections=20)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Paths of different pictures; some are large, turned or PNG."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    paths = []
    for i in range(COUNT):
        spots = rng.integers(0, 256, (6, 8, 3), np.uint8)
        size = (900 + i, 700) if i % 10 == 0 else (60 + i, 80)
        path = folder / f"{i}{'.png' if i % 3 == 0 else '.jpg'}"
        cv2.imwrite(str(path), cv2.resize(spots, size))
        paths.append(path)
    jpeg = paths[1].read_bytes()
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)  # turned to the right
    paths[1].write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    return paths


@pytest.fixture
def served(module, model_path, monkeypatch):
    """The running service: its address, and the object behind it, whose batches are counted."""
    monkeypatch.setenv("MULTIBOX_MODEL", str(model_path))
    app = module.create_app()
    service, sizes = app.state.service, []
    run = service.detector.predict_on_batch
    monkeypatch.setattr(
        service.detector, "predict_on_batch", lambda images: (sizes.append(len(images)), run(images))[1]
    )
    service.sizes = sizes
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", service
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()  # it shuts down cleanly


async def post_all(address, bodies):
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        posts = (client.post("/detect", params={"min_score": 0.2}, content=body) for body in bodies)
        return await asyncio.gather(*posts)


def test_a_hundred_requests_at_once_get_what_detect_finds(served, pictures, model_path):
    address, service = served
    answers = asyncio.run(post_all(address, [path.read_bytes() for path in pictures]))
    expected = mb.detect(model_path, pictures, min_score=0.2, progress=False)
    for answer, found in zip(answers, expected, strict=True):
        assert answer.status_code == 200, answer.text
        content = answer.json()
        assert (content["height"], content["width"]) == found.image_size
        detections = content["detections"]
        assert [d["name"] for d in detections] == [d.class_name for d in found]
        assert [d["class_id"] for d in detections] == [d.class_id for d in found]
        np.testing.assert_allclose([d["score"] for d in detections], found.scores, atol=1e-5)
        np.testing.assert_allclose([d["box"] for d in detections], found.boxes, atol=1e-2)
    assert len({answer.text for answer in answers}) == COUNT  # no two pictures give the same
    assert sum(service.sizes) == COUNT and max(service.sizes) == 8 and len(service.sizes) < COUNT / 2


def png(width, height):
    """A PNG file whose header states a size."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    parts += [(b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_bad_bytes_are_answered_and_the_service_goes_on(served, pictures, module, monkeypatch):
    address, _ = served
    jpeg, small = pictures[2].read_bytes(), cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
    bad = {
        b"": "expected the bytes of a JPEG or PNG file",
        b"hello": "expected the bytes of a JPEG or PNG file",
        b"<svg/>" * 1000: "expected the bytes of a JPEG or PNG file",
        jpeg[:20]: "the picture is cut off or damaged",
        jpeg[:-100]: f"the image file is truncated ({len(jpeg) - 100} bytes)",
        pictures[0].read_bytes()[:-500]: "the picture is cut off or damaged",
        small: "expected sides from 8 and at most 50000000 pixels, got 1x1",
        png(9_000, 9_000): "expected sides from 8 and at most 50000000 pixels, got 9000x9000",
    }
    for decoder in (cv2, "imdecode"), (ImageFile.ImageFile, "load"):
        monkeypatch.setattr(*decoder, lambda *a: pytest.fail("decodes before it looks at the header"))
    for answer, text in zip(asyncio.run(post_all(address, bad)), bad.values(), strict=True):
        assert answer.status_code == 400, answer.text
        assert answer.json()["detail"].startswith(text) and "\n" not in answer.text
    monkeypatch.undo()
    (large,) = asyncio.run(post_all(address, [bytes(module.MAX_BYTES + 1)]))
    assert large.status_code == 413

    async def parts():  # without a length in the header
        for _ in range(10):
            yield bytes(1 << 20)

    (large,) = asyncio.run(post_all(address, [parts()]))
    assert large.status_code == 413
    assert httpx.post(f"{address}/detect?min_score=2", content=jpeg).status_code == 422
    assert httpx.post(f"{address}/detect", content=jpeg).status_code == 200
    assert httpx.get(f"{address}/health").json() == {"status": "ok", "under_way": 0}


def test_an_error_of_the_runtime_fails_its_requests_only(served, pictures, monkeypatch):
    address, service = served
    body = pictures[2].read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(service.detector, "predict_on_batch", lambda images: 1 / 0)
        assert httpx.post(f"{address}/detect", content=body).status_code == 500
    assert httpx.post(f"{address}/detect", content=body).status_code == 200


def test_a_full_service_answers_at_once(served, pictures, module, monkeypatch):
    address, _ = served
    monkeypatch.setattr(module, "MAX_WAITING", 0)
    answer = httpx.post(f"{address}/detect", content=pictures[2].read_bytes())
    assert answer.status_code == 503 and answer.headers["retry-after"] == "1"


def test_it_says_what_the_model_is(served, model_path):
    about = httpx.get(served[0]).json()
    assert about["model"] == str(model_path)
    assert about["class_names"] == ["cat", "dog"] and about["image_size"] == [64, 96]


def test_without_a_model_it_says_what_is_missing(module, monkeypatch):
    monkeypatch.setenv("MULTIBOX_MODEL", "nothing.onnx")
    with pytest.raises(SystemExit, match=r"no such file: nothing\.onnx"):
        module.create_app()
    monkeypatch.delenv("MULTIBOX_MODEL", raising=False)
    with pytest.raises(SystemExit, match="set MULTIBOX_MODEL to the path of an exported detector"):
        module.create_app()
