"""Rules of days of unusual volume: when a day is one, what it is expected to add, and that no level follows it."""

from datetime import date, timedelta

import numpy as np
import pytest

from ctr_retrain.models.drift.channel_watch import ChannelWatch, Rules
from ctr_retrain.models.drift.limits import budget_of
from ctr_retrain.models.levels.drift_days import ChannelSeries
from ctr_retrain.models.levels.measures import Change
from ctr_retrain.models.levels.unusual_days import BUSY, EFFECT, MOST_DAYS, QUIET, UnusualDays

HISTORY = 60.0
DEVIATION2 = 0.04**2


def volume(size, error):
    return Change(np.array([size]), np.array([error]), np.array([0.05**2]), np.array([True]))


HOLIDAY, ORDINARY, RUSH = volume(-0.36, -7.0), volume(-0.05, -1.0), volume(0.4, 8.0)


@pytest.mark.parametrize(
    ("day", "days", "kind"),
    [
        (HOLIDAY, HISTORY, QUIET),
        (RUSH, HISTORY, BUSY),
        (ORDINARY, HISTORY, None),
        (volume(-0.36, -2.0), HISTORY, None),  # of so few impressions chance makes as much
        (volume(-0.1, -7.0), HISTORY, None),  # surely less, and hardly
        (HOLIDAY, 13.0, None),  # nobody knows yet what volume is usual
    ],
)
def test_a_day_is_unusual_by_a_volume_that_is_surely_and_far_from_its_weekdays(day, days, kind):
    assert UnusualDays().kind(day, days) == kind


def test_what_such_days_add_is_learnt_from_them_for_quiet_and_busy_ones_apart():
    known = UnusualDays()
    known.learn(HOLIDAY, HISTORY, 0.2, EFFECT**2 + DEVIATION2, teaches=True)
    gain = EFFECT**2 / (EFFECT**2 + DEVIATION2)
    assert known.mean(QUIET) == pytest.approx(0.2 * gain)
    assert known.uncertainty(QUIET) == pytest.approx(EFFECT**2 * (1 - gain))
    assert (known.mean(BUSY), known.uncertainty(BUSY)) == (0.0, pytest.approx(EFFECT**2))
    assert (known.mean(None), known.uncertainty(None)) == (0.0, 0.0)


def test_usual_days_and_days_that_teach_nothing_leave_it_as_it_was():
    known = UnusualDays()
    known.learn(ORDINARY, HISTORY, 0.2, DEVIATION2, teaches=True)
    known.learn(HOLIDAY, HISTORY, 0.2, EFFECT**2 + DEVIATION2, teaches=False)
    assert known.mean(QUIET) == 0.0
    assert known.uncertainty(QUIET) == pytest.approx(EFFECT**2)


def test_more_such_days_on_end_are_how_traffic_is_now_until_one_is_usual_again():
    known = UnusualDays()
    for _ in range(MOST_DAYS):
        assert known.kind(HOLIDAY, HISTORY) == QUIET
        known.learn(HOLIDAY, HISTORY, 0.0, DEVIATION2, teaches=True)
    assert known.kind(HOLIDAY, HISTORY) is None
    known.learn(HOLIDAY, HISTORY, 0.0, DEVIATION2, teaches=True)
    assert known.kind(HOLIDAY, HISTORY) is None
    known.learn(ORDINARY, HISTORY, 0.0, DEVIATION2, teaches=True)
    assert known.kind(HOLIDAY, HISTORY) == QUIET


def channel(rows, ratios):
    """A channel's days of expected counts, without slices."""
    rows = np.round(rows)
    days = tuple(date(2026, 1, 1) + timedelta(days=index) for index in range(len(rows)))
    return ChannelSeries(
        "ad", days, rows, np.round(rows * ratios), np.full(len(rows), 24.0), (), np.ones(len(rows), bool)
    )


def levels_after(volumes):
    """The level of a channel's ratio before three days with a fifth more clicks and after them, by their volumes."""
    chance = np.random.default_rng(1).normal(size=(2, 75))
    rows = 8000 * np.exp(0.02 * chance[0])
    ratios = 0.02 * np.exp(0.06 * chance[1])
    rows[70:73] *= volumes
    ratios[70:73] *= np.exp(0.2)
    watch, found = ChannelWatch(channel(rows, ratios), Rules(budget_of(4), min_effect=0.2, channels=2)), []
    for day in range(73):
        if day == 70:
            before = float(watch.levels.ratio.level[0])
        watch.step(day)
        found.append(float(watch.levels.ratio.level[0]))
    return found[-1] - before


def test_a_holiday_that_its_volume_shows_moves_the_level_of_the_ratio_by_less_than_half_of_one_that_nothing_shows():
    shown, hidden = levels_after(0.7), levels_after(1.0)
    assert hidden > 0.04  # with so few clicks a fifth more is within chance, and followed
    assert abs(shown) < hidden / 2
