"""Rules of the mean whose interval knows users and campaigns."""

import numpy as np
import pytest

from ctr_retrain.models.judging.bootstrap import gather, ratio_interval
from ctr_retrain.models.judging.clustered_mean import Clusters


def width(interval):
    return interval.high - interval.low


def test_the_mean_weighs_rows_by_how_many_they_stand_for():
    rows = Clusters(np.arange(4), np.zeros(4), np.array([1, 1, 1, 5]))
    assert rows.interval(np.array([0, 0, 0, 8.0]), 0.95).estimate == 5


def test_by_users_it_is_the_textbook_interval_of_their_sums():
    value, users = np.array([1.0, 2, 3, 6]), np.array([0, 1, 2, 3])
    found = Clusters(users, np.zeros(4), np.ones(4)).interval(value, 0.95)
    error = value.std(ddof=1) / 2
    assert found.estimate == 3
    assert found.high - 3 == pytest.approx(3.182446 * error)  # Student's quantile of three degrees of freedom


def test_rows_of_a_user_that_repeat_each_other_make_it_no_surer():
    draw = np.random.default_rng(2)
    value, users = draw.normal(size=200), np.arange(200)
    once = Clusters(users, np.zeros(200), np.ones(200)).interval(value, 0.95)
    again = Clusters(np.repeat(users, 9), np.zeros(1800), np.ones(1800)).interval(np.repeat(value, 9), 0.95)
    assert width(again) == pytest.approx(width(once))


def test_what_differs_by_campaign_is_as_unsure_as_the_campaigns_are():
    draw = np.random.default_rng(2)
    campaign = draw.integers(0, 30, 20_000)
    value = draw.normal(size=30)[campaign] + draw.normal(size=20_000)
    users = draw.integers(0, 256, 20_000)
    found = Clusters(users, campaign, np.ones(20_000)).interval(value, 0.95)
    alone = Clusters(users, np.zeros(20_000), np.ones(20_000)).interval(value, 0.95)
    assert width(found) > 8 * width(alone)


@pytest.mark.parametrize("campaigns", [1, 40, 400])
def test_it_is_about_as_wide_as_the_bootstrap(campaigns):
    draw = np.random.default_rng(4)
    campaign, users = draw.integers(0, campaigns, 20_000), draw.integers(0, 256, 20_000)
    value = draw.normal(size=400)[campaign] + draw.normal(size=256)[users] + 0.1 * draw.normal(size=20_000)
    found = Clusters(users, campaign, np.ones(20_000)).interval(value, 0.95)
    cells = gather(users, campaign, np.zeros(20_000), {"value": value, "rows": np.ones(20_000)})
    drawn = ratio_interval(cells, "value", "rows", draws=2000, confidence=0.95, seed=1)
    assert found.estimate == pytest.approx(drawn.estimate)
    assert 0.8 < width(found) / width(drawn) < 1.25


def test_it_covers_the_truth_as_often_as_it_says():
    draw, covered = np.random.default_rng(6), 0
    for _ in range(400):
        campaign, users = draw.integers(0, 60, 3000), draw.integers(0, 256, 3000)
        value = draw.normal(size=60)[campaign] + draw.normal(size=256)[users] + draw.normal(size=3000)
        found = Clusters(users, campaign, np.ones(3000)).interval(value, 0.95)
        covered += found.low <= 0 <= found.high
    assert 0.91 < covered / 400 < 0.99


def test_of_one_user_or_of_no_rows_nothing_is_known():
    assert not Clusters(np.zeros(5), np.zeros(5), np.ones(5)).interval(np.ones(5), 0.95).bounded
    none = np.empty(0)
    assert not Clusters(none, none, none).interval(none, 0.95).bounded
