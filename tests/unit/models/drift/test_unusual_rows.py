"""Rules of unusual rows: a share that rises far above its level is told, and what is as usual is not."""

from datetime import date, timedelta

import numpy as np
import pytest

from ctr_retrain.models.drift.channel_watch import Rules
from ctr_retrain.models.drift.limits import budget_of
from ctr_retrain.models.drift.unusual_rows import RowShares, Share, signal_of_rows, watch_rows
from tests.support.counts import draws

RULES = Rules(budget_of(4), min_effect=0.2, channels=2, new_normal_days=21)
FIRST = date(2026, 3, 2)
USUAL = {
    "duplicates of impressions": 0.004,
    "duplicates of outcomes": 0.0,
    "quarantined impressions": 0.006,
    "nulls of segment": 0.02,
    "nulls of device": 0.0,
    "outcomes without an impression": 0.12,
    "new values of campaign_id": 0.01,
    "new users": 0.3,
}
DUPLICATES = "duplicates of impressions"


def days(number, rows, rng, spread=0.1, faults=()):
    """Days of shares around their usual; faults: name, first day, day after the last, share."""
    for age in range(number):
        shares = {
            name: next((to for one, first, last, to in faults if one == name and first <= age < last), usual)
            * np.exp(rng.normal(0, spread))
            for name, usual in USUAL.items()
        }
        counted = {name: Share(int(rng.binomial(rows, min(share, 1.0))), rows) for name, share in shares.items()}
        yield RowShares(FIRST + timedelta(days=age), counted)


def found(number, rows=25_000, seed=1, **more):
    """Names that are unusual, day by day."""
    shown = watch_rows(list(days(number, rows, np.random.default_rng(seed), **more)), RULES)
    return [[one.name for one in day] for day in shown]


@pytest.mark.parametrize("rows", [2_000, 25_000, 1_000_000])
def test_a_year_as_usual_raises_hardly_anything(rows):
    years = draws(1, 20)
    alarms = [day for seed in range(years) for day in found(365, rows, seed, spread=0.15) if day]
    assert len(alarms) <= 0.2 * years


@pytest.mark.parametrize(
    ("name", "share"),
    [
        (DUPLICATES, 0.03),
        ("duplicates of outcomes", 0.03),
        ("quarantined impressions", 0.03),
        ("nulls of segment", 0.2),
        ("nulls of device", 0.03),
        ("outcomes without an impression", 0.5),
        ("new values of campaign_id", 0.4),
        ("new users", 0.7),
    ],
)
def test_a_share_that_rises_is_told_from_its_first_day_to_its_last(name, share):
    shown = found(50, faults=[(name, 40, 45, share)])
    assert shown == [[]] * 40 + [[name]] * 5 + [[]] * 5


def test_a_share_that_falls_is_nothing():
    assert not any(found(50, faults=[("nulls of segment", 40, 50, 0.0)]))


def test_what_lasts_is_announced_as_the_normal_state_and_then_quiet():
    shown = watch_rows(list(days(70, 25_000, np.random.default_rng(2), faults=[(DUPLICATES, 40, 70, 0.04)])), RULES)
    ends = [age for age, each in enumerate(shown) if any(one.new_normal for one in each)]
    assert ends == [40 + RULES.new_normal_days]
    assert not any(shown[ends[0] + 1 :])
    assert all(shown[40 : ends[0]])


def test_a_fault_that_is_over_hides_no_later_one():
    shown = found(60, faults=[(DUPLICATES, 40, 42, 0.05), (DUPLICATES, 50, 51, 0.03)])
    assert [age for age, each in enumerate(shown) if each] == [40, 41, 50]


def test_the_first_days_and_what_a_day_did_not_count_say_nothing():
    assert not any(found(6, faults=[(DUPLICATES, 5, 6, 0.5)]))
    shown = list(days(41, 25_000, np.random.default_rng(3)))
    assert watch_rows([*shown, RowShares(FIRST + timedelta(days=41), {})], RULES)[-1] == ()


def test_of_new_users_the_signal_says_what_may_be_wrong_with_their_ids():
    shares = list(days(41, 25_000, np.random.default_rng(4), faults=[("new users", 40, 41, 0.8)]))
    (unusual,) = watch_rows(shares, RULES)[-1]
    assert "Check first whether user ids are written in another way" in signal_of_rows(unusual, FIRST).details[0]


def test_a_signal_says_what_since_when_and_what_to_look_at():
    shares = list(days(43, 25_000, np.random.default_rng(4), faults=[(DUPLICATES, 40, 43, 0.03)]))
    (unusual,) = watch_rows(shares, RULES)[-1]
    signal = signal_of_rows(unusual, shares[-1].day, ("And more.",))
    assert (signal.kind, signal.subject, signal.level) == ("rows_unusual", DUPLICATES, "warning")
    assert signal.summary.startswith("Duplicates of impressions: ")
    assert signal.summary.endswith("since 2026-04-11.")
    assert "delivered twice" in signal.details[0]
    assert signal.details[-1] == "And more."
    assert signal.expected[1] < 0.01 < signal.received
