"""Rules of the intercepts of campaigns: shrunk, around the level of all rows, and served only if they pay ahead."""

from dataclasses import replace

import numpy as np
import pytest

from ctr_retrain.models.serving.campaign_intercepts import (
    HALF_LIFE_DAYS,
    WIDE_SD,
    LevelRows,
    fit_intercepts,
    gain_ahead,
    recency_weights,
)

DAYS = 10


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rows_of(logit, label, groups, day=0, prior_sds=(0.2,)):
    groups = np.asarray(groups).reshape(len(label), -1)
    sizes = tuple(1 + groups.max(axis=0))
    day = np.broadcast_to(day, len(label))
    logit = np.broadcast_to(np.asarray(logit, np.float64), len(label))
    return LevelRows(logit, np.asarray(label), np.ones(len(label)), day, groups, sizes, prior_sds)


def drawn(effects, n=8000, seed=1, prior_sd=0.2):
    """Rows of groups whose level is off by effects of each day (days, groups), and which of them were kept out."""
    rng = np.random.default_rng(seed)
    day, group = np.repeat(np.arange(DAYS), n // DAYS), rng.integers(0, effects.shape[1], n)
    logit = rng.normal(-2, 0.7, n)
    label = (rng.random(n) < sigmoid(logit + 0.4 + effects[day, group])).astype(np.uint8)
    return rows_of(logit, label, group, day, (prior_sd,)), (day >= DAYS // 2) & (rng.random(n) < 0.3)


def test_at_the_optimum_the_surplus_of_clicks_is_what_the_prior_holds_back():
    label = np.repeat([1, 0, 1, 0], [30, 70, 10, 90])
    (found,) = fit_intercepts(rows_of(-1.4, label, np.repeat([0, 1], 100)))
    level = np.log(40 / 160)  # of all rows, around which both are
    surplus = np.array([30, 10]) - 100 * sigmoid(level + found)
    assert surplus == pytest.approx(found / 0.2**2, abs=0.01)
    assert found == pytest.approx([0.21, -0.25], abs=0.03)


def test_many_rows_are_believed_and_few_are_not():
    label = np.concatenate(
        [np.repeat([1, 0], [6000, 14_000]), np.repeat([1, 0], [3, 7]), np.repeat([1, 0], [500, 9500])]
    )
    group = np.repeat([0, 1, 2], [20_000, 10, 10_000])
    (found,) = fit_intercepts(rows_of(-1.2, label, group))
    assert found[0] > 0.3
    assert 0 < found[1] < 0.05


def test_a_field_is_fitted_around_the_field_before_it():
    label = np.repeat([1, 0, 1, 0], [400, 600, 100, 900])
    channel = np.repeat([0, 1], 1000)
    of_channels, of_campaigns = fit_intercepts(
        rows_of(-1.0, label, np.stack([channel, channel], axis=1), prior_sds=(WIDE_SD, 0.2))
    )
    assert of_channels[0] - of_channels[1] == pytest.approx(np.log(400 / 600) - np.log(100 / 900), abs=0.01)
    assert of_campaigns == pytest.approx([0, 0], abs=0.01)


def test_a_group_without_rows_has_none():
    rows = replace(rows_of(-1.0, np.array([1, 0, 0, 1]), [0, 0, 2, 2]), sizes=(5,))
    assert fit_intercepts(rows)[0][[1, 3, 4]].tolist() == [0, 0, 0]


def test_clicks_that_the_network_held_impossible_leave_the_intercept_finite():
    label = np.repeat([1, 0], [10_000, 10_000])
    logit = np.repeat([-14.0, -2.0], 10_000)
    (found,) = fit_intercepts(rows_of(logit, label, np.repeat([0, 1], 10_000)))
    assert np.isfinite(found).all()
    assert found[0] > 1


def test_a_row_weighs_half_of_one_a_half_life_later():
    assert recency_weights(np.array([0, HALF_LIFE_DAYS, 2 * HALF_LIFE_DAYS])) == pytest.approx([0.25, 0.5, 1])


@pytest.mark.parametrize("seed", range(3))
def test_levels_that_last_pay_ahead(seed):
    effects = np.tile(np.random.default_rng(seed).choice([-0.8, 0.8], 10), (DAYS, 1))
    assert gain_ahead(*drawn(effects, seed=seed)) > 0.005


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_refused(seed):
    # of groups with four rows each, which a wide prior believes
    assert gain_ahead(*drawn(np.zeros((DAYS, 2000)), seed=seed, prior_sd=3.0)) < -0.005


@pytest.mark.parametrize("seed", range(3))
def test_levels_of_single_days_are_refused(seed):
    # which rows of the same days would have praised
    effects = np.random.default_rng(seed).normal(0, 1.5, (DAYS, 40))
    assert gain_ahead(*drawn(effects, seed=seed, prior_sd=3.0)) < -0.005


def test_a_level_that_all_groups_share_is_no_gain():
    rows, kept_out = drawn(np.full((DAYS, 1), 0.7))
    assert gain_ahead(rows, kept_out) == pytest.approx(0, abs=1e-6)


def test_rows_of_the_first_day_alone_can_say_nothing():
    rows, _ = drawn(np.zeros((DAYS, 5)), n=100)
    assert gain_ahead(rows, rows.day == 0) is None
    assert gain_ahead(rows.where(rows.day == 3), np.ones(10, bool)) is None


def test_rows_kept_out_are_judged_by_earlier_rows_alone():
    rows, kept_out = drawn(np.zeros((DAYS, 30)), n=1000)
    judged = kept_out & (rows.day == 6)
    later = np.where(rows.day > 6, 1 - rows.label, rows.label)
    assert gain_ahead(rows, judged) == gain_ahead(replace(rows, label=later), judged)
