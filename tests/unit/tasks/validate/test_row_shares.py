"""Rules of the shares of a day's rows: each part of what landed has its name, and values are new only once."""

from datetime import date, timedelta

import numpy as np

from ctr_retrain.models.data.slices import MISSING, SliceCount
from ctr_retrain.models.data.user_sample import DAYS_BEFORE, sample_of
from ctr_retrain.models.documents.day_documents import Attribution, ColumnFill, Counts, DaySummary, UserSample
from ctr_retrain.models.drift.channel_watch import Rules
from ctr_retrain.models.drift.limits import budget_of
from ctr_retrain.models.drift.unusual_rows import CHECKS, NEW_USERS, RowShares, Share, watch_rows
from ctr_retrain.tasks.validate.row_shares import FEWEST_DAYS, landed_shares, new_users, new_values
from tests.support.counts import draws

SUMMARY = DaySummary(
    impressions=Counts(received=100, kept=90, duplicates=6, quarantined=4),
    outcomes=Counts(received=10, kept=8, duplicates=2, quarantined=0),
    unreadable={},
    fill={"segment": ColumnFill(rows=81)},
    attribution=Attribution(outcomes=8, found=5, not_found=2, unnamed=1),
)


def campaigns(**rows):
    return [SliceCount("ad", "campaign_id", name, count, count, 0) for name, count in rows.items()]


def test_each_part_of_what_landed_is_a_share_by_name():
    shares = landed_shares(SUMMARY)
    assert shares == {
        "duplicates of impressions": Share(6, 100),
        "quarantined impressions": Share(4, 100),
        "duplicates of outcomes": Share(2, 10),
        "quarantined outcomes": Share(0, 10),
        "nulls of segment": Share(9, 90),
        "outcomes without an impression": Share(2, 7),
        "outcomes of kinds that no channel names": Share(1, 8),
    }
    assert all(name.split()[0] in CHECKS for name in shares)


def test_of_nothing_there_is_no_share():
    nothing = Counts(received=0, kept=0, duplicates=0, quarantined=0)
    assert landed_shares(DaySummary(impressions=nothing, outcomes=nothing, unreadable={})) == {}


def test_values_are_new_on_the_first_day_that_has_them_once_there_are_days_before():
    days = [campaigns(a=10)] * FEWEST_DAYS + [campaigns(a=6, b=2), campaigns(a=6, b=2), campaigns(b=3, c=9)]
    days[-1].append(SliceCount("ad", "campaign_id", MISSING, 4, 4, 0))
    shares = list(new_values(days))
    assert shares[:FEWEST_DAYS] == [{}] * FEWEST_DAYS
    of_campaigns = [one["new values of campaign_id"] for one in shares[FEWEST_DAYS:]]
    assert of_campaigns == [Share(2, 8), Share(0, 8), Share(9, 16)]


def test_the_rows_of_new_users_are_a_share_once_there_are_weeks_before():
    usual, strange = (UserSample(probe=1, below=9, rows=rows) for rows in ({"1": 3, "2": 1}, {"1": 3, "5": 1}))
    shares = list(new_users([*[usual] * DAYS_BEFORE, strange, None]))
    assert shares == [*[{}] * DAYS_BEFORE, {NEW_USERS: Share(0.5, 2)}, {}]


def users_of_days(rng, days, *, changed=None, share=1.0):
    """Days of 8,000 rows of a pool that changes slowly, some users far more often; from a day on ids are changed."""
    for day in range(days):
        users = 20 * day + (30_000 * rng.random(round(8_000 * (0.7 if day % 7 > 4 else 1))) ** 3).astype(np.uint64)
        other = (users % 100 < 100 * share) if changed is not None and day >= changed else np.zeros(len(users), bool)
        hashes = (np.where(other, users + 10**6, users) * np.uint64(11400714819323198485)) >> np.uint64(12)
        found, rows = np.unique(hashes, return_counts=True)
        yield sample_of(1, 2**52, dict(zip(found.tolist(), rows.tolist(), strict=True)))


def told(samples):
    """The days on which new users are unusual."""
    rules = Rules(budget_of(4), min_effect=0.2, channels=2)
    first = date(2026, 3, 2)
    days = [RowShares(first + timedelta(days=day), shares) for day, shares in enumerate(new_users(list(samples)))]
    return [day for day, found in enumerate(watch_rows(days, rules)) if found]


def test_users_whose_ids_are_written_in_another_way_are_told_and_weekdays_and_a_changing_pool_are_not():
    days = draws(90, 3_650)
    assert told(users_of_days(np.random.default_rng(1), days)) == []
    assert told(users_of_days(np.random.default_rng(2), 52, changed=50))[0] == 50
    assert told(users_of_days(np.random.default_rng(3), 52, changed=50, share=0.5))[0] == 50
