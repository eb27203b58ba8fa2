import threading

import pytest

from multibox.weights import file_lock
from multibox.weights.file_lock import locked


def test_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock, "POLL_SECONDS", 0.001)
    inside, most = [], []

    def work():
        for _ in range(20):
            with locked(tmp_path / "a"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1] * 80
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_that_was_removed_while_waiting_is_not_the_lock(tmp_path):
    waits, got, done = threading.Event(), threading.Event(), threading.Event()
    path = tmp_path / "a"

    def wait():
        waits.set()
        with locked(path):
            got.set()
            done.wait(5)

    waiter = threading.Thread(target=wait)
    with locked(path):
        waiter.start()
        waits.wait(5)
        assert not got.wait(0.3)
    assert got.wait(5)
    # The first holder removed the file that the second had opened; a third must find one to wait for.
    assert (tmp_path / "a.lock").exists()
    done.set()
    waiter.join(5)
    assert list(tmp_path.iterdir()) == []


def test_an_error_lets_go(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), locked(tmp_path / "a"):
            raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_left_behind_stops_nobody(tmp_path):
    (tmp_path / "a.lock").write_text("")
    with locked(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []
