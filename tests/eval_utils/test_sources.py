import os

import pytest

from multibox.eval_utils.sources import find_sources, is_video


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("b.jpg", "a.PNG", "notes.md", "clip.mp4", "sub/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_kinds_in_order_and_each_once(place):
    assert find_sources(["clip.mp4", "b.jpg"]) == ["clip.mp4", "b.jpg"]
    (place / "._b.jpg").write_bytes(b"")
    assert find_sources([place, "b.jpg", "./b.jpg"]) == [f"{place}/a.PNG", f"{place}/b.jpg"]
    assert find_sources(["**/*.jpg"]) == ["b.jpg", "sub/c.jpg"]
    assert find_sources(["*"]) == ["a.PNG", "b.jpg", "clip.mp4"]
    assert find_sources([0, "1"]) == [0, 1]


def test_a_list_of_paths(place):
    (place / "sub/list.txt").write_text("\nc.jpg\n../b.jpg \n")
    assert find_sources(["sub/list.txt"]) == ["sub/c.jpg", "sub/../b.jpg"]
    (place / "sub/list.txt").write_text(f"{place}/clip.mp4")
    assert find_sources(["sub/list.txt"]) == [f"{place}/clip.mp4"]


def test_a_file_with_the_name_of_a_camera_or_a_pattern_is_a_file(place):
    (place / "7").mkdir()
    (place / "7" / "[x].jpg").write_bytes(b"")
    assert find_sources(["7"]) == ["7/[x].jpg"]
    assert find_sources(["7/[x].jpg"]) == ["7/[x].jpg"]


@pytest.mark.parametrize(
    ("item", "error", "message"),
    [
        ("c.jpg", FileNotFoundError, "c.jpg: no such picture, video, folder or list"),
        ("*.gif", FileNotFoundError, r"\*.gif: no picture or video has such a path"),
        ("empty", FileNotFoundError, r"empty: no picture in the folder .*as empty/\*\*/\*.jpg"),
        ("notes.md", ValueError, "notes.md: expected a picture"),
        ("none.txt", ValueError, "none.txt: lists no pictures"),
        ("bad.txt", FileNotFoundError, "bad.txt, line 2: no such picture or video: x.jpg"),
        ("kind.txt", ValueError, "kind.txt, line 1: notes.md: expected a picture"),
        ("pipe.jpg", ValueError, "pipe.jpg: expected a file, but this is a named pipe"),
    ],
)
def test_what_is_refused(place, item, error, message):
    (place / "empty").mkdir()
    (place / "none.txt").write_text("\n")
    (place / "bad.txt").write_text("b.jpg\nx.jpg\n")
    (place / "kind.txt").write_text("notes.md\n")
    os.mkfifo(place / "pipe.jpg")
    with pytest.raises(error, match=message):
        find_sources([item])


def test_videos():
    assert [is_video(source) for source in (0, "a.MP4", "a.jpg")] == [True, True, False]
