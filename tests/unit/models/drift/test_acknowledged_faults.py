"""Rules of faults that somebody said are the normal state: their days teach, and what comes on top is found."""

from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import pytest

from ctr_retrain.models.drift.channel_watch import ChannelWatch, Rules
from ctr_retrain.models.drift.finding_signals import signal_of
from ctr_retrain.models.drift.limits import budget_of
from ctr_retrain.models.drift.unusual_rows import RowShares, Share, signal_of_rows, watch_rows
from ctr_retrain.models.drift.watched_days import watch_channels, watched_day
from ctr_retrain.models.incidents.incident import Handled
from ctr_retrain.models.simulation.count_faults import FAULTS, plant
from ctr_retrain.models.simulation.daily_counts import channel_laws, draw_counts, stretch
from ctr_retrain.models.simulation.world import World
from tests.support.counted_days import FIRST_DAY, causes, series_of

DAYS, FIRST, SAID, SECOND = 78, 63, 66, 72  # of the stretch; a fault's first, the one it is said of, another fault's
QUIET = FIRST - 3  # days before any fault and before any day that something is said of
RULES = Rules(budget_of(4), min_effect=0.2, channels=2, new_normal_days=28)
BY_NAME = {fault.name: fault for fault in FAULTS}
LAW = channel_laws(World(seed=3), stretch(FIRST_DAY, DAYS))["ad"]
COUNTS = draw_counts(LAW, 200_000, None, np.random.default_rng(1))
LARGEST = LAW.campaigns[int(COUNTS[0][FIRST].sum(axis=1).argmax())]
CHANNEL, ANDROID = "channel -40 %", "android -40 %"


def with_faults(*faults, channel="ad", begin=0):
    """The series with faults, each (name, first day), from one of its days to the end."""
    counts, rng = COUNTS, np.random.default_rng(2)
    for name, first in faults:
        counts = plant(BY_NAME[name], *counts, first, DAYS, rng)
    return series_of(channel, LAW.days[begin:], LAW.campaigns, *(part[begin:] for part in counts))


def said_of(name, number=SAID, **changes):
    """The word that a fault is the normal state, of one of the days."""
    kinds, about = causes(LARGEST)[name]
    given = {"kind": min(kinds), "subject": f"ad {about}".strip(), "day": LAW.days[number], **changes}
    return Handled(what="acknowledged", by="eva", reason="meant", at="", new_normal=True, **given)


@cache
def quiet():
    """The channel watched through days before any fault or word, which are the same in each series, and these days."""
    watch = ChannelWatch(with_faults(), RULES)
    return watch, [watched_day(watch, day) for day in range(QUIET)]


def watched(series, *said):
    """The watched days, with what was said."""
    watch, days = quiet()
    later = watch.copy(series)
    later.rules = replace(RULES, said=said)
    return days + [watched_day(later, day) for day in range(QUIET, DAYS)]


@cache
def as_planted(name):
    """The watched days of one fault of which nobody said anything."""
    return watched(with_faults((name, FIRST)))


def kinds(days):
    """The kinds of each day's findings."""
    return [[finding.fault.kind for finding in day.findings] for day in days]


@pytest.mark.parametrize("name", [CHANNEL, ANDROID, "bots 50 %", "delivered twice", "largest campaign dead"])
def test_from_the_day_after_on_a_fault_that_was_meant_teaches_and_before_it_nothing_is_another(name):
    series, word = with_faults((name, FIRST)), said_of(name)
    without, days = as_planted(name), watched(series, word)
    assert days[: SAID + 1] == without[: SAID + 1]  # as a replay of an older day sees them
    assert all(kinds(without)[FIRST : SAID + 4])
    (announced,) = days[SAID + 1].findings
    assert (announced.new_normal, announced.said) == (True, word)
    ends = SAID + 12  # the campaign that has bots ends a day later
    assert not any(kinds(days)[SAID + 2 : ends])
    ratios = series.positives / series.rows
    newest = slice(SAID + 3, ends)
    assert np.mean([day.expected for day in days[newest]]) == pytest.approx(ratios[newest].mean(), rel=0.06)


