"""Calls in a child process: what returns, hangs or dies is told apart."""

import os
import signal
import time

import pytest
from guarded import run_guarded


def test_what_returns_and_what_dies():
    def call(number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        return 10 * number

    ran = list(run_guarded(call, range(3)))
    assert [(r.number, r.ended, r.value) for r in ran] == [
        (0, "returned", 0),
        (1, "death (SIGSEGV)", None),
        (2, "returned", 20),
    ]


def test_what_waits_and_what_computes_without_end(monkeypatch):
    monkeypatch.setattr("guarded._WAITING", 1)

    def call(number):
        while number:
            if number == 1:
                time.sleep(60)
        return number

    assert [r.ended for r in run_guarded(call, range(3), seconds=1)] == ["returned", "hang", "hang"]


@pytest.mark.parametrize("times, ended", [(1, ["returned"] * 2), (9, ["hang", "returned"])])
def test_a_call_that_is_stopped_too_early_is_called_again_once(tmp_path, times, ended):
    def call(number):
        calls = len(list(tmp_path.iterdir()))
        if number == 0 and calls < times:
            (tmp_path / str(calls)).touch()
            os.kill(os.getpid(), signal.SIGXCPU)

    assert [r.ended for r in run_guarded(call, range(2))] == ended
    assert len(list(tmp_path.iterdir())) == min(times, 2)
