"""Rules of samples of users: the share of rows whose user is new is told from a few hundred users of each day."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.data.user_sample import (
    DAYS_BEFORE,
    MOST_USERS,
    add_up_samples,
    new_user_shares,
    sample_of,
)
from tests.support.counts import draws

ALL = 2**52


def hashes(users):
    """The hash of each user, spread over all that there can be."""
    return (np.asarray(users, np.uint64) * np.uint64(11400714819323198485)) >> np.uint64(12)


def sample(users, probe=1):
    """The sample of a day on which these users have a row each, or more where one stands here more often."""
    found, rows = np.unique(hashes(users), return_counts=True)
    return sample_of(probe, ALL, dict(zip(found.tolist(), rows.tolist(), strict=True)))


def test_of_many_users_the_least_hashes_are_kept_and_of_few_all():
    few, many = sample(range(40)), sample(range(9_000))
    assert (len(few.rows), few.below) == (40, ALL)
    assert len(many.rows) == MOST_USERS
    assert sorted(map(int, many.rows)) == sorted(hashes(range(9_000)).tolist())[:MOST_USERS]
    assert many.below == max(map(int, many.rows)) + 1


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=2_000), st.integers(1, 4))
@settings(max_examples=draws(20, 500))
def test_shards_add_up_to_the_sample_of_the_whole_day(users, shards):
    parts = [sample(users[number::shards]) for number in range(shards) if users[number::shards]]
    assert add_up_samples(parts) == sample(users)
    assert add_up_samples([]) is None


@pytest.mark.parametrize("new", [0.0, 0.3, 1.0])
def test_the_share_of_rows_with_a_new_user_is_that_of_the_sample(new):
    rng = np.random.default_rng(3)
    days = [sample(rng.integers(0, 5_000, 20_000)) for _ in range(DAYS_BEFORE)]
    rows = rng.integers(0, 5_000, 20_000)
    strange = rng.random(5_000) < new  # of the users these have another id from now on
    days.append(sample(np.where(strange[rows], rows + 10**6, rows)))
    *earlier, last = new_user_shares(days)
    assert earlier == [None] * DAYS_BEFORE
    assert last[0] == pytest.approx(new, abs=0.1)
    assert last[1] > MOST_USERS / 2


def test_rows_count_and_not_users():
    usual = [sample(range(10))] * DAYS_BEFORE
    assert list(new_user_shares([*usual, sample([*range(10), 77, 77, 77, 77, 77, 77, 77, 77, 77, 77])]))[-1] == (
        0.5,
        11,
    )


def test_a_user_of_any_day_before_is_known_and_of_a_day_long_ago_is_not():
    days = [sample([9, 1]), *[sample([1])] * (DAYS_BEFORE - 1), sample([9, 1]), *[sample([1])] * DAYS_BEFORE]
    shares = list(new_user_shares([*days, sample([9, 1])]))
    assert shares[DAYS_BEFORE] == (0.0, 2)
    assert shares[-1] == (0.5, 2)


def test_days_without_a_sample_or_with_another_hash_say_nothing():
    usual = [sample([1])] * DAYS_BEFORE
    assert list(new_user_shares([*usual, None, sample([1])]))[-2:] == [None, (0.0, 1)]
    assert list(new_user_shares([*usual, sample([2], probe=2)]))[-1] is None
    assert list(new_user_shares([*usual, *[sample([2], probe=2)] * DAYS_BEFORE, sample([2], probe=2)]))[-1] == (0.0, 1)
