"""Rules of the user × campaign bootstrap."""

import numpy as np
import pytest

from ctr_retrain.models.judging.bootstrap import USER_BUCKETS, gather, ratio_interval, ratio_intervals, resample
from tests.support.counts import draws

SAMPLING = {"draws": 400, "confidence": 0.95, "seed": 3}


def grid(campaigns):
    """Each user bucket with each campaign once."""
    return np.divmod(np.arange(USER_BUCKETS * campaigns), campaigns)


def test_cells_are_sums_over_user_bucket_campaign_and_day():
    cells = gather(
        np.array([7, 7, 7, 0]),
        np.array([40, 40, 40, -2]),
        np.array([11, 11, 12, 11]),
        {"rows": np.ones(4), "clicks": np.array([1, 1, 0, 1])},
    )
    assert cells.names == ("rows", "clicks")
    assert cells.campaigns == 2
    assert cells.campaign.tolist() == [0, 1, 1]
    assert cells.user_bucket.tolist() == [0, 7, 7]
    assert cells.day.tolist() == [11, 11, 12]
    assert cells.sums.tolist() == [[1, 1], [2, 2], [1, 0]]


def test_user_buckets_outside_the_256_are_refused():
    with pytest.raises(ValueError, match="expected 0 to 255, received 3 to 256"):
        gather(np.array([3, 256]), np.zeros(2), np.zeros(2), {"rows": np.ones(2)})


@pytest.mark.parametrize("campaigns", [19, 20, 600])
def test_draws_weigh_by_users_and_by_campaigns_from_twenty_on(campaigns):
    bucket, campaign = grid(campaigns)
    rng = np.random.default_rng(5)
    values = {"rows": np.ones(len(bucket)), "x": rng.normal(size=len(bucket))}
    drawn = resample(gather(bucket, campaign, np.zeros(len(bucket)), values), draws=3, seed=9)
    same = np.random.default_rng(9)
    user = same.poisson(1.0, (3, USER_BUCKETS))
    chunks = [256] * (campaigns // 256) + [campaigns % 256]
    of_campaign = np.hstack([same.poisson(1.0, (3, n)) for n in chunks]) if campaigns >= 20 else np.ones((3, campaigns))
    weight = user[:, bucket] * of_campaign[:, campaign]
    assert drawn[:, 0] == pytest.approx(weight.sum(axis=1))
    assert drawn[:, 1] == pytest.approx(weight @ values["x"])


def test_equal_seeds_give_equal_intervals_and_others_do_not():
    bucket, campaign = grid(25)
    x = np.random.default_rng(1).normal(size=len(bucket))
    cells = gather(bucket, campaign, campaign * 0, {"x": x, "rows": np.ones(len(x))})
    assert ratio_interval(cells, "x", "rows", **SAMPLING) == ratio_interval(cells, "x", "rows", **SAMPLING)
    assert ratio_interval(cells, "x", "rows", **SAMPLING) != ratio_interval(
        cells, "x", "rows", **SAMPLING | {"seed": 4}
    )


def test_a_constant_ratio_has_no_spread_in_joint_draws():
    bucket, campaign = grid(25)
    x = np.random.default_rng(1).integers(1, 9, len(bucket))
    cells = gather(bucket, campaign, campaign * 0, {"x": x, "double": 2 * x, "zero": 0 * x})
    double, zero = ratio_intervals(cells, [("double", "x"), ("zero", "x")], **SAMPLING)
    assert (double.estimate, double.low, double.high) == (2, 2, 2)
    assert (zero.estimate, zero.low, zero.high) == (0, 0, 0)


def test_bounds_are_infinite_where_too_many_draws_leave_the_ratio_undefined():
    values = {"expected": np.array([1.0, 1.0]), "clicks": np.array([1, 0])}
    cells = gather(np.array([3, 4]), np.zeros(2), np.zeros(2), values)  # all clicks from one user bucket
    interval = ratio_interval(cells, "expected", "clicks", **SAMPLING)
    assert interval.estimate == 2
    assert (interval.low, interval.high) == (-np.inf, np.inf)
    assert not interval.bounded


def test_a_ratio_to_nothing_is_not_a_number():
    cells = gather(np.array([3]), np.zeros(1), np.zeros(1), {"expected": np.ones(1), "clicks": np.zeros(1)})
    assert np.isnan(ratio_interval(cells, "expected", "clicks", **SAMPLING).estimate)


def null_trial(rng, campaigns, campaign_sd, *, cluster_by_campaign):
    """Whether the interval excludes a true zero: 8 rows of noise 1 in each cell, and campaigns that differ."""
    bucket, campaign = grid(campaigns)
    effect = rng.normal(0, campaign_sd, campaigns)
    d = 8 * effect[campaign] + rng.normal(0, np.sqrt(8), len(bucket))
    code = campaign if cluster_by_campaign else campaign * 0
    cells = gather(bucket, code, campaign * 0, {"d": d, "rows": np.full(len(bucket), 8)})
    interval = ratio_interval(cells, "d", "rows", draws=300, confidence=0.95, seed=int(rng.integers(2**32)))
    return not interval.low <= 0 <= interval.high


def test_users_times_campaigns_exclude_a_true_zero_about_as_often_as_promised():
    rng = np.random.default_rng(11)
    excluded = np.mean([null_trial(rng, 25, 0.1, cluster_by_campaign=True) for _ in range(draws(200, 2000))])
    assert 0.03 <= excluded <= 0.08


def test_users_alone_exclude_a_true_zero_far_too_often():
    rng = np.random.default_rng(12)
    excluded = np.mean([null_trial(rng, 25, 0.1, cluster_by_campaign=False) for _ in range(draws(60, 300))])
    assert excluded > 0.4


def test_without_differences_between_campaigns_the_interval_is_too_wide_rather_than_too_narrow():
    rng = np.random.default_rng(13)
    excluded = np.mean([null_trial(rng, 25, 0.0, cluster_by_campaign=True) for _ in range(draws(100, 500))])
    assert excluded <= 0.05
