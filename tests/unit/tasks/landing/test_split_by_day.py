"""Rules of landing a file: each row below the day of its own time, nothing lost, nothing twice."""

import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.tasks.ingest.ingest_day import current_day_object, ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.split_by_day import land_file, land_outcomes
from tests.support.counts import draws


def row(event_id, ts):
    return {"event_id": event_id, "ts": ts, "user_id": "u", "channel": "ad", "campaign_id": "c"}


@pytest.fixture
def source(land_rows, landing):
    """A file outside the landing zone; its name says its format."""

    def write(rows, name="events.csv"):
        path = land_rows("impressions", "none", rows, name)
        aside = landing.parent / name
        path.rename(aside)
        path.parent.rmdir()
        return aside

    return write


def landed(landing):
    found = {}
    for path in sorted((landing / "impressions").glob("dt=*/*.parquet")):
        found[f"{path.parent.name}/{path.name}"] = pq.read_table(path)["event_id"].to_pylist()
    return found


THREE_DAYS = [
    row("c", "2026-03-02T23:59:59Z"),
    row("a", "2026-03-02T00:00:00Z"),
    row("d", "2026-03-03T00:00:00Z"),
    row("b", "2026-03-02T01:00:00+00:00"),
    row("e", "2026-03-05T01:00:00+02:00"),
]


@pytest.mark.parametrize(
    "name", ["events.csv.gz", "events.jsonl", "events.parquet", *draws([], ["events.csv", "events.jsonl.zst"])]
)
def test_file_is_split_by_day_in_its_own_order(source, landing, tiny_recipe, name):
    answer = land_file(source(THREE_DAYS, name), tiny_recipe(), LocalLandingZone(landing))
    assert answer.to_json() == {
        "landing": str(landing),
        "rows": {"2026-03-02": 3, "2026-03-03": 1, "2026-03-04": 1},
        "outcomes": {},
        "malformed": 0,
    }
    stem = name.removesuffix(".parquet")
    assert landed(landing) == {
        f"dt=2026-03-02/{stem}.parquet": ["c", "a", "b"],
        f"dt=2026-03-03/{stem}.parquet": ["d"],
        f"dt=2026-03-04/{stem}.parquet": ["e"],
    }


@pytest.mark.parametrize(
    ("time", "first", "second"),
    [
        ("epoch_s", "1772409600", "1772496000"),
        ("epoch_ms", "1772409600000", "1772496000000"),
        ("%d/%m/%y %H:%M", "02/03/26 00:00", "03/03/26 00:00"),
    ],
)
def test_time_is_read_as_the_recipe_says(source, landing, tiny_recipe, time, first, second):
    answer = land_file(
        source([row("a", first), row("b", second)]), tiny_recipe(landing={"time": time}), LocalLandingZone(landing)
    )
    assert answer.to_json()["rows"] == {"2026-03-02": 1, "2026-03-03": 1}


def test_columns_stay_as_they_are(source, landing, tiny_recipe):
    path = landing.parent / "typed.parquet"
    needed = {name: ["1"] for name in ("event_id", "user_id", "channel", "campaign_id")}
    times = pa.array([date(2026, 3, 2)])
    table = pa.table({"ts": times, "score": pa.array([1.5], pa.float32()), "Größe": [["a"]], **needed})
    pq.write_table(table, path)
    land_file(path, tiny_recipe(), LocalLandingZone(landing))
    (found,) = (landing / "impressions").glob("dt=2026-03-02/*")
    assert pq.read_table(found).to_pydict() == table.to_pydict()
    assert pq.read_schema(found).field("score").type == pa.float32()
    jsonl = landing.parent / "few.jsonl"
    jsonl.write_text(json.dumps({**row("a", "2026-03-02"), "x": "1"}) + "\n", encoding="utf-8")
    land_file(jsonl, tiny_recipe(), LocalLandingZone(landing))
    names = pq.read_schema(landing / "impressions" / "dt=2026-03-02" / "few.jsonl.parquet").names
    assert sorted(names) == ["campaign_id", "channel", "event_id", "ts", "user_id", "x"]


def test_landing_again_replaces_all_that_the_file_had_landed(source, landing, tiny_recipe):
    land_file(source([*THREE_DAYS, row("other", "2026-03-09T00:00:00Z")]), tiny_recipe(), LocalLandingZone(landing))
    land_file(source([row("kept", "2026-03-02T00:00:00Z")], "events.2.csv"), tiny_recipe(), LocalLandingZone(landing))
    land_file(source(THREE_DAYS[:3]), tiny_recipe(), LocalLandingZone(landing))
    assert landed(landing) == {
        "dt=2026-03-02/events.2.csv.parquet": ["kept"],
        "dt=2026-03-02/events.csv.parquet": ["c", "a"],
        "dt=2026-03-03/events.csv.parquet": ["d"],
    }


