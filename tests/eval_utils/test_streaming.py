import threading
from functools import partial

import keras
import numpy as np
import pytest
from annotated_images import write_image
from videos import write_video

import multibox as mb
from multibox.eval_utils import streaming, views
from multibox.eval_utils.streaming import Source

SIZE = (64, 64)


@pytest.fixture(scope="module")
def model():
    return mb.SSD7(class_names=("cat", "dog", "emu"), image_size=SIZE)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Five pictures of two sizes and a video of 20 frames."""
    folder = tmp_path_factory.mktemp("place")
    for i in range(5):
        write_image(folder / f"{i}.jpg", size=(90, 60 + i % 2), seed=i)
    write_video(folder / "clip.avi")
    return folder


def run(model, sources, **options):
    return list(mb.predict_files(model, sources, **{"min_score": 0, "progress": False, **options}))


@pytest.mark.parametrize("batch_size", [2, 8])
def test_equals_detect(model, place, batch_size):
    expected = mb.detect(model, place, min_score=0)
    found = run(model, place, batch_size=batch_size)
    assert [source for source, _ in found] == [Source(f"{place}/{i}.jpg") for i in range(5)]
    for (source, ours), theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours.rows, theirs.rows, atol=1e-3)
        assert ours.image_size == theirs.image_size and ours.path == source.path
        assert ours.class_names == ("cat", "dog", "emu")


def test_frames_of_a_video(model, place):
    found = run(model, [f"{place}/0.jpg", f"{place}/clip.avi"])
    assert len(found) == 21 and found[0][0] == Source(f"{place}/0.jpg")
    assert [source.frame for source, _ in found[1:]] == list(range(20))
    assert found[5][0] == Source(f"{place}/clip.avi", 4, 4 / 12.5, 12.5)
    detections = found[5][1]
    assert detections.image_size == (48, 64) and detections.image.shape == (48, 64, 3)
    alone = mb.detect(model, detections.image, min_score=0)
    np.testing.assert_allclose(detections.rows, alone.rows, atol=1e-3)


def test_scores_and_classes(model, place):
    everything = run(model, f"{place}/0.jpg")[0][1]
    limit = float(np.median(everything.scores))
    ((_, some),) = run(model, f"{place}/0.jpg", min_score=limit)
    np.testing.assert_array_equal(some.rows, everything.rows[everything.scores >= limit])
    ((_, emus),) = run(model, f"{place}/0.jpg", classes=["emu"])
    np.testing.assert_array_equal(emus.rows, everything["emu"].rows)
    with pytest.raises(ValueError, match=r"no class 'emi'; did you mean 'emu'\?; there are cat, dog, emu"):
        mb.predict_files(model, place, classes=["emi"])


def test_tiles(model, place, monkeypatch):
    """A small object is found in its tile, at the place where it is in the picture."""
    seen = []

    def predict(images, min_score):
        seen.append((*images.shape, min_score))
        rows = np.zeros((len(images), 3, 6), np.float32)
        rows[:, 0] = [1, 0.9, 0.25, 0.25, 0.5, 0.5]
        return rows

    monkeypatch.setattr("multibox.eval_utils.views.run_of", lambda model: predict)
    ((_, found),) = run(model, f"{place}/0.jpg", tiles=60, overlap=0.5, batch_size=4)  # 90 x 60
    views = 3 + (keras.backend.backend() == "jax")  # the whole picture, tiles at 0 and 30, and one to fill up
    assert seen == [(views, 64, 64, 3, 0)]
    expected = [[22.5, 15, 45, 30], [15, 15, 30, 30], [45, 15, 60, 30]]
    np.testing.assert_allclose(found.boxes, expected, atol=1e-4)
    ((_, found),) = run(model, f"{place}/0.jpg", tiles=90)
    assert len(found) == 1


def test_tiles_are_joined_as_in_detect(model, place):
    """A whole box with a low score drops a part of it with a high one."""
    options = {"tiles": 32, "overlap": 0.5}
    everything = mb.detect(model, f"{place}/0.jpg", min_score=0.0, **options)
    limit = float(np.median(everything.scores))
    ((_, found),) = run(model, f"{place}/0.jpg", min_score=limit, **options)
    expected = mb.detect(model, f"{place}/0.jpg", min_score=limit, **options)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.rows, everything.rows[everything.scores >= limit])


def test_results_come_before_all_is_read_and_memory_is_bounded(model, place, monkeypatch):
    read = []
    monkeypatch.setattr(streaming, "find_sources", lambda sources: [f"{place}/0.jpg"] * 1000)
    whole = streaming.image_record

    def record(*arguments):
        read.append(1)
        return whole(*arguments)

    monkeypatch.setattr(streaming, "image_record", record)
    results = mb.predict_files(model, "x", progress=False, batch_size=4)
    assert not read
    next(results)
    assert 4 <= len(read) <= 4 + 2 * max(4, views.THREADS) + 1
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("multibox")]


def test_what_cannot_be_read_is_reported_in_order(model, place, tmp_path):
    good = write_image(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    (tmp_path / "c.mp4").write_bytes(b"no video")
    (tmp_path / "d.jpg").write_bytes(good.read_bytes()[:2000])
    errors = []
    found = run(model, [tmp_path, tmp_path / "c.mp4", good], on_error=errors.append)
    assert [source.path for source, _ in found] == [str(good)]
    names = [str(error).split(":")[0].rpartition("/")[2] for error in errors]
    assert names == ["b.jpg", "d.jpg", "c.mp4"]
    with pytest.raises(mb.ImageError, match=r"b\.jpg"):
        run(model, tmp_path)


def test_a_camera_has_batches_of_one(model, monkeypatch):
    class Camera:
        fps, count = 30.0, None

        def __init__(self, source):
            assert source == 0

        def __iter__(self):
            return iter(np.zeros((3, 48, 64, 3), np.uint8))

        def close(self):
            pass

    monkeypatch.setattr(streaming, "VideoReader", Camera)
    found = run(model, 0)
    assert [source for source, _ in found] == [Source(0, i, i / 30, 30.0) for i in range(3)]


def test_progress_counts_pictures_and_frames(model, place, capsys, monkeypatch):
    monkeypatch.setattr(streaming, "tqdm", partial(streaming.tqdm, mininterval=0))  # shows every step
    run(model, [place, f"{place}/clip.avi"], progress=True)
    error = capsys.readouterr().err
    assert "/25 [" in error and ("images/s" in error or "s/ images" in error)  # tqdm below one image a second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 2}, "min_score must be between 0 and 1, got 2"),
        ({"overlap": 1}, "overlap must be between 0 and 0.9, got 1"),
        ({"tiles": 0}, "tiles must be the side of a tile in pixels"),
        ({"classes": []}, "classes must have at least one name"),
        ({"sources": []}, "sources must have at least one"),
    ],
)
def test_wrong_arguments_are_refused_at_once(model, place, options, message):
    with pytest.raises(ValueError, match=message):
        mb.predict_files(model, **{"sources": place, **options})


def test_a_gray_model_takes_pictures_but_no_video(place):
    gray = mb.SSD7(1, image_size=SIZE, channels=1)
    assert len(run(gray, f"{place}/0.jpg")) == 1
    with pytest.raises(ValueError, match="videos have 3 channels, the model takes 1"):
        mb.predict_files(gray, f"{place}/clip.avi")
