"""Rules of the shares of a day's rows: each part of what landed has its name, and values are new only once."""

from ctr_retrain.models.data.slices import MISSING, SliceCount
from ctr_retrain.models.documents.day_documents import Attribution, ColumnFill, Counts, DaySummary
from ctr_retrain.models.drift.unusual_rows import CHECKS, Share
from ctr_retrain.tasks.validate.row_shares import FEWEST_DAYS, landed_shares, new_values

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
