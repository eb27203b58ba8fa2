import subprocess
import sys

import pytest

from multibox import cli, demo


def test_demo_writes_what_it_says(tmp_path, monkeypatch, capsys):
    small = demo.run_demo

    def run(folder, epochs):
        return small(folder, num_train=8, num_test=4, epochs=epochs, batch_size=4)

    monkeypatch.setattr(cli, "run_demo", run)
    monkeypatch.setattr(
        sys, "argv", ["multibox", "demo", "--output", str(tmp_path / "demo"), "--epochs", "1"]
    )
    for folder in ("demo", "demo-2"):  # an earlier run is kept
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 0
        printed = capsys.readouterr().out
        written = {p.name for p in (tmp_path / folder).iterdir()}
        for name in ("detector.keras", "history.csv", "loss.png", "detections.png", "ap.txt"):
            assert name in printed
            assert name in written
        assert str(tmp_path / folder) in printed
        assert (tmp_path / folder / "ap.txt").read_text().strip() in printed


def test_errors_are_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sys, "argv", ["multibox", "demo", "--output", str(tmp_path / "file" / "x")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("multibox: ")
    assert "Traceback" not in error


def test_help_names_the_commands():
    code = "import sys; sys.argv = ['multibox', '--help']; from multibox import cli; cli.main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0
    assert "demo" in result.stdout
