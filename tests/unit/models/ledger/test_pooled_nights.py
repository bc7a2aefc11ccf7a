"""Rules of nights added up."""

from dataclasses import replace

import numpy as np
import pytest

from ctr_retrain.models.judging.cells import Cells
from ctr_retrain.models.judging.changed_decisions import ChangedDecisions
from ctr_retrain.models.judging.day_variance import DayVariance
from ctr_retrain.models.judging.judged_rows import COST_DELTA
from ctr_retrain.models.ledger.pooled_nights import Night, Nights, each_day_once, pool
from tests.support.gate_years import ALL_MATTER, Traffic, added


def night(*days, value=1.0, cells=400, seed=0, changed=()):
    """Cells of some days, half of whose rows the challenger costs more on; counts: of the first day."""
    rng = np.random.default_rng([seed, *days])
    rows = np.full(cells, 10.0)
    sums = np.stack([rows, rows * (value + rng.normal(size=cells))], axis=1)
    day = np.resize(np.array(days), cells)
    whole = Cells(("rows", COST_DELTA), np.arange(cells) % 256, np.arange(cells) // 7, day, sums)
    return Night(whole, {COST_DELTA: [(days[0], group) for group in changed]})


def pooled(*nights, days=None):
    return pool(nights, COST_DELTA, 0.95, days)


def test_more_nights_tell_more_of_the_same_difference():
    one, four = pooled(night(1)), pooled(*(night(day) for day in (1, 2, 3, 4)))
    assert (one.nights, four.nights) == (1, 4)
    assert four.rows == 4 * one.rows
    assert four.estimate == pytest.approx(1.0, abs=0.1)
    assert four.variance == pytest.approx(one.variance / 4, rel=0.5)
    assert four.first_variance == one.first_variance
    assert four.e_value(8) < 1 < pooled(*(night(day, value=-1.0) for day in (1, 2, 3, 4))).e_value(8)


def test_what_campaigns_and_users_do_every_night_is_not_forgotten_in_the_sum():
    """Nights taken for independent would say that half a year of them knows ten times as much as it does."""
    traffic = Traffic(np.random.default_rng(3), ALL_MATTER, 30)
    nights = [traffic.night(day, 0.0) for day in range(30)]
    independent = np.mean([pooled(one).variance for one in nights]) / 30
    assert pooled(*nights).variance > 2 * independent


def test_equal_cells_added_up_have_the_variance_of_the_nights_apart():
    traffic = Traffic(np.random.default_rng(4), ALL_MATTER, 5)
    nights = [traffic.night(day, 0.1) for day in range(5)]
    whole = None
    for one in nights:
        whole = added(whole, one)
    apart, together = pooled(*nights), pooled(whole)
    assert together.estimate == pytest.approx(apart.estimate)
    assert together.variance == pytest.approx(apart.variance)


def test_a_day_that_two_nights_validate_counts_once_by_the_first():
    nights = each_day_once([night(1, 2), night(2, 3, value=9.0), night(2, value=99.0)])
    assert [one.days for one in nights] == [{1, 2}, {3}]
    counts = ChangedDecisions(5, 1, -1.0, 0.02)
    first, second = each_day_once([night(1, 2, changed=[counts]), night(1, 3, changed=[counts])])
    assert first.changed[COST_DELTA] == [(1, counts)]
    assert second.changed[COST_DELTA] == []


def test_counts_of_changed_decisions_without_a_positive_forbid_a_sure_gain():
    each, sums = np.arange(256), np.full((256, 2), [100.0, -2.0])
    same = Cells(("rows", COST_DELTA), each, each, np.ones(256, int), sums)
    counted = Night(same, {COST_DELTA: [(1, ChangedDecisions(26, 0, 0.98, -0.02))]})
    assert pooled(Night(same, {})).variance < 1e-12
    found = pooled(counted)
    # Up to 3.69 positives agree with none among 26: 3.69 more per 25,600 impressions.
    assert found.interval(0.95).high == pytest.approx(-0.02 + 1000 * 3.69 / 25_600, rel=0.02)


def test_days_that_differ_widen_what_few_days_say():
    nights = [night(day) for day in (1, 2, 3, 4)]
    plain, widened = pooled(*nights), pooled(*nights, days=DayVariance(1.0, 1.1, 13))
    assert widened.variance == pytest.approx(plain.variance + 1.0 / 4)
    assert widened.interval(0.95).high > plain.interval(0.95).high


def test_a_look_every_night_costs_width_and_nothing_is_known_of_no_night():
    found = pooled(night(1))
    assert found.anytime_interval(0.95, 0.5).high > found.interval(0.95).high > found.limit(0.95)
    nothing = pooled()
    assert nothing.nights == 0
    assert not nothing.interval(0.95).bounded
    assert nothing.e_value(8) == 0
    assert not nothing.anytime_interval(0.95, 0.5).bounded


def test_few_campaigns_make_evidence_weaker():
    found = pooled(night(1, value=-1.0))
    assert replace(found, freedom=3.0).e_value(8) < found.e_value(8)


def test_a_difference_is_added_up_once_however_often_the_same_is_asked():
    nights, differs = Nights([night(1), night(2)]), DayVariance(0.1, 0.1, 3.0)
    whole = nights.pool(COST_DELTA, 0.95, None)
    assert nights.pool(COST_DELTA, 0.95, None) is whole
    assert nights.pool(COST_DELTA, 0.9, None) is not whole
    assert nights.pool(COST_DELTA, 0.95, differs).variance > whole.variance
    assert nights.pool(COST_DELTA, 0.95, DayVariance(0.1, 0.1, 3.0)) is nights.pool(COST_DELTA, 0.95, differs)
