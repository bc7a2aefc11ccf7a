"""Rules of evidence: standard errors, the budget of false alarms, and how long a running sum stays quiet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri, stdtr

from ctr_retrain.models.drift.limits import budget_of
from ctr_retrain.models.levels.evidence import (
    ALLOWANCE,
    log_odds,
    probability,
    run_length,
    run_length_height,
    standard_errors,
)
from tests.support.counts import draws


def one(value):
    return np.array([float(value)])


def test_log_odds_count_half_a_positive_and_half_a_negative_more():
    assert log_odds(one(0), one(99))[0] == pytest.approx(np.log(0.5 / 99.5))


def test_without_day_to_day_variation_standard_errors_are_the_root_of_the_deviance():
    expected = np.log(100.5 / 9900.5)
    change = log_odds(one(60), one(10_000)) - expected
    p0, p1 = probability(one(expected))[0], 60.5 / 10_001
    deviance = 2 * 10_001 * (p1 * np.log(p1 / p0) + (1 - p1) * np.log((1 - p1) / (1 - p0)))
    assert standard_errors(change, one(expected), one(0), one(10_000))[0] == pytest.approx(-np.sqrt(deviance))


@given(st.floats(0.01, 3), st.floats(-6, -1), st.floats(0, 1), st.integers(10, 10**7))
def test_more_variation_makes_a_change_less_sure_and_its_sign_is_kept(change, expected, spread, rows):
    sure = standard_errors(one(-change), one(expected), one(0), one(rows))[0]
    less = standard_errors(one(-change), one(expected), one(spread**2), one(rows))[0]
    assert sure <= less <= 0


@given(st.floats(0.1, 100), st.integers(1, 500))
def test_a_family_of_series_stays_within_its_part_of_the_budget(a_year, series):
    budget = budget_of(a_year)
    errors = budget.one_day("contrast", series, 60)
    chance = 2 * stdtr(50, -errors)
    assert chance * series * 365 == pytest.approx(a_year * budget.shares["contrast"], rel=1e-6)


def test_more_series_and_a_smaller_budget_need_more_evidence():
    budget = budget_of(4)
    assert budget.one_day("share", 100, 60) > budget.one_day("share", 10, 60)
    assert budget_of(1).one_day("share", 10, 60) > budget.one_day("share", 10, 60)
    assert budget_of(1).running_sum("contrast sum", 2) > budget.running_sum("contrast sum", 2)


@given(st.floats(0.1, 100), st.integers(1, 500), st.floats(0, 1))
def test_what_counting_alone_brings_needs_less_evidence_than_a_spread_that_was_learnt(a_year, series, part):
    budget = budget_of(a_year)
    known, partly, learnt = budget.one_day_falls("contrast", series, 60, np.array([0.0, part, 1.0]))
    share = a_year * budget.shares["contrast"] / 365 / series
    assert stdtr(50, -learnt) == pytest.approx(share, rel=1e-6)
    assert known <= partly <= learnt
    assert known == pytest.approx(-ndtri(share), rel=2e-3)


@given(st.floats(20, 1e6))
def test_the_height_of_a_running_sum_gives_its_run_length(days):
    assert run_length(run_length_height(days)) == pytest.approx(days, rel=0.01)


def test_a_running_sum_of_calm_days_stays_quiet_for_the_stated_time():
    days, sums = 300, draws(2_000, 40_000)
    height = run_length_height(days)
    rng = np.random.default_rng(4)
    state, alarms, steps = np.zeros(sums), 0, 1000
    for _ in range(steps):
        state = np.maximum(state + rng.normal(size=sums) - ALLOWANCE, 0)
        alarms += (state >= height).sum()
        state[state >= height] = 0
    assert sums * steps / alarms == pytest.approx(days, rel=0.12)
