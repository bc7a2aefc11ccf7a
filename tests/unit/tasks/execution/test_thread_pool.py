"""Rules of a pool of threads: nothing of it outlives its `with`, and after a failure nothing new begins."""

import threading
import time
from concurrent.futures import CancelledError

import pytest

from ctr_retrain.tasks.execution.thread_pool import ThreadPool


def test_results_keep_their_order_and_errors_come_out():
    with ThreadPool(3) as pool:
        assert list(pool.map(lambda value: 2 * value, range(20))) == list(range(0, 40, 2))
        failed = pool.submit(int, "x", base=8)
    with pytest.raises(ValueError, match="base 8"):
        failed.result()


def test_a_thread_whose_start_was_interrupted_does_not_outlive_the_pool(monkeypatch):
    at_work, ended = threading.Event(), []

    class Interrupted(threading.Thread):
        def start(self):
            super().start()
            assert at_work.wait(60)
            raise KeyboardInterrupt  # before the pool has noted the thread

    def work():
        at_work.set()
        time.sleep(0.05)
        ended.append("worked")

    monkeypatch.setattr(threading, "Thread", Interrupted)

    def interrupted():
        with ThreadPool(2) as pool:
            pool.submit(work)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended == ["worked"]


def test_a_thread_that_comes_to_its_work_after_the_end_leaves_it(monkeypatch):
    begun = []
    with pytest.raises(ZeroDivisionError), ThreadPool(1) as pool:
        raise ZeroDivisionError
    with pytest.raises(CancelledError):  # what such a thread calls, which Python starts for no pool that was shut
        pool._do(lambda: begun.append("late"))
    assert begun == []


def test_after_a_failure_nothing_new_begins():
    begun = []

    def interrupted(going, begins):
        with ThreadPool(1) as pool:
            pool.submit(lambda: (begins.set(), going.wait(60)))
            pool.submit(begun.append, "late")
            begins.wait(60)
            threading.Timer(0.05, going.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(threading.Event(), threading.Event())
    assert begun == []