def test_rows_that_cannot_be_placed_land_on_the_first_day_and_ingest_quarantines_them(
    source, store, landing, tiny_recipe, day, now
):
    path = source([row("a", "2026-03-02T10:00:00Z"), row("b", "once"), row("c", "")], "events.jsonl")
    path.write_text(path.read_text() + '{"event_id": "half\n' + json.dumps(row("d", "2026-03-03T00:00:00Z")) + "\n")
    answer = land_file(path, tiny_recipe(), LocalLandingZone(landing))
    assert (answer.to_json()["rows"], answer.malformed) == ({"2026-03-02": 3, "2026-03-03": 1}, 1)
    assert ingest_day(store, LocalLandingZone(landing), tiny_recipe(), day, now).impressions == Counts(
        received=4, kept=1, duplicates=0, quarantined=3
    )


INLINE = {"outcomes": [{"kind": "click", "column": "clicked", "ts": "clicked_at"}]}


def click(event_id, ts, flag, clicked_at):
    return {**row(event_id, ts), "clicked": flag, "clicked_at": clicked_at}


def landed_outcomes(landing):
    found = {path.parent.name: pq.read_table(path).to_pylist() for path in sorted(landing.glob("outcomes/dt=*/*"))}
    return {day: [(row["event_id"], row["ts"], row["kind"]) for row in rows] for day, rows in found.items()}


def test_inline_outcomes_land_on_the_day_of_their_own_time_or_with_the_impression_where_that_cannot_be(
    source, landing, tiny_recipe
):
    rows = [
        click("days later", "2026-03-02T10:00:00Z", "1", "2026-03-05T00:00:00Z"),
        click("none", "2026-03-02T10:00:00Z", "0", "2026-03-05T00:00:00Z"),
        click("none either", "2026-03-02T10:00:00Z", "", ""),
        click("before", "2026-03-03T10:00:00Z", "1.0", "2026-03-01T00:00:00Z"),
        click("unreadable", "2026-03-03T10:00:00Z", "true", "soon"),
        click("no time", "2026-03-03T10:00:00Z", "True", ""),
        click("who knows", "2026-03-03T10:00:00Z", "maybe", "2026-03-03T11:00:00Z"),
        click("far", "2026-03-03T10:00:00Z", "1", "33658-09-27T00:00:00Z"),
    ]
    answer = land_file(source(rows), tiny_recipe(landing=INLINE), LocalLandingZone(landing))
    assert answer.to_json()["outcomes"] == {"2026-03-03": 5, "2026-03-05": 1}
    assert landed_outcomes(landing) == {
        "dt=2026-03-03": [
            ("before", "2026-03-01T00:00:00Z", "click"),
            ("unreadable", "soon", "click"),
            ("no time", None, "click"),
            ("who knows", "2026-03-03T11:00:00Z", None),
            ("far", "33658-09-27T00:00:00Z", "click"),
        ],
        "dt=2026-03-05": [("days later", "2026-03-05T00:00:00Z", "click")],
    }


def test_outcomes_of_a_file_have_the_ids_that_ingest_gives_its_rows(source, store, landing, tiny_recipe, day, now):
    times = ["2026-03-03", "2026-03-02", "someday", "2026-03-02", "2026-03-03", "2026-03-02"]
    rows = [{**click("", ts, str(i % 2), ts), "user_id": f"u{i}"} for i, ts in enumerate(times)]
    recipe = tiny_recipe(landing={**INLINE, "event_id_from": "file_row"})
    land_file(source(rows, "it's.csv"), recipe, LocalLandingZone(landing))
    assert ingest_day(store, LocalLandingZone(landing), recipe, day, now).outcomes == Counts(
        received=3, kept=3, duplicates=0, quarantined=0
    )
    folder = store.open(current_day_object(store, day))
    users = {row["event_id"]: row["user_id"] for row in pq.read_table(folder / "impressions").to_pylist()}
    clicked = {row["event_id"] for row in pq.read_table(folder / "outcomes").to_pylist()}
    assert clicked == {f"{day}/it's.csv.parquet:{number}" for number in (0, 2, 3)}
    assert {users[event_id] for event_id in clicked} == {"u1", "u3", "u5"}


