"""Rules of the intervals that know users and campaigns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctr_retrain.models.judging.cells import gather
from ctr_retrain.models.judging.clustered_ratio import Clusters, ratio_intervals
from tests.support.counts import SOAK, draws
from tests.support.gate_scenarios import SCENARIOS, measure_coverage

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def width(interval):
    return interval.high - interval.low


def mean_of(users, campaign, value, weight=None):
    weight = np.ones(len(users)) if weight is None else weight
    return Clusters(users, campaign, weight).mean(value, weight, 0.95)


def test_the_mean_weighs_rows_by_how_many_they_stand_for():
    assert mean_of(np.arange(4), np.zeros(4), np.array([0, 0, 0, 8.0]), np.array([1, 1, 1, 5])).estimate == 5


def test_by_users_it_is_the_textbook_interval_of_their_sums():
    value = np.array([1.0, 2, 3, 6])
    found = mean_of(np.arange(4), np.zeros(4), value)
    error = value.std(ddof=1) / 2
    assert found.estimate == 3
    assert found.high - 3 == pytest.approx(3.182446 * error)  # Student's quantile of three degrees of freedom


def test_rows_of_a_user_that_repeat_each_other_make_it_no_surer():
    value, users = np.random.default_rng(2).normal(size=200), np.arange(200)
    once = mean_of(users, np.zeros(200), value)
    again = mean_of(np.repeat(users, 9), np.zeros(1800), np.repeat(value, 9))
    assert width(again) == pytest.approx(width(once))


def test_what_differs_by_campaign_is_as_unsure_as_the_campaigns_are():
    draw = np.random.default_rng(2)
    campaign, users = draw.integers(0, 30, 20_000), draw.integers(0, 256, 20_000)
    value = draw.normal(size=30)[campaign] + draw.normal(size=20_000)
    assert width(mean_of(users, campaign, value)) > 8 * width(mean_of(users, np.zeros(20_000), value))


def freedom_of(campaigns, of_campaigns):
    """Degrees of freedom of a mean over so many equal campaigns that differ by so much, and of their variance alone."""
    draw = np.random.default_rng(5)
    campaign, users = np.arange(20_000) % campaigns, draw.integers(0, 256, 20_000)
    value = draw.normal(0, of_campaigns, campaigns)[campaign] + draw.normal(size=20_000)
    clusters = Clusters(users, campaign, np.ones(20_000))
    return clusters.spread(value, np.ones(20_000)).freedom, clusters.campaigns.freedom


def test_campaigns_that_do_not_differ_leave_the_interval_nearly_the_freedom_of_users():
    found, alone = freedom_of(20, 0.0)
    assert alone == pytest.approx(19)
    assert 1.7 * alone < found < 256


def test_campaigns_that_differ_and_few_ones_leave_it_their_own():
    found, alone = freedom_of(20, 1.0)
    assert found == pytest.approx(alone, rel=0.05)
    assert freedom_of(3, 0.0) == pytest.approx((2, 2), rel=0.05)


def test_cells_and_the_rows_that_they_sum_give_the_same_interval():
    draw = np.random.default_rng(4)
    campaign, users = draw.integers(0, 40, 5000), draw.integers(0, 256, 5000)
    value = draw.normal(size=40)[campaign] + draw.normal(size=5000)
    cells = gather(users, campaign, draw.integers(0, 3, 5000), {"value": value, "rows": np.ones(5000)})
    (found,) = ratio_intervals(cells, [("value", "rows")], 0.95)
    of_rows = mean_of(users, campaign, value)
    assert (found.low, found.high) == pytest.approx((of_rows.low, of_rows.high))


def test_of_one_user_or_of_no_rows_nothing_is_known():
    assert not mean_of(np.zeros(5), np.zeros(5), np.ones(5)).bounded
    none = np.empty(0)
    assert not mean_of(none, none, none).bounded


def test_a_ratio_to_nothing_is_not_a_number():
    cells = gather(
        *(np.array([3, 4]), np.zeros(2), np.zeros(2)),
        {"expected": np.ones(2), "positives": np.zeros(2), "rows": np.ones(2)},
    )
    (found,) = ratio_intervals(cells, [("expected", "positives")], 0.95)
    assert np.isnan(found.estimate)
    assert not found.bounded


def test_positives_of_one_group_of_users_leave_the_ratio_without_bounds():
    cells = gather(
        *(np.arange(9), np.arange(9) % 3, np.zeros(9)),
        {"challenger": np.ones(9), "positives": np.eye(9)[4] * 7, "rows": np.ones(9)},
    )
    (found,) = ratio_intervals(cells, [("challenger", "positives")], 0.95)
    assert found.estimate == 9 / 7
    assert not found.bounded


def test_one_campaign_with_nearly_all_rows_leaves_campaigns_fixed():
    users, campaign = np.arange(4000) % 256, (np.arange(4000) % 50 == 0).astype(int)
    clusters = Clusters(users, campaign, np.ones(4000))
    assert not clusters.campaigns_vary
    assert clusters.least_freedom > 200


@given(
    clicks=st.lists(st.integers(0, 3), min_size=8, max_size=8).filter(lambda each: sum(map(bool, each)) > 1),
    campaigns=st.lists(st.integers(0, 3), min_size=8, max_size=8),
)
def test_a_ratio_of_what_is_never_negative_has_no_negative_and_no_infinite_bound(clicks, campaigns):
    users = np.arange(8) * 7
    predicted = np.linspace(0.1, 2, 8)
    cells = gather(
        *(users, np.array(campaigns), np.zeros(8)),
        {"challenger": predicted, "positives": np.array(clicks), "rows": np.ones(8)},
    )
    (found,) = ratio_intervals(cells, [("challenger", "positives")], 0.95)
    assert found.bounded
    assert 0 < found.low <= found.estimate <= found.high


def test_joint_draws_have_the_means_and_the_spread_of_the_intervals():
    draw = np.random.default_rng(9)
    campaign, users = draw.integers(0, 80, 20_000), draw.integers(0, 256, 20_000)
    common = draw.normal(size=80)[campaign] + draw.normal(size=20_000)
    values = np.stack([common, common + 0.01 * draw.normal(size=20_000)], axis=1)
    drawn = Clusters(users, campaign, np.ones(20_000)).draw_means(values, 4000, seed=1)
    for column in range(2):
        low, high = np.percentile(drawn[:, column], [2.5, 97.5])
        own = mean_of(users, campaign, values[:, column])
        assert (low, high) == pytest.approx((own.low, own.high), abs=0.15 * width(own))
    # Their difference is as sure as it is by itself, however unsure the two are.
    difference = mean_of(users, campaign, values[:, 1] - values[:, 0])
    assert np.ptp(np.percentile(drawn[:, 1] - drawn[:, 0], [2.5, 97.5])) == pytest.approx(width(difference), rel=0.15)


def test_equal_seeds_draw_equal_means():
    clusters = Clusters(np.arange(90) % 9, np.arange(90) % 10, np.ones(90))
    values = np.random.default_rng(3).normal(size=(90, 3))
    assert (clusters.draw_means(values, 50, 1) == clusters.draw_means(values, 50, 1)).all()
    assert (clusters.draw_means(values, 50, 1) != clusters.draw_means(values, 50, 2)).any()


@pytest.mark.parametrize("name", list(BY_NAME) if SOAK else ["users and campaigns, 60 campaigns", "300 positives"])
def test_intervals_exclude_a_true_zero_as_often_as_they_say_and_are_no_wider_than_they_must(name):
    scenario, trials = BY_NAME[name], draws(40, 2000)
    chance = 3 * np.sqrt(0.05 * 0.95 / trials)
    for each in measure_coverage(scenario, trials, seed=5):
        assert each.excluded_share <= 0.065 + chance
        if scenario.campaigns >= 19 and each.positives >= 290 and not each.exact_limits_bind:
            assert each.excluded_share >= 0.035 - chance
            assert each.width_ratio <= 1.15 + (0 if SOAK else 0.25)
