import pytest

from multibox.runner import progress
from multibox.runner.progress import Progress, Report, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3000, "50 min"),
        (3600, "1 h 0 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_a_time_in_words(seconds, text):
    assert duration(seconds) == text


def test_the_log_has_all_lines(tmp_path, capsys):
    report = Report()
    report("before the folder")
    report.write_to(tmp_path / "log.txt")
    report("after")
    report.note("only in the file")
    assert (tmp_path / "log.txt").read_text() == "before the folder\nafter\nonly in the file\n"
    assert capsys.readouterr().out == "before the folder\nafter\n"
    quiet = Report(quiet=True)
    quiet("nothing")
    assert capsys.readouterr().out == ""


def test_an_epoch_is_foretold_once_from_the_steps_after_the_first(tmp_path, monkeypatch, capsys):
    times = iter([100.0, 102.0, 104.0, 106.0, 108.0])  # the end of each step
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(times))
    report = Report()
    report.write_to(tmp_path / "log.txt")
    callback = Progress(report, epochs=2, steps=60, events=None)
    for step in range(5):
        callback.on_train_batch_end(step)
    callback.on_epoch_end(0, {"loss": 1.25, "val_loss": 2})
    told = "An epoch takes about 2 min, validation not counted: 60 steps of 2 s.\n"
    assert capsys.readouterr().out == told
    assert (tmp_path / "log.txt").read_text() == told + "Epoch 1 of 2: loss 1.25, val_loss 2\n"


def test_events_for_tensorboard(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    report = Report(quiet=True)
    report.write_to(tmp_path / "log.txt")
    callback = Progress(report, epochs=2, steps=1, events=tmp_path / "events")
    callback.on_epoch_end(0, {"loss": 1.25, "val_loss": 2.0})
    callback.on_epoch_end(1, {"loss": 1.0, "val_loss": 1.5})
    events = accumulator.EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert events.Tags()["tensors"] == ["loss/training", "loss/validation"]
