"""Rules of the profile's figures: each has words for a person, and hours are counted where nothing came in too."""

from datetime import date, timedelta

import pyarrow as pa

from ctr_retrain.models.data.profile import ChannelCount, count_hours, expected_ranges, title_of, value_set_name

DAY = date(2026, 3, 2)


def test_each_expectation_has_words(tiny_recipe):
    recipe = tiny_recipe(validation={"max_null_share": {"device": 0.1}, "value_sets": {"device": ["ios"]}})
    words = {expected.name: title_of(expected.name) for expected in expected_ranges(recipe)}
    assert words["rows"] == "impressions of the day itself"
    assert words["null_share[device]"] == "impressions without a value of device"
    assert words["positive_ratio[push]"] == "positive ratio of channel push"
    assert title_of(value_set_name("a[0]{x}")) == "values of a[0]{x}"


def test_all_hours_of_the_day_are_counted_by_channel_without_those_of_other_days():
    rows = [(DAY, "ad", "a", 3, 10, 1), (DAY, "ad", "b", 3, 5, 0), (DAY, "push", "a", 4, 7, 2)]
    rows.append((DAY - timedelta(days=1), "ad", "a", 23, 99, 9))
    names = ("event_day", "channel", "campaign_id", "hour", "rows", "positives")
    hours = count_hours(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), DAY)
    assert [hour.hour for hour in hours] == list(range(24))
    assert {hour.hour: hour.channels for hour in hours if hour.rows} == {
        3: {"ad": ChannelCount(15, 1)},
        4: {"push": ChannelCount(7, 2)},
    }
