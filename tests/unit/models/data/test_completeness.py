"""Rules of completeness: a landing day whose outcomes are missing is found on the day itself, and nothing else is one.

The world is drawn count by count; a year takes half a second.
"""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from ctr_retrain.models.data.completeness import (
    NEW_LEVEL_DAYS,
    Arrived,
    Completeness,
    Shortfall,
    arrived,
    find_shortfalls,
)
from ctr_retrain.models.data.expected_outcomes import Landing
from tests.support.counts import draws
from tests.support.landed_outcomes import PAIRS, Fault, Traffic, simulate

FOUND_ON = 20  # the day on which a file is missing, with twenty days before it
LEARNT = FOUND_ON - 2  # days that teach before any is judged, where what happens earlier is no part of the rule
AD, PUSH = (frozenset({pair}) for pair in PAIRS)
BOTH = AD | PUSH


def judged(world, min_history=7):
    return find_shortfalls(world.arrivals, world.slices, world.days, set(world.days), min_history)


def short_days(world):
    return {short.day for short in judged(world).shortfalls}


def found(traffic, faults, trials, days=FOUND_ON + 1, on=FOUND_ON):
    """The share of worlds in which the day is found incomplete, in all pairs."""
    hits = 0
    for trial in range(trials):
        world = simulate(traffic, days, [trial, traffic.rows], faults)
        hits += any(short.day == world.day(on) and short.pairs == BOTH for short in judged(world, LEARNT).shortfalls)
    return hits / trials


# --- by hand


def test_expected_are_the_impressions_of_each_age_times_the_share_that_landed_at_it():
    days = [date(2026, 3, day) for day in range(1, 12)]
    # Of 1,000 impressions 60 outcomes land on the day itself and 40 on the next; on the last day 25 of both together.
    own = [Arrived(day, 1000, (60, 40)) for day in days[:-2]]
    own += [Arrived(days[-2], 1000, (60, 10)), Arrived(days[-1], 1000, (15, 0))]
    (short,) = find_shortfalls({("ad", "click"): own}, {}, days, set(days), 7).shortfalls
    assert (short.day, short.pairs, short.landing.received) == (days[-1], {("ad", "click")}, 25)
    assert short.landing.expected == pytest.approx(100)
    assert short.landing.missing_share == pytest.approx(0.75)
    # No variation from day to day but that of the first, on which nothing of the day before landed.
    assert -10.2 < short.landing.z < -3.5


def test_days_are_counted_by_the_age_at_which_the_outcome_landed():
    names = ("channel", "kind", "hour", "days_late", "age_days", "rows")
    rows = [
        ("ad", "click", 1, 0, 0, 5), ("ad", "click", 2, 0, 0, 4), ("ad", "click", 2, 0, 1, 3),
        ("ad", "click", 2, -1, -1, 1), ("ad", "click", 2, 0, None, 90), ("push", "click", 2, 0, 0, 7),
    ]  # fmt: skip
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    assert arrived(table, date(2026, 3, 2), "ad", "click", 1) == Arrived(date(2026, 3, 2), 103, (10, 3))


def test_event_days_lack_a_landing_day_only_at_ages_at_which_outcomes_land():
    landing = date(2026, 3, 10)
    short = Shortfall(landing, AD, Landing(100.0, 20, -9.0))
    found = Completeness((short,), {("ad", "click"): frozenset({0, 1}), ("push", "click"): frozenset({0, 1, 2})})
    lacking = {days: found.lacking(landing - timedelta(days=days), "ad", "click", landing) for days in (-1, 0, 1, 2)}
    assert lacking == {-1: (), 0: (landing,), 1: (landing,), 2: ()}
    assert found.lacking(landing, "push", "click", landing) == ()
    assert found.lacking(landing, "ad", "click", landing - timedelta(days=1)) == ()


def test_without_days_of_history_nothing_is_expected():
    world = simulate(Traffic(), 7, 1, [Fault(6, 6, 1.0, landing=True)])
    assert judged(world).shortfalls == ()
    assert [short.day for short in judged(world, min_history=6).shortfalls] == [world.day(6)]


# --- power: by volume, the share of outcomes that must be missing


