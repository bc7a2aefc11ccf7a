"""Rules of stage times: each stage of a watched run notes its own, however it ends, and nobody else's."""

import inspect
import time

import pytest

from ctr_retrain.tasks.nights.stage_times import noting_times, timed


@timed
def sleep(seconds: float) -> float:
    """Sleep."""
    time.sleep(seconds)
    return seconds


@timed
def fail() -> None:
    """Fail."""
    raise ZeroDivisionError


def test_times_of_equal_stages_add_up_and_a_failed_one_counts():
    with noting_times() as times:
        assert sleep(0.02) == sleep(seconds=0.01) + 0.01
        with pytest.raises(ZeroDivisionError):
            fail()
    assert times.keys() == {"sleep", "fail"}
    assert times["sleep"] >= 0.03
    assert times["fail"] >= 0


def test_a_stage_outside_of_a_watched_run_notes_nothing():
    with noting_times() as outer:
        with noting_times() as inner:
            sleep(0)
        assert (outer, list(inner)) == ({}, ["sleep"])
    sleep(0)
    assert outer == {}


def test_a_timed_stage_keeps_its_name_and_signature_for_who_looks_at_them():
    assert (sleep.__name__, str(inspect.signature(sleep))) == ("sleep", "(seconds: float) -> float")
