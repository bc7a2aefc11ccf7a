"""Rules of findings in words: what happened, since when, how sure, what to look at and what to type."""

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import pytest

from ctr_retrain.models.data.profile import ChannelCount
from ctr_retrain.models.drift.channel_watch import ChannelWatch, Rules
from ctr_retrain.models.drift.finding_signals import DRIFT_KINDS, alert_of, merged, signal_of
from ctr_retrain.models.drift.limits import budget_of
from ctr_retrain.models.drift.watched_days import watch_channel, watched_day
from ctr_retrain.models.levels.drift_days import ChannelCounts, DriftDay, channel_series

RULES = Rules(budget_of(4), min_effect=0.2, channels=1)
FIRST = date(2026, 3, 2)
ROWS = {"android": 11_000, "ios": 6_000, "web": 3_000}


def day(age, rows=1.0, kept=None):
    """A day of three devices at 2 % each; rows: factor of all, kept: device → share of its positives that is logged."""
    devices = {
        name: ChannelCount(int(rows * count), int(rows * 0.02 * count * (kept or {}).get(name, 1) + age % 3))
        for name, count in ROWS.items()
    }
    total = ChannelCounts(
        sum(each.rows for each in devices.values()), sum(each.positives for each in devices.values()), 24,
        {"device": devices},
    )  # fmt: skip
    return DriftDay(FIRST + timedelta(days=age), {"ad": total})


USUAL_DAYS = 30


@cache
def usual_watch(rows=1.0):
    """The channel watched through days as usual, of a share of the rows."""
    watch = ChannelWatch(channel_series("ad", [day(age, rows) for age in range(USUAL_DAYS)]), RULES)
    for age in range(USUAL_DAYS):
        watch.step(age)
    return watch


def last_day(*days, usual_rows=1.0):
    """The series of days as usual and those given, and what is found on the last."""
    usual = [day(age, usual_rows) for age in range(USUAL_DAYS)]
    later = [DriftDay(FIRST + timedelta(days=USUAL_DAYS + age), each.channels) for age, each in enumerate(days)]
    series = channel_series("ad", [*usual, *later])
    watch = usual_watch(usual_rows).copy(series)
    return series, [watched_day(watch, index) for index in range(USUAL_DAYS, len(series.days))][-1]


def one_signal(*days):
    series, seen = last_day(*days)
    (finding,) = seen.findings
    return signal_of(series, finding, series.days[-1]), alert_of(series, finding)


def test_a_day_as_usual_has_nothing_to_say():
    assert last_day(day(0))[1].findings == ()


def test_a_dead_device_is_named_with_its_logger_and_what_it_explains():
    signal, alert = one_signal(day(0, kept={"android": 0.3}))
    assert (signal.kind, signal.subject, signal.level) == ("logger_down", "ad device=android", "warning")
    assert signal.summary.startswith("The odds of a positive of device=android fell by 7")
    assert "since 2026-04-01: its outcome logger loses events." in signal.summary
    assert any(text.startswith("It explains ") and "positives" in text for text in signal.details)
    assert (alert.name, alert.channel) == ("positive_ratio", "ad")
    assert alert.received < alert.expected[0] < alert.expected[1]


def test_a_fault_that_lasts_keeps_kind_subject_and_first_day():
    down = day(0, kept={"android": 0.3})
    first, third = one_signal(down)[0], one_signal(down, down, down)[0]
    assert (third.kind, third.subject, third.since) == (first.kind, first.subject, first.since)


def test_no_positive_at_all_of_a_channel_calls_a_person():
    nothing = dict.fromkeys(ROWS, 0)
    signal, alert = one_signal(day(0, kept=nothing))
    assert (signal.kind, signal.subject) == ("ratio_changed", "ad")
    assert (signal.level, alert.level) == ("critical", "critical")
    assert "Not one positive came in." in alert.cause


@pytest.mark.parametrize(("rows", "kind"), [(2, "delivered_twice"), (0.4, "files_missing"), (4, "volume_changed")])
def test_volume_at_an_equal_ratio_is_about_files(rows, kind):
    signal, alert = one_signal(day(0, rows=rows))
    assert (signal.kind, signal.subject) == (kind, "ad")
    assert alert.name == "impressions"
    assert not signal.expected[0] <= alert.received <= signal.expected[1]


def test_a_channel_without_a_single_impression_is_missing_files():
    series, seen = last_day(DriftDay(FIRST, {}))
    (finding,) = seen.findings
    signal = signal_of(series, finding, series.days[-1])
    assert (signal.kind, signal.level) == ("files_missing", "critical")


def test_a_channel_that_rests_at_weekends_is_not_missed_there():
    days = [each if each.day.weekday() < 5 else DriftDay(each.day, {}) for each in (day(age) for age in range(41))]
    series = channel_series("ad", days)
    assert not any(seen.findings for seen in watch_channel(series, RULES))


def test_all_that_is_found_is_among_what_nights_look_for():
    found = [one_signal(day(0, rows=rows))[0].kind for rows in (2, 0.4, 4)]
    assert set(found) <= set(DRIFT_KINDS)


def test_a_slice_that_several_channels_find_changed_is_one_signal_of_the_one_that_found_it_first():
    signals = []
    for channel, opened, instead in (("push", 3, "slide"), ("ad", 1, None)):
        series, seen = last_day(day(0, kept={"android": 0.3}))
        series = replace(series, channel=channel)
        (finding,) = seen.findings
        finding = replace(finding, fault=replace(finding.fault, opened=opened, instead_of=instead))
        signals.append((series, finding, signal_of(series, finding, series.days[-1])))
    (one,) = merged(signals)
    assert (one.kind, one.subject, one.instead_of) == ("logger_down", "ad device=android", ("slide", "push"))
    assert one.touches == ("device=android", "push device=android")
    assert one.details[0].startswith("Also push device=android: The odds of a positive of device=android fell by 7")


def test_changes_of_whole_channels_stay_two_signals():
    signals = []
    for channel in ("ad", "push"):
        series, seen = last_day(day(0, kept=dict.fromkeys(ROWS, 0.3)))
        series = replace(series, channel=channel)
        (finding,) = seen.findings
        signals.append((series, finding, signal_of(series, finding, series.days[-1])))
    assert [one.subject for one in merged(signals)] == ["ad", "push"]
