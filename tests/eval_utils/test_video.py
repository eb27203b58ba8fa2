import numpy as np
import pytest
from videos import video_facts, write_video

from multibox.eval_utils.video import VideoReader, video_writer


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_reading(tmp_path, suffix):
    reader = VideoReader(str(write_video(tmp_path / f"a{suffix}")))
    frames = list(reader)
    assert (reader.fps, reader.count, len(frames)) == (12.5, 20, 20)
    assert frames[0].shape == (48, 64, 3)
    np.testing.assert_allclose([frame.mean() for frame in frames], np.arange(20) * 10, atol=5)


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_writing_and_colors(tmp_path, size):
    path = tmp_path / "new" / "a.mp4"
    red = np.zeros((size[1], size[0], 3), np.uint8)
    red[..., 0] = 200
    with video_writer(path, 29.97, size) as write:
        for _ in range(3):
            write(red)
        assert not path.exists()
    count, found, fps = video_facts(path)
    assert (count, found) == (3, (64, 48))
    assert fps == pytest.approx(29.97, abs=0.01)
    frame = next(iter(VideoReader(str(path))))
    np.testing.assert_allclose(frame.mean(axis=(0, 1)), (200, 0, 0), atol=12)
    with pytest.raises(FileExistsError), video_writer(path, 25, size):
        pass
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]


def test_a_frame_of_another_size(tmp_path):
    with (
        pytest.raises(ValueError, match="expected frames of 64x48, got "),
        video_writer(tmp_path / "a.mp4", 25, (64, 48)) as write,
    ):
        write(np.zeros((64, 48, 3), np.uint8))
    assert not any(tmp_path.iterdir())


def test_what_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(ValueError, match=r"a\.mp4: OpenCV cannot open the video"):
        VideoReader(str(tmp_path / "a.mp4"))
    with pytest.raises(FileNotFoundError):
        VideoReader(str(tmp_path / "b.mp4"))


def test_a_video_whose_end_is_missing_is_reported(tmp_path, monkeypatch):
    reader = VideoReader(str(write_video(tmp_path / "a.avi")))
    reader.count = 25
    with pytest.warns(UserWarning, match=r"a\.avi: states 25 frames, 20 could be read"):
        assert len(list(reader)) == 20
    with pytest.raises(ValueError, match=r"a\.avi: no frame of the video could be read"):
        list(reader)
