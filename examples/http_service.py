"""An HTTP service around an exported detector: a picture in, its objects as JSON out.

MULTIBOX_MODEL=model.onnx python examples/http_service.py
curl --data-binary @street.jpg "localhost:8000/detect?min_score=0.4"

Pictures that arrive together are run as one batch. The constants below bound the memory: no more than
MAX_WAITING requests are under way, and none holds more than MAX_BYTES.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import numpy as np
from fastapi import FastAPI, HTTPException, Query, Request
from starlette.requests import ClientDisconnect

import multibox as mb
from multibox.data_generator.headers import stored_size
from multibox.data_generator.images import image_size
from multibox.data_generator.pixels import Pixels

MAX_BATCH = 8  # pictures
MAX_WAIT = 0.005  # seconds that a picture waits for others
MAX_WAITING = 128  # requests under way
MAX_BYTES = 8 << 20  # of a picture's file
MAX_PIXELS = 50_000_000  # of a picture
MIN_SIDE = 8  # pixels
UPLOAD_SECONDS = 30
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")  # JPEG and PNG


class Service:
    """Runs a detector: pictures are decoded in a pool of threads, and batches run in one thread."""

    def __init__(self, path: str):
        self.detector = mb.load_detector(path)
        facts = self.detector.facts
        self.pixels = Pixels(facts.channels, facts.value_range)
        self.resize = mb.resize_only(facts.image_size)
        self.decoders = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "decode")
        self.runner = ThreadPoolExecutor(1, "detect")
        self.queue: asyncio.Queue = asyncio.Queue()  # MAX_WAITING bounds it
        self.under_way = 0

    async def detect(self, request: Request, min_score: float) -> dict:
        """The answer to a request."""
        if self.under_way >= MAX_WAITING:
            raise HTTPException(503, "too many requests under way; try again", {"Retry-After": "1"})
        self.under_way += 1
        try:
            data = await asyncio.wait_for(body_of(request), UPLOAD_SECONDS)
            loop = asyncio.get_running_loop()
            image, width, height = await loop.run_in_executor(self.decoders, self.read, data)
            found = loop.create_future()
            self.queue.put_nowait((image, found))
            return self.answer(await found, width, height, min_score)
        except asyncio.TimeoutError:
            raise HTTPException(408, f"no whole picture within {UPLOAD_SECONDS} seconds") from None
        except ClientDisconnect:
            raise HTTPException(400, "the client is gone") from None
        except mb.ImageError as error:  # it begins with the function that gives the bytes
            raise HTTPException(400, str(error).partition(": ")[2]) from None
        finally:
            self.under_way -= 1

    def read(self, data: bytes) -> tuple[np.ndarray, int, int]:
        """The input of the network, and the picture's width and height."""
        if not data.startswith(STARTS):
            raise HTTPException(400, "expected the bytes of a JPEG or PNG file")
        try:
            check_size(*stored_size(data))  # of the header: nothing is decoded yet
            width, height = image_size(io.BytesIO(data))  # upright
        except (TypeError, ValueError):  # None has no width
            raise HTTPException(400, "the picture is cut off or damaged") from None
        nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
        record = mb.Record("picture", lambda: data, width, height, *nothing, pixels=self.pixels)
        return self.resize(record, np.random.default_rng(0))[0], width, height

    async def run_batches(self) -> None:
        """Takes pictures from the queue as long as the service runs."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self.queue.get()]
            if self.queue.qsize() < MAX_BATCH - 1:
                await asyncio.sleep(MAX_WAIT)
            while len(batch) < MAX_BATCH and not self.queue.empty():
                batch.append(self.queue.get_nowait())
            images = np.stack([image for image, _ in batch])
            try:
                results = await loop.run_in_executor(self.runner, self.detector.predict_on_batch, images)
            except Exception as error:  # these requests fail, the service goes on
                results = [error] * len(batch)
            for (_, found), result in zip(batch, results, strict=True):
                if found.cancelled():  # the client is gone
                    continue
                found.set_exception(result) if isinstance(result, Exception) else found.set_result(result)

    def answer(self, rows: np.ndarray, width: int, height: int, min_score: float) -> dict:
        """Rows of the detector as the JSON of an answer."""
        names = self.detector.facts.class_names
        rows = rows[(rows[:, 1] > 0) & (rows[:, 1] >= min_score)]
        boxes = np.clip(rows[:, 2:] * np.array([width, height] * 2), 0, [width, height] * 2)
        ids = rows[:, 0].astype(int).tolist()
        detections = [
            {"class_id": i, "name": names[i - 1] if names else None, "score": score, "box": box}
            for i, score, box in zip(ids, rows[:, 1].tolist(), boxes.tolist(), strict=True)
        ]
        return {"width": width, "height": height, "detections": detections}


def check_size(width: int, height: int) -> None:
    """Refuses a picture with nothing to see, and one that would fill the memory."""
    if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
        limits = f"expected sides from {MIN_SIDE} and at most {MAX_PIXELS} pixels"
        raise HTTPException(400, f"{limits}, got {width}x{height}")


async def body_of(request: Request) -> bytes:
    """The body of a request. It is refused as soon as it is known to be too large."""
    data = bytearray()
    if int(request.headers.get("content-length", 0)) <= MAX_BYTES:
        async for part in request.stream():
            data += part
            if len(data) > MAX_BYTES:
                break
        else:
            return bytes(data)
    raise HTTPException(413, f"expected at most {MAX_BYTES} bytes")


def create_app() -> FastAPI:
    """The service of the detector that the environment variable MULTIBOX_MODEL names."""
    if "MULTIBOX_MODEL" not in os.environ:
        sys.exit("set MULTIBOX_MODEL to the path of an exported detector, such as model.onnx")
    try:
        service = Service(os.environ["MULTIBOX_MODEL"])
    except (ImportError, OSError, ValueError) as error:
        sys.exit(str(error))

    @asynccontextmanager
    async def running(app: FastAPI):
        batches = asyncio.create_task(service.run_batches())
        yield
        batches.cancel()
        with suppress(asyncio.CancelledError):
            await batches
        service.decoders.shutdown()
        service.runner.shutdown()

    app = FastAPI(title="multibox", lifespan=running)
    app.state.service = service

    @app.post("/detect")
    async def detect(request: Request, min_score: Annotated[float, Query(ge=0, le=1)] = 0.5) -> dict:
        return await service.detect(request, min_score)

    @app.get("/health")
    async def health() -> dict:
        return {"status": "ok", "under_way": service.under_way}

    @app.get("/")
    async def about() -> dict:
        return {"model": service.detector.path, **service.detector.facts._asdict()}

    return app


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(create_app(), host="127.0.0.1", port=8000)
