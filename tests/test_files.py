"""A file is written whole or not at all."""

import errno
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from threading import Barrier, Thread

import keras
import pytest

from multibox.files import atomic, check_absent, check_folder, is_file, new_folder, read_bytes, read_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_and_its_folder(tmp_path):
    with atomic(str(tmp_path / "new" / "a.txt")) as partial:
        partial.write_text("whole")
        assert names(tmp_path / "new") == [partial.name]
    assert names(tmp_path / "new") == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("no"), OSError("no errno")])
def test_an_error_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error) if isinstance(error, Exception) else error), atomic(path) as partial:
        partial.write_text("half of the n")
        raise error
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_an_error_before_anything_is_written(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "a.txt"):
        raise ZeroDivisionError
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from multibox.files import atomic
with atomic(sys.argv[1]) as partial:
    partial.write_text("half of the n")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_program_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -9
    assert path.read_text() == "old"
    with atomic(path) as partial:  # the leftover is in nobody's way
        partial.write_text("new")
    assert path.read_text() == "new"


def test_the_temporary_file_is_beside_the_file_and_hidden_and_has_its_ending(tmp_path):
    for name in ("a.keras", "a.weights.h5", "no_ending", ".keras", "été.keras", f"{'n' * 240}.weights.h5"):
        with atomic(tmp_path / name) as partial:
            partial.touch()
            assert partial.parent == tmp_path and partial.name.startswith(".partial-")
            assert partial.name.endswith(name[-10:]) and partial.name != name
    assert len(names(tmp_path)) == 6


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5"])
def test_keras_accepts_the_name(tmp_path, name):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with atomic(tmp_path / name) as partial:
        (model.save if name == "a.keras" else model.save_weights)(partial)
    assert names(tmp_path) == [name]