def test_typed_flags_and_times_make_outcomes_too_unless_their_types_cannot_share_a_column(
    landing, tiny_recipe, day, tmp_path
):
    shown, later = datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)
    whose = {name: ["ad", "ad"] for name in ("user_id", "channel", "campaign_id")}
    clicks = {"clicked": [True, False], "clicked_at": [later] * 2}
    table = pa.table({"event_id": ["a", "b"], "ts": [shown] * 2, **clicks, **whose})
    pq.write_table(table, tmp_path / "typed.parquet")
    recipe = tiny_recipe(landing={**INLINE, "time": "epoch_s"})
    assert land_file(tmp_path / "typed.parquet", recipe, LocalLandingZone(landing)).to_json()["outcomes"] == {
        "2026-03-04": 1
    }
    assert landed_outcomes(landing) == {"dt=2026-03-04": [("a", later, "click")]}
    both = [*INLINE["outcomes"], {"kind": "view", "column": "clicked"}]
    pq.write_table(table.set_column(3, "clicked_at", [["1772600000"] * 2]), tmp_path / "typed.parquet")
    with pytest.raises(DataRejectedError, match="expected the times of outcomes typed alike"):
        land_file(
            tmp_path / "typed.parquet",
            tiny_recipe(landing={"outcomes": both, "time": "epoch_s"}),
            LocalLandingZone(landing),
        )


def test_file_without_a_column_that_outcomes_are_made_of_lands_nothing(source, landing, tiny_recipe):
    path = source([{key: text for key, text in click("a", "2026-03-02", "1", "").items() if key != "clicked_at"}])
    with pytest.raises(
        DataRejectedError, match=r"none called 'clicked_at' \(\[\[landing.outcomes\]\]\) among event_id, ts"
    ):
        land_file(path, tiny_recipe(landing=INLINE), LocalLandingZone(landing))
    assert not landed(landing)


def test_outcomes_that_others_landed_stay_where_the_recipe_has_no_inline_ones(source, landing, land_rows, tiny_recipe):
    theirs = land_rows("outcomes", "2026-03-02", [{"event_id": "a"}], "events.csv.parquet")
    land_file(source(THREE_DAYS), tiny_recipe(), LocalLandingZone(landing))
    assert theirs.exists()


def test_time_beyond_the_calendar_is_none(source, landing, tiny_recipe):
    path = source([row("a", "1772409600"), row("b", "1772409600000")])  # the second in milliseconds: year 58134
    answer = land_file(path, tiny_recipe(landing={"time": "epoch_s"}), LocalLandingZone(landing))
    assert answer.to_json()["rows"] == {"2026-03-02": 2}


def test_numbers_count_from_the_recipes_origin(source, landing, tiny_recipe):
    path = source([row("a", "0"), row("b", "86399.5"), row("c", "86400"), row("before", "-1")])
    recipe = tiny_recipe(landing={"time": "epoch_s", "origin": date(2026, 3, 2)})
    assert land_file(path, recipe, LocalLandingZone(landing)).to_json()["rows"] == {"2026-03-02": 3, "2026-03-03": 1}


def test_file_that_cannot_be_read_or_has_no_time_lands_nothing(source, landing, tiny_recipe):

    def soon(path):
        path.write_text("event_id,ts,user_id,channel,campaign_id\na,soon,u,ad,c\n", encoding="utf-8")

    cases = {
        "half.csv.gz": ("readable file", lambda path: path.write_bytes(path.read_bytes()[:-9])),
        "none.csv": ("readable file", lambda path: path.unlink()),
        "other.csv": ("received none called .*'ts' .landing.columns.ts", lambda path: path.write_text("when\n1\n")),
        "other.jsonl": (
            "'campaign_id' .landing.columns.campaign_id. among when",
            lambda path: path.write_text('{"when": 1}\n'),
        ),
        "never.csv": ("expected times like landing.time = 'iso'", soon),
    }
    for name, (message, spoil) in cases.items():
        path = source(THREE_DAYS, name)
        spoil(path)
        with pytest.raises(DataRejectedError, match=message):
            land_file(path, tiny_recipe(), LocalLandingZone(landing))
    assert landed(landing) == {}


def test_landing_zone_that_cannot_be_written_is_a_storage_error(source, landing, tiny_recipe):
    path = source(THREE_DAYS)
    (landing / "impressions").rmdir()
    (landing / "impressions").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError, match="expected a writable"):
        land_file(path, tiny_recipe(), LocalLandingZone(landing))


