"""Rules of outcomes: each that landed on a day was attributed or not, for one reason, and the reasons add up."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from ctr_retrain.tasks.ingest.ingest_day import ingest_day, load_ingested_day
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.label.outcome_accounting import REASONS, account_outcomes
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from tests.support.landed_day import impression
from tests.unit.tasks.label.test_label_day import label_rows


def outcome(event_id, ts, kind="click"):
    return {"event_id": event_id, "ts": ts, "kind": kind}


@pytest.fixture
def ingest(store, landing, land_rows, now):
    """Land and ingest a day's impressions and outcomes."""

    def run(recipe, day, impressions, outcomes=()):
        land_rows("impressions", day, [*impressions, impression(f"filler {day}", ts=f"{day}T00:00:00Z")])
        if outcomes:
            land_rows("outcomes", day, outcomes)
        return ingest_day(store, LocalLandingZone(landing), recipe, day, now)

    return run


def test_each_outcome_has_one_reason_and_they_add_up_to_those_that_were_kept(store, ingest, tiny_recipe, day, tmp_path):
    recipe = tiny_recipe(channels={"push": {"more_kinds": {"conversion": 24}}})
    later, last = day + timedelta(days=1), day + timedelta(days=2)
    events = ["good", "again", "early", "late", "old kind", "window"]
    ingest(recipe, day, [impression(event) for event in events], [outcome("again", "2026-03-02T12:00:00Z")])
    outcomes = [
        outcome("good", "2026-03-02T12:00:00Z"),
        outcome("again", "2026-03-02T12:00:00Z"),
        outcome("early", "2026-03-02T09:59:59Z"),
        outcome("window", "2026-03-03T10:00:01Z"),
        outcome("old kind", "2026-03-02T12:00:00Z", "unsubscribe"),
        outcome("old kind", "2026-03-02T12:00:00Z", "conversion"),  # which ads don't label
        outcome("nobody", "2026-03-02T12:00:00Z"),
        outcome("tomorrow", "2026-03-03T12:00:00Z"),
    ]
    ingest(recipe, later, [], outcomes)
    ingest(recipe, last, [impression("tomorrow", ts="2026-03-03T11:00:00Z")], [outcome("late", "2026-03-02T12:00:00Z")])
    found = account_outcomes(store, recipe, later, last, tmp_path)
    assert found == dict.fromkeys(REASONS, 0) | {
        "attributed": 1,
        "duplicate": 1,
        "before_impression": 1,
        "outside_window": 1,
        "kind_not_labelled": 2,
        "unknown_impression": 1,
        "before_impression_landed": 1,
    }
    assert sum(found.values()) == load_ingested_day(store, later).outcomes.kept
    # As of its own end, the impression that lands a day late is not known yet.
    assert account_outcomes(store, recipe, later, later, tmp_path)["unknown_impression"] == 2
    assert account_outcomes(store, recipe, last, last, tmp_path)["landed_too_late"] == 1


def test_several_kinds_give_several_label_columns_null_where_a_channel_has_none(store, ingest, tiny_recipe, day):
    recipe = tiny_recipe(
        channels={"ad": {"more_kinds": {"conversion": 48}}, "push": {"more_kinds": {"dismiss": 1, "unsubscribe": 24}}}
    )
    rows = [impression("ad"), impression("push", channel="push")]
    outcomes = [
        outcome("ad", "2026-03-02T10:30:00Z", "conversion"),
        outcome("push", "2026-03-02T10:30:00Z"),
        outcome("push", "2026-03-02T11:30:00Z", "dismiss"),
        outcome("push", "2026-03-02T11:30:00Z", "unsubscribe"),
    ]
    ingest(recipe, day, rows, outcomes)
    found = {row["event_id"]: row for row in label_rows(store, label_day(store, recipe, day, day))}
    names = ("label", "label_click", "label_conversion", "label_dismiss", "label_unsubscribe")
    assert [found["ad"][name] for name in names] == [0, 0, 1, None, None]
    assert [found["push"][name] for name in names] == [1, 1, None, 0, 1]
    assert [found["ad"]["age_days_conversion"], found["ad"]["age_days_click"]] == [0, None]


def test_outcome_after_its_own_kinds_window_and_grace_changes_nothing_while_another_kind_is_waited_for(
    store, ingest, tiny_recipe, day
):
    recipe = tiny_recipe()  # ads wait a day, pushes three
    later = [day + timedelta(days=number) for number in range(1, 4)]
    ingest(recipe, day, [impression("ad"), impression("push", channel="push")])
    ingest(recipe, later[0], [])
    ingest(recipe, later[1], [], [outcome(event, "2026-03-02T12:00:00Z") for event in ("ad", "push")])
    ingest(recipe, later[2], [])
    found = {row["event_id"]: row["label"] for row in label_rows(store, label_day(store, recipe, day, later[2]))}
    assert (found["ad"], found["push"]) == (0, 1)


def test_positive_kind_is_none_of_the_further_kinds(tiny_recipe):
    with pytest.raises(ValidationError, match="expected others than positive_kind, received 'click'"):
        tiny_recipe(channels={"ad": {"more_kinds": {"click": 48}}})
