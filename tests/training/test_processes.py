"""`train` in two processes against `train` in one; runs that end early, and go on in more or fewer."""

import json
import pickle
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from numbered_batches import NumberedBatches

import multibox as mb
from multibox.training import processes
from multibox.training.devices import chosen_devices
from multibox.training.even_batches import Filled, even_batches

WORKER = Path(__file__).parents[1] / "training_in_processes.py"
SIZE = (64, 64)


# What the other process says when one has died.
DEATHS = {"jax": "heartbeat timeout", "torch": "Connection closed by peer|Connection reset by peer"}
COMPARED = {"jax": ("whole", "ended", "skipped"), "torch": ("whole", "ended", "skipped", "normalized")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with what one process, then two, then one again have made."""
    backend = keras.backend.backend()
    if backend not in DEATHS:
        pytest.skip("TensorFlow trains in one process")
    folder = tmp_path_factory.mktemp("processes")
    assert codes(start(folder, 1, "plain", "grown", *COMPARED[backend])) == [0], errors(folder, 0)
    pair = start(folder, 2, *COMPARED[backend], "known", "end_grown", "asked", "stopped", "killed")
    other, killed = codes(pair)
    assert killed == -signal.SIGKILL, errors(folder, 1)
    assert other != 0, errors(folder, 0)
    assert re.search(DEATHS[backend], errors(folder, 0))
    assert codes(start(folder, 1, "end_asked", "end_killed")) == [0], errors(folder, 0)
    return folder


def start(folder, count, *parts):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for index in range(count):
        numbers = (str(number) for number in (count, index, port))
        command = [sys.executable, str(WORKER), keras.backend.backend(), str(folder), *numbers, *parts]
        with (folder / f"errors-{index}").open("w") as file:
            started.append(subprocess.Popen(command, stdout=file, stderr=file))
    return started


def codes(started):
    """The exit codes of processes. Those that wait for each other for ever are killed."""
    try:
        return [process.wait(timeout=900) for process in reversed(started)][::-1]
    finally:
        for process in started:
            process.kill()


def errors(folder, index):
    return (folder / f"errors-{index}").read_text()[-5000:]


def result(folder, name):
    arrays = dict(np.load(folder / f"{name}.npz"))
    return arrays, json.loads((folder / f"{name}.json").read_text())


def assert_same(folder, one, other):
    (weights, kept), (others, others_kept) = result(folder, one), result(folder, other)
    assert weights.keys() == others.keys()
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, others[name], rtol=0, atol=1e-6, err_msg=name)
    assert kept["logs"].keys() == others_kept["logs"].keys()
    for name, values in kept["logs"].items():
        np.testing.assert_allclose(values, others_kept["logs"][name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", ["whole", "ended", "skipped"])
def test_the_result_is_that_of_one_process(runs, name):
    assert_same(runs, f"{name}-1-0", f"{name}-2-0")
    assert_same(runs, f"{name}-2-0", f"{name}-2-1")


def test_each_process_reads_its_own_images(runs):
    epochs = 2
    ids = [result(runs, f"whole-2-{index}")[1]["ids"] for index in range(2)]
    assert sorted(ids[0] + ids[1]) == sorted([record.image_id for record in mb.load_shapes(9, SIZE)] * epochs)
    # 4 of the first batch each; the second one has a single image
    assert [len(one) for one in ids] == [epochs * 5, epochs * 4]


def test_the_first_process_alone_writes_files(runs):
    assert not (runs / "process-1").exists()
    assert (runs / "process-0" / "whole-2.csv").read_text().count("\n") == 3
    names = {path.name for path in (runs / "process-0" / "whole-2").iterdir()}
    assert names - {".lock"} == {"best.keras", "last.keras", "history.csv"}


@pytest.mark.parametrize("name", ["grown-2-0", "grown-2-1", "asked-1-0", "killed-1-0"])
def test_a_run_goes_on_with_another_number_of_processes(runs, name):
    assert_same(runs, "plain-1-0", name)


def test_a_signal_to_one_process_ends_all(runs):
    assert (runs / "asked-0").exists()
    assert (runs / "asked-1").exists()


def test_a_callback_that_stops_one_process_stops_all(runs):
    assert_same(runs, "stopped-2-0", "stopped-2-1")
    weights, kept = result(runs, "stopped-2-1")
    assert weights["iterations"] == 2  # known one step later
    assert len(kept["logs"]["loss"]) == 1


def test_a_nan_in_one_process_ends_all_with_the_last_good_weights(runs):
    for index in range(2):
        weights, kept = result(runs, f"ended-2-{index}")
        assert weights["iterations"] == 4  # of the first epoch
        assert np.isnan(kept["logs"]["loss"]).tolist() == [False, True]
        assert all(np.isfinite(weight).all() for weight in weights.values())
        found = (runs / f"process-{index}").glob("ended-2/diagnosis/report.json")
        reports = [json.loads(path.read_text()) for path in found]
        assert [(report["epoch"], report["step"]) for report in reports] == ([(1, 1)] if index == 0 else [])


def test_a_nan_in_one_process_is_left_out_by_all(runs):
    for index in range(2):
        weights, kept = result(runs, f"skipped-2-{index}")
        assert weights["iterations"] == 1  # an update by three steps
        assert kept["logs"]["skipped_steps"] == [1]


def test_statistics_of_normalization_are_the_means_of_the_processes(runs):
    if keras.backend.backend() == "jax":
        pytest.skip("with JAX they are those of the whole batch, see test_devices.py")
    one, two, other = (result(runs, f"normalized-{name}")[1]["statistics"] for name in ("1-0", "2-0", "2-1"))
    assert two == other
    mean, variance = (np.abs(np.subtract(a, b)).max() / np.max(a) for a, b in zip(one, two, strict=True))
    assert mean < 1e-5
    assert variance > 1e-5  # that between the processes is missing


def test_all_take_the_recipe_that_the_first_process_has_chosen(runs):
    for index in range(2):
        weights, _ = result(runs, f"known-2-{index}")
        assert weights["iterations"] == 2  # batches of 4, not of 8
    assert_same(runs, "known-2-0", "known-2-1")


class Together:
    """Another process 0, as seen from process 1."""

    def __init__(self, monkeypatch, sent):
        packed = processes._packed(*sent)
        self.answers = [np.int32(len(packed)), np.frombuffer(packed, np.uint8)]
        monkeypatch.setattr(processes, "count", lambda: 2)
        monkeypatch.setattr(processes, "index", lambda: 1)
        monkeypatch.setattr(processes, "_broadcast", lambda arrays: self.answers.pop(0))


def test_what_the_first_process_makes(monkeypatch):
    Together(monkeypatch, ({"a": 1}, None))
    assert processes.of_first(lambda: pytest.fail("called in process 1")) == {"a": 1}


def test_an_error_of_the_first_process_is_everybodys(monkeypatch):
    Together(monkeypatch, (None, FileExistsError("runs/x holds a run")))
    with pytest.raises(FileExistsError, match="runs/x holds a run"):
        processes.of_first(lambda: None)

    class Local(Exception):
        pass

    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(Local())
    Together(monkeypatch, (None, Local("no such class elsewhere")))
    with pytest.raises(RuntimeError, match="Local: no such class elsewhere"):
        processes.of_first(lambda: None)


def test_less_than_all_devices_of_several_processes(monkeypatch):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow trains in one process")
    monkeypatch.setattr(processes, "count", lambda: 2)
    for devices in (None, 1, 2):
        with pytest.raises(ValueError, match=f'pass devices="all", .* got {devices}'):
            chosen_devices(devices)
    if keras.backend.backend() == "torch":
        assert chosen_devices("all") == ["process:0", "process:1"]


def test_a_generator_makes_the_part_of_a_process(monkeypatch):
    shapes = mb.load_shapes(9, SIZE)
    data = mb.DataGenerator(shapes, 8, mb.resize_only(SIZE), workers=0, shuffle=False)
    ids = [[one["image_id"] for one in data[batch][1]] for batch in range(2)]
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "index", lambda: 1)
    with processes.own_parts(data, None):
        assert len(data) == 2
        assert [data.num_samples_in(batch) for batch in range(2)] == [8, 1]
        assert [one["image_id"] for one in data[0][1]] == ids[0][1::2]
        assert len(data[1][0]) == 0
    assert [one["image_id"] for one in data[1][1]] == ids[1]


@pytest.mark.parametrize(("index", "images", "own"), [(0, [0, 1, 2, 3], 4), (1, [4, 0, 1, 2], 1)])
def test_a_process_takes_its_part_of_other_batches(monkeypatch, index, images, own):
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "index", lambda: index)
    filled = Filled()
    part, targets = even_batches(NumberedBatches(5), 4, filled)[0]  # on four devices of two processes
    assert part[:, 0, 0, 0].tolist() == images
    assert targets[:, 0, 4].tolist() == [1] * own + [-1] * (4 - own)
    assert filled == Filled({0: 5 / 8}, last=0)


def test_a_part_without_images_is_filled_up(monkeypatch):
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes, "index", lambda: 1)
    model = mb.SSD7(4, image_size=SIZE)
    encoder = mb.GroundTruthEncoder(model, sparse=True)
    data = mb.DataGenerator(mb.load_shapes(9, SIZE), 8, mb.resize_only(SIZE), encoder, workers=0)
    filled = Filled()
    with processes.own_parts(data):
        images, targets = even_batches(data, 4, filled)[1]
    assert images.shape == (2, *SIZE, 3)
    assert not images.any()
    assert (targets[..., 4] == -1).all()
    assert filled == Filled({1: 1 / 4}, last=1)
