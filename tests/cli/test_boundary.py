import sys

import pytest

from multibox import cli, demo
from multibox.data_generator.formats import layouts
from multibox.weights.download import DownloadError


def run(monkeypatch, error, *arguments):
    """The exit status of a command that raises an error."""

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(demo, "run_demo", fail)
    monkeypatch.setattr(layouts, "find_layout", fail)
    monkeypatch.setattr(sys, "argv", ["multibox", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a.xml: no\n\x1b[2Jbox"), r"a.xml: no\n\x1b[2Jbox"),
        (FileNotFoundError(2, "No such file", "a.json"), "[Errno 2] No such file: 'a.json'"),
        (DownloadError("no network"), "no network"),
        (KeyError("names"), "KeyError: 'names'; multibox --debug shows where"),
        (MemoryError(), "MemoryError: ; multibox --debug shows where"),
    ],
)
def test_whatever_comes_is_one_line(monkeypatch, capfd, tmp_path, error, line):
    assert run(monkeypatch, error, "demo", "--output", str(tmp_path / "demo")) == 1
    assert capfd.readouterr().err == f"multibox: {line}\n"
    assert run(monkeypatch, error, "check", str(tmp_path)) == 2
    assert capfd.readouterr().err == f"multibox check: {line}\n"


def test_debug_shows_where(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["multibox", "--debug", "check", str(tmp_path / "nowhere")])
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        cli.main()
    monkeypatch.setattr(sys, "argv", ["multibox", "check", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match="2"):  # only for that command
        cli.main()
