"""A kill between file operations, full disks, damaged files: what is left, and what the next run does.

`pytest -s` prints the table of the kills.
"""

import errno
import os
import shutil
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.training.batches import training_batches
from multibox.training.lock import locked
from multibox.training.log import number_of_epochs
from multibox.training.resume import begin
from multibox.training.state import load_run

SIZE = (64, 64)
DATASET = mb.load_shapes(4, SIZE)
STEPS = 2


def build():
    keras.utils.set_random_seed(0)
    model = mb.SSD7(4, image_size=SIZE)
    loss = mb.SSDLoss()
    model.compile(keras.optimizers.SGD(1e-4), loss=loss, metrics=loss.metrics(), run_eagerly=True)
    return model


def train(folder, model=None, epochs=2, **options):
    model = model or build()
    options = {
        "batch_size": 2,
        "validation_data": DATASET[:2],
        "best_by": "val_loss",
        "verbose": 0,
        "resume": True,
    } | options
    mb.train(model, DATASET, folder, epochs=epochs, **options)
    return model


class Recorder:
    """Copies a folder before each operation on a file in it: what a process killed there would leave."""

    def __init__(self):
        self.folder = None
        sys.addaudithook(self._note)

    def record(self, folder, copies):
        self.folder, self.copies, self.operations = str(folder), copies, []

    def _note(self, event, arguments):
        if self.folder is None or event not in ("open", "os.rename", "os.remove", "shutil.rmtree"):
            return
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes | os.PathLike) else ""
        if not path.startswith(self.folder + os.sep):
            return
        folder, self.folder = self.folder, None  # the copy itself is not recorded
        copy = self.copies / str(len(self.operations))
        shutil.copytree(folder, copy)
        name = Path(path).name
        if name.startswith(".partial-"):
            name = f"half {name.split('-', 2)[2]}"
        self.operations.append((f"{event} {name}", copy))
        self.folder = folder


RECORDER = Recorder()  # Python cannot remove an audit hook


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """(operation, what was there before it) of a run with a checkpoint after each step, and its model."""
    folder = tmp_path_factory.mktemp("run")
    RECORDER.record(folder, tmp_path_factory.mktemp("copies"))
    try:
        model = train(folder, checkpoint_minutes=0)
    finally:
        RECORDER.folder = None
    return RECORDER.operations, model, folder


def start_again(folder, model):
    """What `train(resume=True)` does before its first step."""
    data = training_batches(model, DATASET, "dataset", batch_size=2, augmentation=None, seed=0)
    with locked(folder):
        return begin(model, data, folder, True)


def position(state):
    return state.epoch * STEPS + state.step


@pytest.mark.filterwarnings("ignore:train. .*best.keras is missing")
def test_a_kill_between_any_two_file_operations(recorded, tmp_path):
    operations = recorded[0]
    assert {name for name, _ in operations} >= {
        "os.rename half last.keras",
        "os.rename half best.keras",
        "os.rename half history.csv",
    }
    fresh, positions = build(), []
    print(f"\n{'killed before':30} {'left':75} resumed after step")
    for number, (name, copy) in enumerate(operations):
        folder = shutil.copytree(copy, tmp_path / str(number))
        left = ", ".join(sorted(path.name for path in folder.iterdir()))
        state = start_again(folder, fresh)
        positions.append(position(state))
        print(f"{name:30} {left:75} {positions[-1]} of {2 * STEPS}")
        assert number_of_epochs(folder / "history.csv") == len(state.rows) == state.epoch
        assert not list(folder.glob(".partial*"))
        if (folder / "best.keras").exists():
            keras.models.load_model(folder / "best.keras", compile=False)
    assert positions == sorted(positions)
    assert set(positions) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(("before", "number"), [("half history.csv", 0), ("half last.keras", -1)])
def test_the_run_goes_on_from_there(recorded, tmp_path, before, number):
    """The first epoch is in last.keras and not in history.csv; the last one is in neither."""
    operations, model, straight = recorded
    left = [copy for name, copy in operations if name == f"os.rename {before}"][number]
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)
    resumed = train(tmp_path, checkpoint_minutes=0)
    for a, b in zip(resumed.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (tmp_path / "history.csv").read_text() == (straight / "history.csv").read_text()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(("name", "steps"), [("last.keras", 1), ("best.keras", 1), ("history.csv", 2)])
def test_a_full_disk(recorded, tmp_path, monkeypatch, name, steps, number):
    """At the end of the first epoch. The error names the file; the last good checkpoint is whole."""
    left = next(copy for operation, copy in recorded[0] if operation == "os.rename half best.keras")
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)

    def write_half(path):
        if path.name.endswith(name):
            path.write_bytes(b"PK")
            raise OSError(number, os.strerror(number))

    save, write_text = keras.Model.save, Path.write_text
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save", lambda model, path: write_half(path) or save(model, path))
        patch.setattr(Path, "write_text", lambda path, *a, **b: write_half(path) or write_text(path, *a, **b))
        with pytest.raises(OSError, match=os.strerror(number)) as raised:
            train(tmp_path)
    assert raised.value.filename == str(tmp_path / name)
    assert not list(tmp_path.glob(".partial*"))
    state = start_again(tmp_path, build())
    assert position(state) == steps
    assert number_of_epochs(tmp_path / "history.csv") == state.epoch


