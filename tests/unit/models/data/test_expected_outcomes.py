"""Rules of what a landing day is expected to receive: the newest level counts, whatever moved it."""

from datetime import date, timedelta

import pytest

from ctr_retrain.models.data.expected_outcomes import expected_landing

FIRST = date(2026, 3, 2)


def history(*received, expected=1000.0):
    """Days in a row that each expected as many and received these."""
    return {FIRST + timedelta(days=place): (expected, got) for place, got in enumerate(received)}


def landing(days, received=500, expected=1000.0):
    return expected_landing(days, FIRST + timedelta(days=len(days)), expected, received)


STEADY = [1000, 1020, 980, 1010, 990, 1005, 995]
FEWER = [round(0.6 * got) for got in STEADY]


def test_without_a_step_all_days_are_the_level():
    assert landing(history(*STEADY, *STEADY)).expected == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize(
    ("days", "level"),
    [
        ((*STEADY, *FEWER), 600),  # a fault that lasts
        ((*STEADY, *FEWER, *STEADY), 1000),  # one that ended
        ((*STEADY, *FEWER, *(got // 2 for got in FEWER)), 300),  # two, one on top of the other
        ((*FEWER, *STEADY[:3]), 1000),
    ],
)
def test_expected_is_the_level_of_the_newest_days(days, level):
    assert landing(history(*days)).expected == pytest.approx(level, rel=0.02)


def test_a_step_leaves_the_error_of_a_day_as_small_as_it_was():
    steady, stepped = landing(history(*STEADY, *STEADY), received=500), landing(history(*STEADY, *FEWER), received=300)
    assert steady.z < -8
    assert stepped.z < -8


def test_one_strange_day_is_no_level():
    assert landing(history(*STEADY, *STEADY, 600)).expected > 900


def test_nothing_is_expected_of_nothing():
    assert landing(history(*STEADY), received=3, expected=0.0).z == 0.0
