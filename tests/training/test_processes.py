"""`train` in two processes of JAX against `train` in one; runs that end early, and go on in more or fewer."""

import json
import pickle
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


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with what one process, then two, then one again have made."""
    if keras.backend.backend() != "jax":
        pytest.skip("only JAX trains in several processes")
    folder = tmp_path_factory.mktemp("processes")
    [alone] = start(folder, 1, "plain", "grown", "whole")
    assert alone.wait() == 0, errors(folder, alone)
    pair = start(folder, 2, "whole", "end_grown", "asked", "stopped", "killed")
    assert pair[1].wait() == -signal.SIGKILL, errors(folder, pair[1])
    assert pair[0].wait(timeout=60) != 0, errors(folder, pair[0])
    assert "heartbeat timeout" in errors(folder, pair[0])
    [alone] = start(folder, 1, "end_asked", "end_killed")
    assert alone.wait() == 0, errors(folder, alone)
    return folder


def start(folder, count, *parts):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for index in range(count):
        command = [sys.executable, str(WORKER), str(folder), str(count), str(index), str(port), *parts]
        with (folder / f"errors-{index}").open("w") as file:
            started.append(subprocess.Popen(command, stdout=file, stderr=file))
    return started


def errors(folder, process):
    return (folder / f"errors-{process.args[4]}").read_text()[-5000:]


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


def test_the_result_is_that_of_one_process(runs):
    assert_same(runs, "whole-1-0", "whole-2-0")
    assert_same(runs, "whole-2-0", "whole-2-1")


def test_each_process_reads_its_own_images(runs):
    epochs = 2
    ids = [result(runs, f"whole-2-{index}")[1]["ids"] for index in range(2)]
    assert sorted(ids[0] + ids[1]) == result(runs, "whole-1-0")[1]["ids"]
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
    monkeypatch.setattr(processes, "count", lambda: 2)
    pytest.importorskip("jax")
    for devices in (None, 1, 2):
        with pytest.raises(ValueError, match=f'pass devices="all", .* got {devices}'):
            chosen_devices(devices)


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
