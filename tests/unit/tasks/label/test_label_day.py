"""Rules of labels: an outcome within the window that had landed makes a positive, and an old day can be replayed."""

import json
from dataclasses import asdict
from datetime import timedelta
from functools import partial

import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.data.label_landings import LABEL_FORMAT, impression_landings, label_definition, outcome_landings
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.label.label_days import label_days
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.conftest import encoded
from tests.support.labelled_day import label_rows, label_table
from tests.support.landed_day import impression
from tests.support.stored import read_manifest


def ingest_rows(root, landing, now, recipe, day, impressions, outcomes=()):
    """Land impressions and outcomes on a day and ingest it: tuples of id, channel or kind, and time."""
    rows = [
        {"event_id": event, "ts": ts, "user_id": "u", "channel": channel, "campaign_id": "c"}
        for event, channel, ts in impressions
    ]
    found = [{"event_id": event, "kind": kind, "ts": ts} for event, kind, ts in outcomes]
    for stream, landed in (("impressions", rows), ("outcomes", found)):
        if landed:
            file = landing / stream / f"dt={day}" / "part.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded(landed, file.name))
    return ingest_day(root, LocalLandingZone(landing), recipe, day, now)


@pytest.fixture
def ingest(store, landing, now):
    """Land impressions and outcomes on a day and ingest it."""
    return partial(ingest_rows, store, landing, now)


def labels(store, recipe, event_day, as_of):
    labelled = label_day(store, recipe, event_day, as_of)
    rows = label_rows(store, labelled)
    assert labelled.rows == len(rows)
    assert labelled.positives == sum(row["label"] for row in rows)
    return labelled, {row["event_id"]: row["label"] for row in rows}


TEN, ELEVEN, EARLY = "2026-03-02T10:00:00Z", "2026-03-02T11:00:00Z", "2026-03-02T09:00:00Z"
# Of each event its channel, the outcomes that land on the day and one and three days later, and the label of all.
OUTCOMES = {
    "at once": ("ad", {0: [("click", TEN)]}, 1),
    "edge": ("ad", {1: [("click", "2026-03-03T10:00:00Z")]}, 1),
    "over": ("ad", {1: [("click", "2026-03-03T10:00:00.000001Z")]}, 0),
    "before": ("ad", {0: [("click", "2026-03-02T09:59:59.999999Z")]}, 0),
    "other kind": ("ad", {0: [("dismissal", TEN)]}, 0),
    "nothing": ("ad", {}, 0),
    "push late": ("push", {3: [("click", "2026-03-05T10:00:00Z")]}, 1),
    "push over": ("push", {3: [("click", "2026-03-05T10:00:00.000001Z")]}, 0),
    "twice in a file, again, and another kind": (
        "ad",
        {0: [("click", ELEVEN)] * 2, 1: [("click", ELEVEN), ("dismissal", "2026-03-02T12:00:00Z")]},
        1,
    ),
    "earliest of one file": ("ad", {0: [("click", EARLY), ("click", ELEVEN)]}, 0),
    "earliest of two days": ("ad", {0: [("click", ELEVEN)], 1: [("click", EARLY)]}, 0),
}


@pytest.fixture(scope="module")
def known_outcomes(tmp_path_factory, tiny_recipe, day, now):
    """Labels of the events of OUTCOMES, once all has landed."""
    folder, recipe = tmp_path_factory.mktemp("known"), tiny_recipe()
    store, landing = LocalStore(folder / "root"), folder / "landing"
    for later in (0, 1, 3):
        landed = day + timedelta(days=later)
        shown = [(event, channel, TEN) for event, (channel, *_) in OUTCOMES.items()]
        found = [(event, *one) for event, (_, by_day, _) in OUTCOMES.items() for one in by_day.get(later, [])]
        rows = [(f"filler {landed}", "ad", f"{landed}T10:00:00Z")] if later else shown
        ingest_rows(store, landing, now, recipe, landed, rows, [*found, ("unknown", "click", ELEVEN)])
    return labels(store, recipe, day, day + timedelta(days=3))[1]


@pytest.mark.parametrize("event", OUTCOMES)
def test_the_earliest_outcome_of_the_kind_counts_within_the_window_of_which_both_ends_belong_to_it(
    known_outcomes, event
):
    assert known_outcomes[event] == OUTCOMES[event][2]


def test_outcomes_that_come_twice_or_for_nobody_make_no_row(known_outcomes):
    assert known_outcomes.keys() == OUTCOMES.keys()