def test_two_writers_do_not_share_a_temporary_file(tmp_path):
    path, both_began = tmp_path / "a.txt", Barrier(2)

    def write(letter):
        with atomic(path) as partial, partial.open("w") as file:
            file.write(letter * 1000)
            both_began.wait(timeout=10)
            file.write(letter * 1000)
            file.flush()

    threads = [Thread(target=write, args=letter) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("a" * 2000, "b" * 2000)
    assert names(tmp_path) == ["a.txt"]


def test_a_file_that_must_not_exist(tmp_path):
    path = tmp_path / "a.txt"
    with atomic(path, overwrite=False) as partial:
        partial.write_text("first")
    refused = pytest.raises(FileExistsError, match=r"a\.txt exists already; it is not overwritten")
    with refused, atomic(path, overwrite=False):
        pytest.fail("the block must not run")
    refused = pytest.raises(FileExistsError, match=r"b\.txt exists already")
    with refused, atomic(tmp_path / "b.txt", overwrite=False) as partial:
        partial.write_text("mine")
        (tmp_path / "b.txt").write_text("of another program, in the meantime")
    assert path.read_text() == "first" and (tmp_path / "b.txt").read_text().startswith("of another")
    assert names(tmp_path) == ["a.txt", "b.txt"]
    with pytest.raises(FileExistsError, match=r"b\.txt exists already"):
        check_absent([tmp_path / "c.txt", tmp_path / "b.txt", path])


@pytest.mark.parametrize("number", [None, errno.EPERM, errno.ENOTSUP])
def test_a_file_made_at_the_last_moment_is_not_replaced(tmp_path, monkeypatch, number):
    """`number`: the error of a file system without hard links."""

    def no_link(*_):
        raise OSError(number, "no links here")

    if number is not None:
        monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr(Path, "exists", lambda *_, **__: False)  # it is made after every such look
    with atomic(tmp_path / "a.txt", overwrite=False) as partial:
        partial.write_text("first")
    refused = pytest.raises(FileExistsError, match=r"a\.txt exists already; it is not overwritten")
    with refused, atomic(tmp_path / "a.txt", overwrite=False) as partial:
        partial.write_text("second")
    assert (tmp_path / "a.txt").read_text() == "first" and names(tmp_path) == ["a.txt"]


def test_other_errors_of_the_last_step_are_raised(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match=r"No space left.*a\.txt"), atomic(tmp_path / "a.txt", False) as partial:
        partial.write_text("first")
    assert names(tmp_path) == []


LIMITED = """
import resource, signal, sys
import keras
from multibox.files import atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(100)])
write = {"bytes": lambda path: path.write_bytes(bytes(10_000)), "model": model.save}[sys.argv[2]]
try:
    with atomic(sys.argv[1]) as partial:
        write(partial)
except OSError as error:
    print(error.filename, error, sep="\\n")
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
@pytest.mark.parametrize("what", ["bytes", "model"])
def test_a_full_disk_is_reported_with_the_path(tmp_path, what):
    path = tmp_path / "a.keras"
    command = [sys.executable, "-c", LIMITED, str(path), what]
    out = subprocess.run(command, capture_output=True, text=True).stdout
    assert out == f"{path}\n[Errno 27] File too large: '{path}'\n"
    assert names(tmp_path) == []


def test_errors_name_the_path_and_not_the_temporary_one(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught, atomic(tmp_path / "folder") as partial:
        partial.touch()
    assert caught.value.filename == str(tmp_path / "folder") and ".partial" not in str(caught.value)
    with pytest.raises(FileNotFoundError) as caught, atomic(tmp_path / "a.txt"):
        pass  # nothing is written
    assert caught.value.filename == str(tmp_path / "a.txt") and ".partial" not in str(caught.value)


def test_errors_in_a_new_folder_name_their_place_in_it(tmp_path):
    final = tmp_path / "folder"
    with pytest.raises(FileNotFoundError) as caught, new_folder(final) as partial:
        (partial / "none" / "a.txt").write_text("a")
    assert caught.value.filename == str(final / "none" / "a.txt") and ".partial" not in str(caught.value)
    with pytest.raises(OSError, match="No space left") as caught, new_folder(final):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(final)
    with pytest.raises(FileNotFoundError) as caught, new_folder(final):
        Path("/nowhere/at/all").read_bytes()
    assert caught.value.filename == "/nowhere/at/all"
    assert names(tmp_path) == []


def test_errors_about_other_files_and_connections_stay_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic(tmp_path / "a.txt"):
        Path("/nowhere/at/all").read_bytes()
    assert caught.value.filename == "/nowhere/at/all"
    for given in (ConnectionResetError(errno.ECONNRESET, "reset"), TimeoutError("slow")):
        with pytest.raises(type(given)) as caught, atomic(tmp_path / "a.txt"):
            raise given
        assert caught.value is given


def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"12345")
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    with pytest.raises(ValueError, match="pipe: expected a file, but this is a named pipe"):
        read_bytes(tmp_path / "pipe", 4)
    with pytest.raises(ValueError, match="expected a file, but this is a device"):
        read_bytes("/dev/zero", 4)
    with pytest.raises(ValueError, match="expected a file, but this is a folder"):
        read_bytes(tmp_path, 4)
    with pytest.raises(ValueError, match=r"large: file is too large: 5 bytes \(limit 4\)"):
        read_bytes(tmp_path / "large", 4)
    with pytest.raises(ValueError, match=r"latin: expected a text file in UTF-8; .* at byte 0"):
        read_text(tmp_path / "latin", 4)
    assert read_bytes(tmp_path / "large", 5) == b"12345"


def test_an_empty_file_takes_no_memory(tmp_path):
    (tmp_path / "empty").touch()
    tracemalloc.start()
    assert read_bytes(tmp_path / "empty", 1 << 28) == b""
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_files_of_the_kernel_state_no_size():
    content = read_bytes("/proc/self/status", 1 << 20)
    assert content.startswith(b"Name:") and read_bytes("/proc/self/status", 3) == b"Nam"


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfb")
    assert read_text(tmp_path / "a", 4) == "b"


def test_names_that_no_file_can_have(tmp_path):
    (tmp_path / "a").touch()
    assert is_file(tmp_path / "a")
    assert not any(is_file(tmp_path / name) for name in ("b", "n" * 5000, "a\0b"))


def test_a_folder_for_results(tmp_path):
    """Long work is not done for a folder that cannot be written."""
    check_folder(tmp_path)
    check_folder(tmp_path / "new" / "below")
    assert names(tmp_path) == []
    check_folder("new")
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "below"):
        with pytest.raises(NotADirectoryError, match=r"file is a file; expected a folder for the results"):
            check_folder(path)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(PermissionError, match=f"{tmp_path.name}: no permission to write"):
        check_folder(tmp_path / "new")
