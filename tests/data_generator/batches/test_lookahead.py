import threading
import time

import pytest

from multibox.data_generator.batches.lookahead import LookAhead


def test_batches_come_in_order_whichever_is_ready_first():
    def make(i):
        time.sleep(0.02 if i % 2 == 0 else 0)
        return i

    ahead = LookAhead(make, 0, 10, workers=3, queue_size=4)
    assert [ahead.take(i) for i in range(10)] == list(range(10))
    ahead.close()


def test_no_more_than_the_queue_is_made_ahead():
    made, second = [], threading.Event()

    def make(i):
        made.append(i)
        if len(made) == 5:
            second.set()
        return i

    ahead = LookAhead(make, 0, 100, workers=2, queue_size=3)
    ahead.take(0)
    ahead.take(1)
    assert second.wait(5)
    time.sleep(0.05)
    assert sorted(made) == [0, 1, 2, 3, 4]  # two were taken, three wait
    ahead.close()


def test_an_error_comes_with_its_batch():
    def make(i):
        if i == 2:
            raise ValueError("two")
        return i

    ahead = LookAhead(make, 0, 5, workers=2, queue_size=5)
    assert [ahead.take(0), ahead.take(1)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        ahead.take(2)
    assert ahead.take(3) == 3
    ahead.close()


def test_out_of_order_and_after_the_end_batches_are_made_at_once():
    ahead = LookAhead(lambda i: i, 0, 20, workers=1, queue_size=2)
    assert ahead.take(15) == 15
    assert ahead.take(0) == 0
    ahead.close()
    assert ahead.take(1) == 1


def test_closing_drops_what_waits():
    started, go, made = threading.Event(), threading.Event(), []

    def make(i):
        started.set()
        go.wait(5)
        made.append(i)

    ahead = LookAhead(make, 0, 20, workers=1, queue_size=10)
    started.wait(5)
    threading.Timer(0.05, go.set).start()
    ahead.close()
    assert made == [0]