def test_kind_that_counts_is_the_channels_own(store, ingest, tiny_recipe, day):
    recipe = tiny_recipe(channels={"push": {"positive_kind": "open"}})
    ten, eleven = "2026-03-02T10:00:00Z", "2026-03-02T11:00:00Z"
    events = [("ad", "ad", ten), ("push", "push", ten), ("pushed", "push", ten)]
    ingest(recipe, day, events, [("ad", "open", eleven), ("push", "click", eleven), ("pushed", "open", eleven)])
    assert labels(store, recipe, day, day)[1] == {"ad": 0, "push": 0, "pushed": 1}


def test_outcome_that_landed_late_changes_the_labels_of_a_young_day_alone(store, ingest, tiny_recipe, day):
    recipe = tiny_recipe()
    days = [day + timedelta(days=number) for number in range(6)]
    ingest(recipe, days[0], [("a", "ad", "2026-03-02T10:00:00Z"), ("b", "push", "2026-03-02T10:00:00Z")])
    young, found = labels(store, recipe, days[0], days[0])
    assert found == {"a": 0, "b": 0}
    for number, later in enumerate(days[1:]):
        clicks = [("a", "click", "2026-03-02T12:00:00Z")] if number == 0 else []
        ingest(recipe, later, [(f"filler {later}", "ad", f"{later}T10:00:00Z")], clicks)
    next_day, found = labels(store, recipe, days[0], days[1])
    assert found == {"a": 1, "b": 0}
    assert next_day.path != young.path
    # 72 hours, so the three days after may bring outcomes; then the day is mature and is computed once.
    paths = [labels(store, recipe, days[0], as_of)[0].path for as_of in days]
    assert len(set(paths)) == 4
    assert paths[3] == paths[4] == paths[5]
    written = (store.open(paths[3]) / "manifest.json").stat()
    labels(store, recipe, days[0], days[5])
    assert (store.open(paths[3]) / "manifest.json").stat() == written


def test_old_day_replayed_gives_the_same_object_and_the_same_content(store, ingest, tiny_recipe, day):
    recipe, later = tiny_recipe(), day + timedelta(days=1)
    ingest(recipe, day, [("b", "ad", "2026-03-02T10:00:00Z"), ("a", "ad", "2026-03-02T10:00:00Z")])
    first, _ = labels(store, recipe, day, day)
    content = read_manifest(store.open(first.path))["files"]
    ingest(recipe, later, [("c", "ad", f"{later}T10:00:00Z")], [("a", "click", "2026-03-02T12:00:00Z")])
    assert labels(store, recipe, day, later)[1] == {"a": 1, "b": 0}
    folder = store.open(first.path)
    (folder / "manifest.json").unlink()  # as if it had been collected: made anew, byte by byte
    again, found = labels(store, recipe, day, day)
    assert again == first
    assert found == {"a": 0, "b": 0}
    assert read_manifest(store.open(first.path))["files"] == content


def test_the_ref_of_each_landing_day_is_read_once_for_the_labels_of_several_event_days(
    store, ingest, tiny_recipe, day, monkeypatch
):
    recipe, days = tiny_recipe(), day_range(day, day + timedelta(days=2))
    for one in days:
        ingest(recipe, one, [(f"of {one}", "ad", f"{one}T10:00:00Z")], [(f"of {one}", "click", f"{one}T11:00:00Z")])
    read, asked = store.read_ref, []
    monkeypatch.setattr(store, "read_ref", lambda name: asked.append(name) or read(name))
    for _ in ("new", "published"):
        asked.clear()
        found = label_days(store, recipe, days, days[-1], FanOut("threads", 2))
        assert [(one, found[one].rows, found[one].positives) for one in days] == [(one, 1, 1) for one in days]
        assert {layout.day_ref(one) for one in days} <= set(asked)
        assert sorted(asked) == sorted(set(asked))


def test_impression_that_landed_late_is_labelled_on_its_own_day(store, ingest, tiny_recipe, day):
    recipe, later = tiny_recipe(), day + timedelta(days=1)
    ingest(recipe, day, [("a", "ad", "2026-03-02T10:00:00Z")])
    ingest(
        recipe,
        later,
        [("late", "ad", "2026-03-02T23:00:00Z"), ("next", "ad", f"{later}T00:00:00Z")],
        [("late", "click", f"{later}T01:00:00Z")],
    )
    assert labels(store, recipe, day, day)[1] == {"a": 0}
    assert labels(store, recipe, day, later)[1] == {"a": 0, "late": 1}
    assert labels(store, recipe, later, later)[1] == {"next": 0}