def test_outcomes_that_are_split_off_land_under_the_names_that_the_recipe_reads(
    store, landing, source, tiny_recipe, day, now
):
    names = {"event_id": "request", "ts": "at", "kind": "what"}
    inline = [{"kind": "click", "column": "clicked"}]
    recipe = tiny_recipe(landing={"outcomes": inline, "outcome_columns": names})
    rows = [row("a", f"{day}T10:00:00Z") | {"clicked": "1"}, row("b", f"{day}T11:00:00Z") | {"clicked": "0"}]
    land_file(source(rows), recipe, LocalLandingZone(landing))
    (file,) = (landing / "outcomes" / f"dt={day}").iterdir()
    assert pq.read_schema(file).names == list(names.values())
    found = ingest_day(store, LocalLandingZone(landing), recipe, day, now)
    assert (found.impressions.kept, found.outcomes.kept) == (2, 1)


def test_a_file_that_ingest_would_refuse_is_refused_with_each_key_to_mend(source, landing, tiny_recipe):
    rows = [{"id": "a", "ts": "2026-03-02T00:00:00Z", "user_id": "u", "campaign_id": "c"}]
    with pytest.raises(DataRejectedError) as error:
        land_file(source(rows), tiny_recipe(), LocalLandingZone(landing))
    said = str(error.value)
    assert "'event_id' (landing.event_id_columns), 'channel' (landing.columns.channel) among id, ts" in said
    assert "'user_id' (" not in said
    assert landed(landing) == {}


LOG = {"event_log": {"column": "event", "impressions": ["sent"]}}


def logged(event_id, ts, event):
    return {"event_id": event_id, "ts": ts, "event": event, "user_id": "u", "campaign_id": "c", "channel": "ad"}


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl", "log.parquet"])
def test_an_event_log_is_taken_apart_and_no_row_is_lost(source, landing, land_rows, tiny_recipe, name):
    rows = [
        logged("a", "2026-03-02T23:00:00Z", "sent"),
        logged("a", "2026-03-03T01:00:00Z", "clicked"),
        logged("b", "2026-03-03T02:00:00Z", "sent"),
        logged("b", "soon", "clicked"),  # of no readable time: with the first impressions, for ingest to quarantine
        logged("c", "2026-03-01T02:00:00Z", "clicked"),  # before them all
        logged("d", "2026-03-03T02:00:00Z", ""),  # that says nothing
    ]
    answer = land_file(source(rows, name), tiny_recipe(landing=LOG), LocalLandingZone(landing))
    assert {str(day): rows for day, rows in answer.rows.items()} == {"2026-03-02": 1, "2026-03-03": 1}
    assert {str(day): rows for day, rows in answer.outcomes.items()} == {"2026-03-02": 2, "2026-03-03": 2}
    found = [
        row for file in sorted((landing / "outcomes").rglob("*.parquet")) for row in pq.read_table(file).to_pylist()
    ]
    assert sorted((row["event_id"], row["kind"] or "") for row in found) == [
        ("a", "clicked"), ("b", "clicked"), ("c", "clicked"), ("d", ""),
    ]  # fmt: skip


def test_an_event_log_without_impressions_or_its_column_is_refused(source, landing, tiny_recipe):
    recipe, zone = tiny_recipe(landing=LOG), LocalLandingZone(landing)
    with pytest.raises(DataRejectedError, match=r"rows with 'event' of \['sent'\] .*received only \['clicked'\]"):
        land_file(source([logged("a", "2026-03-02T23:00:00Z", "clicked")]), recipe, zone)
    with pytest.raises(DataRejectedError, match=r"'event' .landing\.event_log\.column."):
        land_file(source(THREE_DAYS), recipe, zone)


def test_a_file_of_outcomes_lands_by_the_days_of_its_own_times(source, landing, tiny_recipe):
    rows = [{"event_id": "a", "ts": f"2026-03-0{day}T01:00:00Z"} for day in (2, 3, 3)]
    recipe = tiny_recipe(landing={"outcome_kind": "click"})
    answer = land_outcomes(source(rows, "clicks.csv"), recipe, LocalLandingZone(landing))
    assert {str(day): rows for day, rows in answer.outcomes.items()} == {"2026-03-02": 1, "2026-03-03": 2}
    assert answer.rows == {}
    with pytest.raises(DataRejectedError, match=r"'kind' .landing\.outcome_columns\.kind."):
        land_outcomes(source(rows, "clicks.csv"), tiny_recipe(), LocalLandingZone(landing))


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_log": {"column": "event"}},
        {"event_log": {"impressions": ["sent"]}},
        {**LOG, "event_id_from": "file_row"},
        {**LOG, "columns": {"label": "y"}},
        {**LOG, "outcomes": [{"kind": "click", "column": "clicked"}]},
    ],
)
def test_an_event_log_goes_with_nothing_else_that_tells_of_outcomes(tiny_recipe, wrong):
    with pytest.raises(ValueError, match=r"event_log|expected column and impressions"):
        tiny_recipe(landing=wrong)
