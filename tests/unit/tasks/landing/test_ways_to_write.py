"""Rules of other people's ways to write: labels, times, nothing, decimal marks, days of a zone, late rotations."""

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.data.profile import measure_day
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.split_by_day import land_file
from tests.support.landed_day import clean, impression, ingest, quarantined, rows_of

AT = datetime(2026, 3, 2, 10)  # noqa: DTZ001 - UTC, as the store keeps it
YES, NO = ("1", "1.0", "true", "True", "TRUE", "t", "Y", "yes"), ("0", "0.0", "false", "False", "f", "N", "no", "-0")
NAMES = ("a.jsonl", "a.csv", "a.parquet")
MARKERS = ("", "\\N", "NULL", "NA", "None", "#N/A", "nan", " null ")


def test_a_label_is_yes_or_no_in_every_way_to_write_it_and_a_marker_of_nothing_is_no_label(
    store, landing, land_rows, tiny_recipe, day, now
):
    recipe = tiny_recipe(landing={"columns": {"label": "clicked"}})
    for name in NAMES:
        ways = enumerate((*YES, *NO, *MARKERS, "2", "2026-03-02"))
        land_rows("impressions", day, [impression(f"{name}{n:02}", clicked=value) for n, value in ways], name)
    found = ingest(store, landing, recipe, day, now)
    labels = {row["event_id"]: row["label"] for row in rows_of(store, day, "impressions")}
    for name in NAMES:
        own = [label for event, label in labels.items() if event.startswith(name)]
        assert own == [1] * len(YES) + [0] * len(NO) + [None] * len(MARKERS), name
    assert found.without_label == len(NAMES) * len(MARKERS)
    refused = {(row["file"], row["value"]) for row in quarantined(store, day)}
    assert refused == {(name, value) for name in NAMES for value in ("2", "2026-03-02")}
    labelled = label_day(store, recipe, day, day)
    assert (labelled.rows, labelled.positives) == (len(NAMES) * (len(YES) + len(NO)), len(NAMES) * len(YES))
    (total,) = {(row["rows"], row["labelled"], row["positives"]) for row in rows_of(store, day, "profile.parquet")}
    assert total == (3 * 24, 3 * 16, 3 * 8)


def test_a_typed_label_is_read_and_its_null_is_no_label(landing, tiny_recipe, day):
    recipe = tiny_recipe(landing={"columns": {"label": "clicked"}})
    folder = landing / "impressions" / f"dt={day}"
    folder.mkdir(parents=True)
    for number, labels in enumerate(([True, False, None], [1.0, 0.0, None])):
        rows = [impression(f"{number}{place}") for place in range(3)]
        table = pa.Table.from_pylist(rows).append_column("clicked", pa.array(labels))
        pq.write_table(table, folder / f"{number}.parquet")
    assert [row["label"] for row in clean(landing, recipe, day).rows] == [1, 0, None, 1, 0, None]


ISO_8601 = [
    "2026-03-02T10:00:00Z",
    "2026-03-02t10:00:00z",
    "20260302T100000Z",
    "20260302T1000Z",
    "20260302T110000+0100",
    "20260302T110000.000+01:00",
    "2026-03-02T11:00:00+01:00[Europe/Berlin]",
    "2026-03-02T11:00:00[Europe/Berlin]",
    "2026-03-02 10:00:00,000Z",
    "2026-03-02 11:00:00 +01:00",
    " 2026-03-02T10:00:00Z ",
]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_iso_8601_is_read_in_the_forms_that_people_write(landing, land_rows, tiny_recipe, day, name):
    land_rows("impressions", day, [impression(written, ts=written) for written in ISO_8601], name)
    assert clean(landing, tiny_recipe(), day).became("ts") == dict.fromkeys(ISO_8601, AT)


def test_what_is_no_iso_8601_is_quarantined_with_its_value(landing, land_rows, tiny_recipe, day):
    wrong = ["1772445600", "1772445600000", "17724456", "2026-13-01T00:00:00Z", "tomorrow"]
    land_rows("impressions", day, [impression("a"), *(impression(written, ts=written) for written in wrong)])
    bad = clean(landing, tiny_recipe(), day).quarantined
    assert [(row["reason"], row["value"]) for row in bad] == [("ts_unreadable", written) for written in wrong]


def test_the_two_streams_may_write_time_differently(store, landing, land_rows, tiny_recipe, day, now):
    recipe = tiny_recipe(landing={"time": "epoch_s", "outcome_time": "iso"})
    land_rows("impressions", day, [impression("a", ts="1772445600")])
    land_rows("outcomes", day, [{"event_id": "a", "ts": "2026-03-02T10:05:00Z", "kind": "click"}])
    assert ingest(store, landing, recipe, day, now).attribution.found == 1
    assert label_day(store, recipe, day, day).positives == 1


def test_decimal_marks_and_texts_that_mean_nothing_are_read_as_the_recipe_says(
    store, landing, land_rows, tiny_recipe, day, now
):
    recipe = tiny_recipe(landing={"decimal": ",", "null_values": ["-", "k. A."]})
    rows = [("1,5", "ios"), ("-", "-"), ("k. A.", "NA"), ("1.234,5", "web"), ("7", "web")]
    land_rows("impressions", day, [impression(str(n), bid=bid, device=d) for n, (bid, d) in enumerate(rows)], "a.csv")
    found = ingest(store, landing, recipe, day, now)
    kept = rows_of(store, day, "impressions")
    assert [row["bid"] for row in kept] == [1.5, None, None, None, 7.0]
    assert [row["device"] for row in kept] == ["ios", None, "NA", "web", "web"]  # NA is a country
    assert found.unreadable_values["bid"].example == "1.234,5"