def test_event_that_lands_on_two_days_counts_once_and_the_earliest_landing_wins(store, ingest, tiny_recipe, day):
    recipe, later = tiny_recipe(landing={"late_days": 2}), day + timedelta(days=1)
    last = later + timedelta(days=1)
    ingest(recipe, day, [("a", "ad", "2026-03-02T10:00:00Z"), ("moved", "ad", "2026-03-01T23:00:00Z")])
    ingest(recipe, later, [("a", "push", "2026-03-02T11:00:00Z"), ("moved", "ad", "2026-03-02T12:00:00Z")])
    ingest(recipe, last, [("a", "push", "2026-03-02T11:00:00Z"), ("b", "ad", "2026-03-02T12:00:00Z")])
    labelled, found = labels(store, recipe, day, last)
    assert found == {"a": 0, "b": 0}  # `moved` belongs to the day before, as its first landing says
    channels = [row["channel"] for row in label_rows(store, labelled)]
    assert channels == ["ad", "ad"]


def test_event_that_lands_again_with_its_time_on_another_day_counts_where_it_landed_first(
    store, ingest, tiny_recipe, day
):
    # Event: its landing days and the days of its time there, as days after `day`; and where it counts.
    moved = {
        "next day": ([(0, 0), (1, 1)], [0]),
        "late at first": ([(1, 0), (2, 2)], [0]),
        "again and again": ([(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)], [0]),
        "last days": ([(1, 1), (2, 2)], [1]),
        "long ago": ([(0, 0), (2, 2)], [0, 2]),  # longer than late files are waited for: another event
    }
    recipe, days = tiny_recipe(), [day + timedelta(days=number) for number in range(3)]
    for number, landed in enumerate(days):
        again = [
            (event, "ad", f"{days[at]}T10:00:00Z")
            for event, (landings, _) in moved.items()
            for where, at in landings
            if where == number
        ]
        ingest(recipe, landed, [(f"own {number}", "ad", f"{landed}T10:00:00Z"), *again])
    found = [labels(store, recipe, event_day, days[-1])[1] for event_day in days]
    counted = {event: [number for number, rows in enumerate(found) if event in rows] for event in moved}
    assert counted == {event: days_counted for event, (_, days_counted) in moved.items()}
    assert all(f"own {number}" in rows for number, rows in enumerate(found))


def test_labels_are_made_anew_where_an_earlier_landing_changed_and_not_where_a_later_one_did(
    store, ingest, tiny_recipe, day
):
    recipe, before, after = tiny_recipe(), day - timedelta(days=1), day + timedelta(days=4)  # when all is final
    earlier = ingest(recipe, before, [("x", "ad", f"{before}T10:00:00Z")])
    landed = ingest(recipe, day, [("a", "ad", f"{day}T10:00:00Z"), ("b", "ad", f"{day}T11:00:00Z")])
    first, found = labels(store, recipe, day, after)
    assert set(found) == {"a", "b"}
    assert read_manifest(store.open(first.path))["inputs"] == sorted([earlier.path, landed.path])
    ingest(recipe, after, [("a", "ad", f"{after}T10:00:00Z")])
    assert labels(store, recipe, day, after)[0] == first
    ingest(recipe, before, [("x", "ad", f"{before}T10:00:00Z"), ("a", "ad", f"{before}T23:59:59Z")])
    assert set(labels(store, recipe, day, after)[1]) == {"b"}


def test_files_of_a_label_object_have_one_schema_whatever_is_missing_or_left_out(
    store, landing, land_rows, tiny_recipe, day, now
):
    recipe, later, ten = tiny_recipe(), day + timedelta(days=1), f"{day}T10:00:00Z"
    land_rows("impressions", day, [impression("a", ts=ten)])
    again = [impression("a", ts=ten), impression("b", ts=ten, device=None)]  # of which the first is left out
    land_rows("impressions", later, [*again, impression("c", ts=f"{later}T10:00:00Z")])
    for landed in (day, later):
        ingest_day(store, LocalLandingZone(landing), recipe, landed, now)
    labelled = label_day(store, recipe, day, later)
    assert label_table(store, labelled)["event_id"].to_pylist() == ["a", "b"]
    files = sorted(store.open(labelled.path).glob(f"{day}-*.parquet"))
    one_landing, other_landing = (pq.read_schema(file) for file in files)
    assert one_landing.equals(other_landing, check_metadata=True)