def test_a_limit_of_the_system(recorded, tmp_path):
    """A real write error: no file may be larger than 50 kB."""
    resource = pytest.importorskip("resource")
    shutil.copytree(recorded[2], tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "last.keras").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        with pytest.raises(OSError, match=r"File too large: .*last\.keras"):
            train(tmp_path, epochs=3, checkpoint_minutes=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "last.keras").read_bytes() == before
    assert not list(tmp_path.glob(".partial*"))


def test_a_disk_that_is_full_at_the_start(tmp_path, monkeypatch):
    """The process's number is only for a message."""

    def full(self, *arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with (
        locked(tmp_path),
        pytest.raises(FileExistsError, match=r"in use by another run \(an unknown process\)"),
        locked(tmp_path),
    ):
        pass


@pytest.fixture(scope="module")
def last(recorded):
    return (recorded[2] / "last.keras").read_bytes()


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.999])
def test_a_truncated_checkpoint(recorded, tmp_path, last, share):
    (tmp_path / "last.keras").write_bytes(last[: int(share * len(last))])
    shutil.copy(recorded[2] / "history.csv", tmp_path)
    log = (tmp_path / "history.csv").read_text()
    with pytest.raises(ValueError, match=r"last\.keras: damaged state of a run: "):
        start_again(tmp_path, recorded[1])
    assert (tmp_path / "history.csv").read_text() == log


@pytest.mark.filterwarnings("ignore:train. .*best.keras is missing")
def test_a_damaged_checkpoint(tmp_path, last):
    """Each hundredth byte turned, in turn: an error that names the file, or a byte that says nothing."""
    path, model = tmp_path / "last.keras", build()
    found = 0
    for place in range(0, len(last), len(last) // 100):
        path.write_bytes(last[:place] + bytes([last[place] ^ 255]) + last[place + 1 :])
        try:
            start_again(tmp_path, model)
        except ValueError as error:
            assert str(error).startswith(f"{path}"), error
            found += 1
    assert found >= 95  # nearly all of the file is weights


def test_a_checkpoint_whose_parts_begin_before_it(recorded, tmp_path, last):
    """The end of a zip file says where its directory is, and so by how much all places are off."""
    place = last.rindex(b"PK\5\6") + 16
    offset = int.from_bytes(last[place : place + 4], "little") + 1000
    (tmp_path / "last.keras").write_bytes(last[:place] + offset.to_bytes(4, "little") + last[place + 4 :])
    with pytest.raises(ValueError, match=r"last\.keras: damaged state of a run: "):
        start_again(tmp_path, recorded[1])


@pytest.mark.parametrize("state", ["[]", "{}", '{"version": 2, "more": 2}', "\udcff", "NaN", ""])
def test_a_state_of_another_form(tmp_path, last, state):
    (tmp_path / "model.keras").write_bytes(last)
    with (
        zipfile.ZipFile(tmp_path / "model.keras") as source,
        zipfile.ZipFile(tmp_path / "last.keras", "w") as target,
    ):
        for name in source.namelist():
            text = state.encode("utf-8", "surrogateescape")
            target.writestr(name, text if name == "multibox/run.json" else source.read(name))
    with pytest.raises(ValueError, match=r"last\.keras: damaged state of a run: "):
        load_run(tmp_path / "last.keras")


@pytest.mark.parametrize("cut", [1, 5, 10_000])
def test_a_truncated_log_is_written_again(recorded, tmp_path, cut):
    for name in ("last.keras", "best.keras", "history.csv"):
        shutil.copy(recorded[2] / name, tmp_path)
    whole = (tmp_path / "history.csv").read_bytes()
    (tmp_path / "history.csv").write_bytes(whole[:-cut] if cut < len(whole) else b"")
    assert len(start_again(tmp_path, recorded[1]).rows) == 2
    assert (tmp_path / "history.csv").read_bytes() == whole


def test_a_folder_that_was_moved_and_has_no_best_model(recorded, tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(recorded[2], folder)
    (folder / "best.keras").unlink()
    with pytest.warns(
        UserWarning, match=r"best\.keras is missing; it is written again after an epoch that is better"
    ):
        model = train(folder, epochs=3)
    assert load_run(folder / "last.keras").epoch == 3
    assert len(model.get_weights()) == len(recorded[1].get_weights())


def test_half_files_of_killed_processes_are_removed(tmp_path):
    (tmp_path / "diagnosis").mkdir()
    for folder in (tmp_path, tmp_path / "diagnosis"):
        (folder / ".partial-1-x").write_bytes(b"half")
    (tmp_path / ".partial-2-folder").mkdir()  # not this package's
    with locked(tmp_path):
        assert not [path for path in tmp_path.rglob(".partial*") if path.is_file()]