@pytest.mark.parametrize("second", [CHANNEL, ANDROID, "half of the files"])
def test_a_further_fault_on_top_of_the_normal_state_is_found_on_its_day(second):
    days = watched(with_faults((CHANNEL, FIRST), (second, SECOND)), said_of(CHANNEL))
    assert not any(kinds(days)[SAID + 2 : SECOND])
    assert kinds(days)[SECOND][0] in causes(LARGEST)[second][0]


def test_one_that_begins_on_the_very_next_day_is_found_too():
    days = watched(with_faults((CHANNEL, FIRST), (CHANNEL, SAID + 1)), said_of(CHANNEL))
    assert kinds(days)[SAID + 1] == ["ratio_changed", "ratio_changed"]
    assert kinds(days)[SAID + 2] == ["ratio_changed"]


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "push"},
        {"kind": "volume_changed"},
        {"kind": "logger_down", "subject": "ad device=android"},
        {"day": LAW.days[FIRST - 1]},
        {"day": LAW.days[-1]},
    ],
    ids=["another channel", "another series", "a slice", "before it began", "no day after it yet"],
)
def test_a_word_about_something_else_changes_nothing(changes):
    assert watched(with_faults((CHANNEL, FIRST)), said_of(CHANNEL, **changes)) == as_planted(CHANNEL)


def test_one_device_is_one_incident_in_all_channels_and_normal_in_all():
    begin = FIRST - 20  # each channel is watched twice
    channels = [with_faults((ANDROID, FIRST), channel=channel, begin=begin) for channel in ("ad", "push")]
    for days in watch_channels(channels, replace(RULES, said=(said_of(ANDROID),))):
        assert all(kinds(days)[FIRST - begin : SAID + 1 - begin])
        assert [finding.new_normal for finding in days[SAID + 1 - begin].findings] == [True]
        assert not any(kinds(days)[SAID + 2 - begin :])


def test_the_signal_says_who_said_it_and_asks_for_nothing():
    series = with_faults((CHANNEL, FIRST))
    (announced,) = watched(series, said_of(CHANNEL))[SAID + 1].findings
    signal = signal_of(series, announced, LAW.days[SAID + 1])
    assert (signal.level, signal.new_normal) == ("notice", True)
    assert signal.summary == (
        f"What ad has shown since {LAW.days[FIRST]} is taken for the normal state from now on, as eva said (meant)."
    )
    assert not [text for text in (*signal.details, *signal.commands) if "Check first" in text or "alerts ack" in text]


def row_days(*steps):
    """Days of duplicates, 1 % and more from some days on: (first day, share)."""
    rng = np.random.default_rng(5)
    for age in range(60):
        share = [0.01, *(to for first, to in steps if first <= age)][-1] * np.exp(rng.normal(0, 0.1))
        yield RowShares(FIRST_DAY + timedelta(days=age), {"duplicates of outcomes": Share(round(share * 1e5), 1e5)})


@pytest.mark.parametrize("second", [41, 44, 50])
def test_rows_that_were_meant_teach_too_and_more_of_them_is_found(second):
    word = Handled(
        what="acknowledged", kind="rows_unusual", subject="duplicates of outcomes", by="eva", reason="meant",
        day=FIRST_DAY + timedelta(days=40), at="", new_normal=True,
    )  # fmt: skip
    days = list(row_days((38, 0.05), (second, 0.3)))
    without, found = watch_rows(days, RULES), watch_rows(days, replace(RULES, said=(word,)))
    assert found[:41] == without[:41]
    announced, *more = found[41]
    assert (announced.new_normal, announced.said, len(more)) == (True, word, second == 41)
    assert not any(found[42:second])
    assert {each[-1].since for each in found[second:]} == {FIRST_DAY + timedelta(days=second)}
    signal = signal_of_rows(announced, days[41].day)
    assert "as eva said (meant)" in signal.summary
    assert len(signal.commands) == 1