@pytest.mark.parametrize(
    ("rows", "lost", "least"),
    [
        (2_000, 1.0, 0.98),
        (2_000, 0.75, 0.75),
        (6_000, 0.5, 0.75),
        (25_000, 0.4, 0.75),
        (25_000, 0.5, 0.98),
        (1_000_000, 0.4, 0.8),
    ],
)
def test_a_missing_file_is_found_on_the_day_itself(rows, lost, least):
    missing = Fault(FOUND_ON, FOUND_ON, lost, landing=True)
    assert found(Traffic(rows, weekend_delay=0.08), [missing], draws(10, 400)) >= least


@pytest.mark.parametrize(
    "fault",
    [
        Fault(20, 35, 0.4, device="android"),
        Fault(20, 35, 0.4, channel="ad"),
        Fault(20, 35, 1.0, device="android"),
        Fault(22, 28, 0.5, device="android"),  # one that ended
    ],
    ids=str,
)
def test_a_missing_file_is_found_beside_a_fault_that_has_moved_the_level(fault):
    missing = Fault(35, 35, 0.5, landing=True)
    assert found(Traffic(weekend_delay=0.08), [fault, missing], draws(8, 200), days=36, on=35) >= 0.85


def test_a_file_that_landed_later_after_all_leaves_no_trace():
    fault = Fault(FOUND_ON, FOUND_ON, 1.0, landing=True)
    world = simulate(Traffic(), FOUND_ON + 5, 3, [fault])
    assert short_days(world) == {world.day(FOUND_ON)}
    assert short_days(simulate(Traffic(), FOUND_ON + 5, 3)) == set()


# --- nothing else is a missing file


@pytest.mark.parametrize("rows", [2_000, 25_000, 1_000_000])
@pytest.mark.parametrize("weekend_delay", [0.0, 0.5])
def test_false_alarms_are_fewer_than_one_in_two_years(rows, weekend_delay):
    years, days, alarms = draws(1, 40), draws(200, 365), 0
    for year in range(years):
        holidays = (96, 97, 140, 185, 186, 187, 230, 300, 340, 341)
        traffic = Traffic(rows, weekend_delay=weekend_delay, holidays=holidays)
        alarms += len(short_days(simulate(traffic, days, [year, rows])))
    assert alarms <= max(1, 0.5 * years)  # of a single year, one says nothing yet


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FOUND_ON, FOUND_ON, 0.4, device="android"),
        Fault(FOUND_ON, FOUND_ON, 0.9, device="android"),
        Fault(FOUND_ON, FOUND_ON, 1.0, device="web"),
        Fault(FOUND_ON, FOUND_ON, 0.4, channel="ad"),
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [25_000, 1_000_000])
def test_one_devices_logger_and_one_channels_ratio_are_no_missing_file(rows, fault):
    assert found(Traffic(rows), [fault], draws(25, 400)) <= 0.05


@pytest.mark.parametrize("rows", [25_000, 1_000_000])
def test_bots_are_no_missing_file(rows):
    assert found(Traffic(rows, bots=(FOUND_ON,)), [], draws(25, 400)) <= 0.05


def test_a_channel_whose_own_file_is_missing_is_incomplete_alone():
    world = simulate(Traffic(), FOUND_ON + 1, 4, [Fault(FOUND_ON, FOUND_ON, 1.0, channel="push", landing=True)])
    assert [(short.day, short.pairs) for short in judged(world).shortfalls] == [(world.day(FOUND_ON), PUSH)]


def test_days_that_were_incomplete_teach_nothing_until_a_week_of_them_is_the_level():
    lost = simulate(Traffic(), 45, 5, [Fault(FOUND_ON, 44, 0.6, landing=True)])
    first = [lost.day(FOUND_ON + days) for days in range(NEW_LEVEL_DAYS)]
    assert sorted(short_days(lost)) == first
    # Back again: more than the level is nothing that is missing.
    back = simulate(Traffic(), 45, 5, [Fault(FOUND_ON, 33, 0.6, landing=True)])
    assert sorted(short_days(back)) == first


def test_days_that_may_not_teach_are_judged_all_the_same():
    world = simulate(Traffic(), FOUND_ON + 1, 6, [Fault(FOUND_ON, FOUND_ON, 1.0, landing=True)])
    teaching = set(world.days) - {world.day(3), world.day(FOUND_ON)}
    shortfalls = find_shortfalls(world.arrivals, world.slices, world.days, teaching, 7).shortfalls
    assert [short.day for short in shortfalls] == [world.day(FOUND_ON)]
