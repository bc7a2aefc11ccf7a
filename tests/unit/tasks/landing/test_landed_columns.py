"""Rules of landed columns: yours become ours by the recipe, and what is missing or of another type is named."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.documents.day_documents import Counts, UnreadableValues
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.ingest.ingest_day import load_ingested_day
from tests.support.landed_day import FORMATS, clean, impression, ingest, quarantined, rows_of


def without(key, *events):
    return [{name: value for name, value in impression(event).items() if name != key} for event in events]


@pytest.mark.parametrize("name", FORMATS)
def test_missing_column_is_named_beside_those_that_came(landing, land_rows, tiny_recipe, day, name):
    required = ("ts", "event_id", "user_id")
    for column in required:
        land_rows("impressions", day, without(column, "a", "b"), f"{column}-{name}")
    with pytest.raises(
        DataRejectedError, match=r"3 unreadable; event_id-.*column missing: expected event_id"
    ) as caught:
        clean(landing, tiny_recipe(), day)
    assert caught.value.exit_code == 3
    assert "[landing.columns]" in str(caught.value)
    for column in required:
        reason = caught.value.details["unreadable"][f"{column}-{name}"]
        assert f"column missing: expected {column}, received " in reason
        assert column not in reason.split("received ")[-1].split(".")[0].split(", ")


def test_file_that_misses_a_required_column_stands_beside_the_rows_of_the_others(landing, land_rows, tiny_recipe, day):
    land_rows("impressions", day, [impression("a")], "good.jsonl")
    land_rows("impressions", day, without("user_id", "b"), "bad.csv")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 1
    assert found.unreadable["impressions/bad.csv"].startswith("column missing: expected user_id, received event_id, ts")


@pytest.mark.parametrize("beside", [0, 2])
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_row_without_a_required_value_costs_that_row_alone_whatever_stands_beside_it(
    landing, land_rows, tiny_recipe, day, ending, beside
):
    land_rows("impressions", day, [impression("good")], "good.jsonl")
    required = ["ts", "event_id", "user_id"]
    for column in required:
        rows = [impression(f"{column} {number}") for number in range(beside)]
        land_rows("impressions", day, [*rows, {**impression("a"), column: None}], f"{column}.{ending}")
    found = clean(landing, tiny_recipe(), day)
    assert found.unreadable == {}
    assert found.impressions == Counts(received=4 + 3 * beside, kept=1 + 3 * beside, duplicates=0, quarantined=3)
    assert {(bad["file"], bad["reason"]) for bad in found.quarantined} == {
        (f"{column}.{ending}", f"{column}_missing") for column in required
    }


def test_optional_column_that_a_file_lacks_is_null_there(landing, land_rows, tiny_recipe, day):
    land_rows("impressions", day, [impression("a")], "1.jsonl")
    land_rows("impressions", day, without("bid", "b"), "2.csv")
    found = clean(landing, tiny_recipe(), day)
    assert {row["event_id"]: row["bid"] for row in found.rows} == {
        "a": 0.5,
        "b": None,
    }


@pytest.mark.parametrize("name", FORMATS)
def test_optional_value_that_cannot_be_read_is_missing_and_counted_and_costs_no_row(
    landing, land_rows, tiny_recipe, day, name
):
    bids = ["0.5", "high", "inf", "", "NULL", "true"]
    land_rows("impressions", day, [impression(str(number), bid=bid) for number, bid in enumerate(bids)], name)
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions == Counts(received=6, kept=6, duplicates=0, quarantined=0)
    assert found.became("bid") == {
        "0": 0.5, "1": None, "2": None, "3": None, "4": None, "5": 1.0
    }  # fmt: skip
    assert found.unreadable_values == {"bid": UnreadableValues(rows=2, values=4, example="high")}


def test_probability_that_cannot_be_one_is_missing_but_confidence_weighs_and_costs_the_row(
    store, landing, land_rows, tiny_recipe, day, now
):
    columns = {"propensity": "p", "confidence": "trust"}
    rows = [impression(str(number), p=p, trust="1") for number, p in enumerate(["0.5", "-3", "1.5", "text", "1"])]
    rows += [impression("x", p="1", trust="much"), impression("y", p="1", trust="2")]
    land_rows("impressions", day, rows)
    found = ingest(store, landing, tiny_recipe(landing={"columns": columns}), day, now)
    kept = sorted(rows_of(store, day, "impressions"), key=lambda row: row["event_id"])
    assert [row["propensity"] for row in kept] == [0.5, None, None, None, 1.0]
    assert found.unreadable_values["propensity"].rows == 3
    refused = {row["reason"]: row["value"] for row in quarantined(store, day)}
    assert refused == {"confidence_wrong_type": "much", "confidence_out_of_range": "2"}


def test_label_of_the_wrong_kind_is_shown_with_its_value_however_long_its_row(
    store, landing, land_rows, tiny_recipe, day, now
):
    recipe = tiny_recipe(landing={"columns": {"label": "clicked"}})
    land_rows("impressions", day, [{**impression("a"), "note": "x" * 400, "clicked": "2026-03-02"}])
    with pytest.raises(DataRejectedError, match=r"label_wrong_type \(1 rows, such as '2026-03-02' in \{") as caught:
        ingest(store, landing, recipe, day, now)
    assert caught.value.details == {"reason": "label_wrong_type"}


def test_files_of_one_day_may_type_a_column_differently(landing, land_rows, tiny_recipe, day):
    folder = land_rows("impressions", day, [impression("text")], "1.jsonl").parent
    for number, (event, ts, bid) in enumerate(
        [("typed", pa.array([day], pa.date32()), 1), ("naive", pa.array([1772445600000000], pa.timestamp("us")), 0.25)]
    ):
        table = pa.table(
            {"event_id": [event], "ts": ts, "user_id": [7], "channel": ["ad"], "campaign_id": ["c"], "bid": [bid]}
        )
        pq.write_table(table, folder / f"{number}.parquet")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 3
    kept = {row["event_id"]: row for row in found.rows}
    assert [kept["typed"]["bid"], kept["naive"]["bid"], kept["naive"]["user_id"]] == [1.0, 0.25, "7"]
    assert kept["naive"]["ts"].isoformat() == "2026-03-02T10:00:00"


def test_unknown_columns_are_reported_and_no_error(store, landing, land_rows, tiny_recipe, day, now):
    land_rows("impressions", day, [{**impression("a"), "zodiac": "leo", "Device": "x"}], "1.jsonl")
    land_rows("impressions", day, [{**impression("b"), "weather": "rain"}], "2.csv")
    found = ingest(store, landing, tiny_recipe(), day, now)
    assert found.impressions.kept == 2
    assert found.unknown_columns == ("weather", "zodiac")
    assert load_ingested_day(store, day) == found


@pytest.mark.parametrize(
    ("time", "written"),
    [
        ("epoch_s", "1772445600.25"),
        ("epoch_ms", "1772445600250"),
        ("epoch_us", "1772445600250000"),
        ("%d.%m.%Y %H:%M:%S.%f", "02.03.2026 10:00:00.250"),
        ("iso", "2026-03-02 12:00:00.25+02:00"),
        ("iso", "2026-03-02T10:00:00.250"),
    ],
)
def test_time_is_read_as_the_recipe_says(landing, land_rows, tiny_recipe, day, time, written):
    far = ["1e300", "-1e300", "infinity", "9223372036854775807"]
    rows = [impression("a", ts=written), *(impression(f"far{i}", ts=ts) for i, ts in enumerate(far))]
    land_rows("impressions", day, rows)
    found = clean(landing, tiny_recipe(landing={"time": time}), day)
    assert found.impressions == Counts(received=5, kept=1, duplicates=0, quarantined=4)
    (kept,) = found.rows
    assert kept["ts"].isoformat() == "2026-03-02T10:00:00.250000"


def test_inline_label_constant_channel_and_event_id_from_the_row(store, landing, land_rows, tiny_recipe, day, now):
    recipe = tiny_recipe(
        landing={
            "event_id_from": "file_row",
            "channel_constant": "push",
            "columns": {"label": "clicked", "user_id": "", "channel": "", "campaign_id": ""},
        },
        features=[{"name": "device", "kind": "categorical"}],
        channels={"ad": None},
    )
    rows = [{"ts": "2026-03-02T10:00:00Z", "clicked": label} for label in ("1", "0", "2", "", "Y", "1.0")]
    land_rows("impressions", day, rows, "it's.jsonl")
    found = ingest(store, landing, recipe, day, now)
    assert found.impressions == Counts(received=6, kept=5, duplicates=0, quarantined=1)
    assert found.without_label == 1
    kept = rows_of(store, day, "impressions")
    assert [
        (row["event_id"], row["channel"], row["label"]) for row in sorted(kept, key=lambda row: row["event_id"])
    ] == [
        (f"{day}/it's.jsonl:0", "push", 1),
        (f"{day}/it's.jsonl:1", "push", 0),
        (f"{day}/it's.jsonl:3", "push", None),
        (f"{day}/it's.jsonl:4", "push", 1),
        (f"{day}/it's.jsonl:5", "push", 1),
    ]
    assert [(row["reason"], row["value"]) for row in quarantined(store, day)] == [("label_wrong_type", "2")]


HOSTILE = ["'; DROP TABLE x; --", 'quo"te', "ü 🙂", "[1]*?", "{a,b}", "a\\b", "%s {0}", "../up"]


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet"])
def test_hostile_names_and_values_are_names_and_values(store, landing, land_rows, tiny_recipe, day, now, name):
    feature = {"name": "device", "kind": "categorical", "column": HOSTILE[0]}
    recipe = tiny_recipe(
        features=[feature], validation={"value_sets": {HOSTILE[0]: HOSTILE}, "max_null_share": {HOSTILE[1]: 1}}
    )
    rows = [
        {**impression(f"{text}{i}", user_id=text), **dict.fromkeys(HOSTILE, text)} for i, text in enumerate(HOSTILE)
    ]
    for number, text in enumerate(HOSTILE):
        land_rows("impressions", day, [rows[number]], f"part {text.replace('/', '_').replace(chr(92), '_')}.{name}")
    found = ingest(store, landing, recipe, day, now)
    assert found.unreadable == {}
    assert found.impressions == Counts(received=8, kept=8, duplicates=0, quarantined=0)
    kept = rows_of(store, day, "impressions")
    assert {row["user_id"] for row in kept} == {row[HOSTILE[0]] for row in kept} == set(HOSTILE)
    assert {row["value"] for row in rows_of(store, day, "values.parquet")} == set(HOSTILE)


TAGS = {"features": [{"name": "tags", "kind": "multi_valued", "delimiter": ";"}]}
SEVERAL = [["a", "b"], ["a", None, "c d"], [], None]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet"])
def test_several_values_are_joined_by_the_features_delimiter_and_texts_stay(landing, land_rows, tiny_recipe, day, name):
    given = [json.dumps(s) if name.endswith("csv") and s is not None else s for s in SEVERAL]
    rows = [impression(f"e{number}", tags=several) for number, several in enumerate(given)]
    if name.endswith("parquet"):
        path = land_rows("impressions", day, [impression("e", tags="")], name)
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        land_rows("impressions", day, rows, name)
    texts = [impression("text", tags="x;y"), impression("bracket", tags="[sic"), impression("one", tags="z")]
    land_rows("impressions", day, texts, "b.csv")
    found = clean(landing, tiny_recipe(**TAGS), day)
    found = {row["event_id"]: row["tags"] for row in found.rows}
    assert [found.pop(f"e{number}") for number in range(4)] == ["a;b", "a;c d", None, None]
    assert found == {"text": "x;y", "bracket": "[sic", "one": "z"}


def test_one_column_has_one_delimiter(tiny_recipe):
    tags = {"kind": "multi_valued", "column": "tags"}
    twice = [{**tags, "name": "a", "delimiter": ";"}, {**tags, "name": "b", "delimiter": ";", "pooling": "sum"}]
    tiny_recipe(features=twice)
    with pytest.raises(ValueError, match=r"expected one delimiter a column.*received several for \['tags'\]"):
        tiny_recipe(features=[twice[0], {**twice[1], "delimiter": ","}])


def test_several_values_are_joined_also_where_a_line_is_malformed(landing, land_rows, tiny_recipe, day):
    path = land_rows("impressions", day, [impression("a", tags=["x", "y"])], "a.jsonl")
    path.write_text(path.read_text() + "{broken\n")
    found = clean(landing, tiny_recipe(**TAGS), day)
    assert [row["tags"] for row in found.rows] == ["x;y"]


def test_columns_of_outcomes_have_the_names_that_the_recipe_says(store, landing, land_rows, tiny_recipe, day, now):
    recipe = tiny_recipe(landing={"outcome_columns": {"event_id": "request", "ts": "at", "kind": "What"}})
    land_rows("impressions", day, [impression("a")])
    click = {"request": "a", "at": "2026-03-02T11:00:00Z", "What": "click", "page": "x"}
    land_rows("outcomes", day, [click], "a.jsonl")
    land_rows("outcomes", day, [click], "b.csv")
    found = ingest(store, landing, recipe, day, now)
    assert found.outcomes == Counts(received=2, kept=1, duplicates=1, quarantined=0)
    assert [(row["event_id"], row["kind"]) for row in rows_of(store, day, "outcomes")] == [("a", "click")]
    assert found.unknown_columns == ("outcomes.page",)


def test_columns_of_outcomes_that_case_alone_tells_apart_are_refused(tiny_recipe):
    with pytest.raises(ValueError, match="expected three different columns, received 'event_id', 'ts' and 'TS'"):
        tiny_recipe(landing={"outcome_columns": {"kind": "TS"}})