def test_a_row_without_a_campaign_has_the_one_that_the_recipe_gives_it_or_is_quarantined(
    landing, land_rows, tiny_recipe, day
):
    campaigns = ["c1", "", "-", "none", " "]
    for name in NAMES:
        rows = [impression(f"{name}{n}", campaign_id=campaign) for n, campaign in enumerate(campaigns)]
        without = {k: v for k, v in impression(f"{name}5").items() if k != "campaign_id"}
        land_rows("impressions", day, [*rows, without], name)
    rules = {"null_values": ["-"]}
    found = clean(landing, tiny_recipe(landing={**rules, "missing_campaign": "none"}), day)
    assert found.impressions.quarantined == 0
    refused = clean(landing, tiny_recipe(landing=rules), day)
    for name in NAMES:
        given = [campaign for event, campaign in found.became("campaign_id").items() if event.startswith(name)]
        assert given == ["c1", *["none"] * 3, " ", "none"], name
        kept = [campaign for event, campaign in refused.became("campaign_id").items() if event.startswith(name)]
        assert kept == ["c1", "none"], name
        reasons = [row["reason"] for row in refused.quarantined if row["file"] == name]
        assert reasons == ["campaign_id_missing"] * 4, name


def test_an_outcome_may_be_a_time_alone(land_rows, landing, store, tiny_recipe, day, now):
    recipe = tiny_recipe(landing={"outcomes": [{"kind": "click", "ts": "clicked"}]})
    times = {"a": "2026-03-02T10:05:00Z", "b": "", "c": "NULL", "d": "2026-03-03T09:00:00Z", "e": "soon"}
    source = land_rows("x", "y", [impression(event, clicked=time) for event, time in times.items()], "log.csv")
    answer = land_file(source, recipe, LocalLandingZone(landing))
    assert {str(landed): rows for landed, rows in answer.outcomes.items()} == {"2026-03-02": 2, "2026-03-03": 1}
    ingest(store, landing, recipe, day, now)
    assert [row["event_id"] for row in rows_of(store, day, "outcomes")] == ["a"]
    assert [(row["reason"], row["value"]) for row in quarantined(store, day)] == [("ts_unreadable", "soon")]
    same = tiny_recipe(landing={"outcomes": [{"kind": "click", "column": "clicked", "ts": "clicked"}]})
    assert land_file(source, same, LocalLandingZone(landing)).outcomes == answer.outcomes


def test_a_row_after_midnight_belongs_to_its_own_day_though_the_logger_changed_files_late(
    store, landing, land_rows, tiny_recipe, day, now
):
    recipe, next_day = tiny_recipe(landing={"early_minutes": 5}), day + timedelta(days=1)
    rows = [impression(ts, ts=f"{next_day}T{ts}Z") for ts in ("00:04:59", "00:05:00")]
    land_rows("impressions", day, [impression("a"), *rows])
    land_rows("outcomes", day, [{"event_id": "00:04:59", "ts": f"{next_day}T00:04:59.5Z", "kind": "click"}])
    land_rows("impressions", next_day, [impression("b", ts=f"{next_day}T10:00:00Z")])
    ingest(store, landing, recipe, day, now)
    ingest_day(store, LocalLandingZone(landing), recipe, next_day, now)
    assert [row["reason"] for row in quarantined(store, day)] == ["ts_in_future"]
    labels = [label_day(store, recipe, event_day, next_day) for event_day in (day, next_day)]
    assert [(label.rows, label.positives) for label in labels] == [(1, 0), (2, 1)]


@pytest.mark.parametrize(
    ("zone", "first"), [("America/New_York", "2026-03-02T05:00:00Z"), ("Asia/Kolkata", "2026-03-01T18:30:00Z")]
)
def test_a_landing_day_may_be_cut_by_a_zone_and_event_days_stay_utc(
    store, landing, land_rows, tiny_recipe, day, now, zone, first
):
    recipe = tiny_recipe(landing={"day_zone": zone, "late_days": 0})
    begins = datetime.fromisoformat(first)
    ends = begins + timedelta(days=1)
    times = [begins + timedelta(hours=hour) for hour in range(24)] + [ends - timedelta(seconds=1)]
    times += [begins - timedelta(seconds=1), ends]
    land_rows("impressions", day, [impression(str(n), ts=time.isoformat()) for n, time in enumerate(times)])
    found = ingest(store, landing, recipe, day, now)
    assert (found.impressions.kept, found.impressions.quarantined) == (25, 2)
    assert {row["reason"] for row in quarantined(store, day)} == {"ts_too_old", "ts_in_future"}
    profile = rows_of(store, day, "profile.parquet")
    assert all(row["own_day"] for row in profile)
    assert {row["event_day"] for row in profile} == {begins.date(), ends.date()}
    measured = measure_day(pa.Table.from_pylist(profile), day, recipe, (found.impressions, found.outcomes), 0)
    assert (measured["rows"], measured["hours_covered"]) == (25, 24)
    assert measured["hours_since_last_event"] == pytest.approx(1 / 3600)
