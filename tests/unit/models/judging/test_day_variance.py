"""Rules of the variance between days."""

import numpy as np
import pytest
from scipy.special import stdtrit

from ctr_retrain.models.judging.day_variance import FEWEST_NIGHTS, DayVariance, PastEstimate, estimate_day_variance


def nights(estimates, error=0.1, group="a"):
    return [PastEstimate(group, estimate, error) for estimate in estimates]


def test_days_that_differ_no_more_than_their_rows_say_have_none():
    found = estimate_day_variance(nights(np.random.default_rng(1).normal(0, 0.1, 14), 0.15))
    assert found.value == 0
    assert found.add_to(0.04, 60.0) == (0.04, 60.0)


def test_the_variance_of_rows_is_taken_off():
    drawn = np.random.default_rng(2).normal(0, np.hypot(0.1, 0.3), 2000)
    found = estimate_day_variance(nights(drawn))
    assert found.value == pytest.approx(0.09, rel=0.1)


def test_champions_may_differ_in_level():
    one, other = np.random.default_rng(3).normal(0, 0.1, (2, 500))
    assert estimate_day_variance(nights(one) + nights(other + 5, group="b")).value < 0.001


def test_few_nights_say_nothing():
    assert estimate_day_variance(nights(range(FEWEST_NIGHTS))) is None
    assert estimate_day_variance(nights(range(FEWEST_NIGHTS + 1))) is not None
    assert estimate_day_variance([one for group in "abcdefghijkl" for one in nights([1.0], group=group)]) is None


def test_more_days_bring_it_down_and_few_nights_are_no_certain_measure_of_it():
    days = DayVariance(1.0, 1.1, 13)
    variance, freedom = days.add_to(0.1, 60.0)
    assert variance == pytest.approx(1.1)
    assert freedom == pytest.approx(13, rel=0.05)
    assert days.add_to(0.1, 60.0, 4)[0] == pytest.approx(0.35)


def test_intervals_with_14_past_nights_leave_the_truth_out_as_rarely_as_they_say():
    rng, left_out = np.random.default_rng(4), []
    for _ in range(2000):
        days = estimate_day_variance(nights(rng.normal(0, np.hypot(0.1, 0.2), 14)))
        variance, freedom = days.add_to(0.01, 60.0)
        left_out.append(abs(rng.normal(0, np.hypot(0.1, 0.2))) > stdtrit(freedom, 0.975) * np.sqrt(variance))
    assert np.mean(left_out) <= 0.065