def test_rows_stand_in_the_order_in_which_they_landed_and_a_later_day_adds_behind_them(store, ingest, tiny_recipe, day):
    recipe, later = tiny_recipe(), day + timedelta(days=1)
    ingest(recipe, day, [(event, "ad", "2026-03-02T10:00:00Z") for event in "zab"])
    young, _ = labels(store, recipe, day, day)
    assert [row["event_id"] for row in label_rows(store, young)] == ["z", "a", "b"]
    ingest(recipe, later, [("c", "ad", "2026-03-02T01:00:00Z"), ("n", "ad", f"{later}T01:00:00Z")])
    older, _ = labels(store, recipe, day, later)
    assert [row["event_id"] for row in label_rows(store, older)] == ["z", "a", "b", "c"]
    assert [row["landed_days_late"] for row in label_rows(store, older)] == [0, 0, 0, 1]
    assert {file.name for file in store.open(older.path).iterdir()} == {
        "manifest.json",
        f"{day}-0000.parquet",
        f"{day}-0001.parquet",
        "arrivals.parquet",
        "summary.json",
    }


def test_inline_label_is_taken_as_it_stands_and_is_final_at_once(store, landing, land_rows, tiny_recipe, day, now):
    recipe = tiny_recipe(landing={"columns": {"label": "clicked"}})
    row = {"ts": "2026-03-02T10:00:00Z", "user_id": "u", "channel": "ad", "campaign_id": "c"}
    land_rows("impressions", day, [{**row, "event_id": "a", "clicked": "1"}, {**row, "event_id": "b", "clicked": "0"}])
    land_rows("outcomes", day, [{"event_id": "b", "ts": "2026-03-02T10:00:01Z", "kind": "click"}])
    ingest_day(store, LocalLandingZone(landing), recipe, day, now)
    first, found = labels(store, recipe, day, day)
    assert found == {"a": 1, "b": 0}
    assert labels(store, recipe, day, day + timedelta(days=9))[0] == first


def test_label_definition_is_part_of_the_objects_name(store, ingest, tiny_recipe, day):
    recipe = tiny_recipe()
    ingest(recipe, day, [("a", "ad", "2026-03-02T10:00:00Z")], [("a", "click", "2026-03-02T13:00:00Z")])
    shorter = tiny_recipe(channels={"ad": {"attribution_window_hours": 2}})
    assert labels(store, recipe, day, day)[1] == {"a": 1}
    assert labels(store, shorter, day, day)[1] == {"a": 0}
    assert label_definition(recipe) != label_definition(shorter)


def test_label_definition_keeps_the_names_that_keys_of_before_were_made_of(tiny_recipe):
    assert asdict(label_definition(tiny_recipe())) == {
        "layout": LABEL_FORMAT,
        "channels": {"ad": {"click": 24.0}, "push": {"click": 72.0}},
        "positive": {"ad": "click", "push": "click"},
        "inline": "",
        "late_days": 1,
        "grace_days": 0,
    }


def test_manifest_names_the_landed_days_that_went_in(store, ingest, tiny_recipe, day):
    recipe = tiny_recipe()
    landed = ingest(recipe, day, [("a", "ad", "2026-03-02T10:00:00Z")])
    manifest = read_manifest(store.open(labels(store, recipe, day, day)[0].path))
    assert manifest["inputs"] == [landed.path]
    assert json.dumps(manifest["event_day"]) == f'"{day}"'


def test_summary_without_a_version_is_read_and_one_of_a_newer_version_is_refused(store, ingest, tiny_recipe, day):
    recipe = tiny_recipe()
    ingest(recipe, day, [("a", "ad", "2026-03-02T10:00:00Z")])
    found = label_day(store, recipe, day, day)
    file = store.open(found.path) / "summary.json"
    summary = json.loads(file.read_text(encoding="utf-8"))
    assert summary["format"] == 1
    file.write_text(json.dumps({key: summary[key] for key in summary if key != "format"}), encoding="utf-8")
    assert label_day(store, recipe, day, day) == found
    file.write_text(json.dumps({**summary, "format": 2}), encoding="utf-8")
    with pytest.raises(StorageError, match=r"summary\.json under .*: expected format 1, received format 2"):
        label_day(store, recipe, day, day)


def test_day_that_was_not_ingested_has_no_labels(store, tiny_recipe, day):
    with pytest.raises(DataRejectedError, match=rf"expected the day to be ingested.*ingest --date {day}"):
        label_day(store, tiny_recipe(), day, day)


def test_landings_that_may_hold_a_days_events_end_with_the_run(tiny_recipe, day):
    recipe = tiny_recipe(landing={"late_days": 2, "grace_days": 1})
    assert impression_landings(day, day, recipe) == (day,)
    assert len(impression_landings(day, day + timedelta(days=30), recipe)) == 1 + 2
    assert outcome_landings(day, day + timedelta(days=2), recipe)[-1] == day + timedelta(days=2)
    assert len(outcome_landings(day, day + timedelta(days=30), recipe)) == 1 + 3 + 1  # 72 hours and a day of grace
    assert outcome_landings(day, day, tiny_recipe(landing={"columns": {"label": "x"}})) == ()
