"""Rules of hostile names: of files, of columns, of what is typed. Nothing is executed, nothing climbs by them."""

import tempfile

import pytest

from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.label.outcome_accounting import account_outcomes
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.split_by_day import land_file
from tests.support.counts import draws
from tests.support.labelled_day import label_rows
from tests.support.landed_day import clean, impression, ingest, quarantined, rows_of
from tests.support.stored import outside_the_root

# Beside each other: a neighbour whose name begins with a backslash is one more thing that a pattern stumbles over.
FILES = [
    "a\\*b",
    "[x]\\?",
    "\\",
    "\\*",
    "?",
    "**",
    "[",
    "{a,b}",
    "new\nline",
    "tab\t",
    "a\\",
    "'; DROP TABLE x; --",
    "ü 🙂",
]


@pytest.fixture
def zone(landing):
    return LocalLandingZone(landing)


def test_file_is_read_whatever_its_name(zone, local_store, land_rows, tiny_recipe, day, now):
    texts = [name for name in FILES if isinstance(zone, LocalLandingZone) or name.isprintable()]
    names = [f"{name}.{ending}" for ending in ("jsonl", "jsonl.gz", "csv", "csv.zst", "parquet") for name in texts]
    for number, name in enumerate(names):
        rows = [impression(f"e{number}"), impression(f"bad{number}", ts="never")]
        path = land_rows("elsewhere", day, rows, f"part.{name.partition('.')[2]}")
        with zone.writing("impressions", str(day), name) as aside:
            aside.write_bytes(path.read_bytes())
        path.unlink()
    found = ingest_day(local_store, zone, tiny_recipe(), day, now)
    assert found.unreadable == {}
    assert found.impressions == Counts(received=2 * len(names), kept=len(names), duplicates=0, quarantined=len(names))
    assert {row["file"] for row in quarantined(local_store, day)} == set(names)


@pytest.mark.parametrize("ending", ["jsonl", "csv.gz", "parquet"])
def test_file_whose_name_is_no_text_is_told_and_not_read(landing, land_rows, tiny_recipe, day, ending):
    good = land_rows("impressions", day, [impression("a")], "good.jsonl")
    bad = land_rows("impressions", day, [impression("b")], f"b.{ending}")
    bad.rename(good.parent / f"\udcff*.{ending}")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 1
    assert found.unreadable == {f"impressions/\ufffd*.{ending}": "expected a name in UTF-8, received other bytes"}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_file_of_many_days_is_split_whatever_its_name(landing, land_rows, tiny_recipe, day, ending):
    names = draws(["a\\*b [x]\\? it's"], ["a\\*b", "[x]\\?", "it's"])
    for name in names:
        source = land_rows("elsewhere", day, [impression(f"{name} 1"), impression(f"{name} 2")], f"{name}.{ending}")
        land_file(source, tiny_recipe(), LocalLandingZone(landing))
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 2 * len(names)


# --- columns


@pytest.mark.parametrize(
    "column",
    [
        *(
            "label",
            "label_click",
            "age_days_click",
            "Label_Click",
            "landed_days_late",
            "_reason",
            "_RAW",
            "_missing_ts",
        ),
        *("_wrong_bid", "day_index", "kept_out", "user_bucket", "file_row_number", "_time_click_1", "_model_x"),
    ],
)
@pytest.mark.parametrize("place", ["features", "max_null_share", "value_sets"])
def test_column_named_like_one_that_is_given_on_the_way_is_refused(tiny_recipe, column, place):
    changes = {
        "features": {"features": [{"name": "f", "kind": "categorical", "column": column}]},
        "max_null_share": {"validation": {"max_null_share": {column: 0.5}}},
        "value_sets": {"validation": {"value_sets": {column: ["x"]}}},
    }[place]
    with pytest.raises(ValueError, match=r"a name of its own|known only after"):
        tiny_recipe(**changes)


@pytest.mark.parametrize("column", ["DEVICE", "Event_Id", "CHANNEL", "Ts", "campaign_ID"])
def test_columns_that_case_alone_tells_apart_are_refused(tiny_recipe, column):
    with pytest.raises(ValueError, match=f"column '{column}': expected a name that differs from .* in more than case"):
        tiny_recipe(validation={"max_null_share": {column: 0.5}})


def test_kinds_that_case_alone_tells_apart_are_refused(tiny_recipe):
    with pytest.raises(ValueError, match="expected kinds that differ in more than case, received 'Click' twice"):
        tiny_recipe(channels={"push": {"positive_kind": "Click"}})


def test_other_columns_are_features_whatever_queries_call_theirs(store, landing, land_rows, tiny_recipe, day, now):
    names = ["rows", "positives", "hour", "event_day", "name", "value", "_price", "label_size", "k", "i"]
    features = [{"name": f"f{name}", "kind": "categorical", "column": name} for name in names]
    given = {name: f"x {name}" for name in names}
    checks = {"value_sets": {name: [value] for name, value in given.items()}, "max_null_share": dict.fromkeys(names, 1)}
    recipe = tiny_recipe(features=features, validation=checks)
    land_rows("impressions", day, [impression("a", **given)])
    land_rows("outcomes", day, [{"event_id": "a", "ts": "2026-03-02T11:00:00Z", "kind": "click"}])
    ingest(store, landing, recipe, day, now)
    counted = {(row["name"], row["value"], row["rows"]) for row in rows_of(store, day, "values.parquet")}
    assert counted == {(name, value, 1) for name, value in given.items()}
    (profile,) = rows_of(store, day, "profile.parquet")
    assert (profile["hour"], profile["rows"], profile["positives"], profile["event_day"]) == (10, 1, 1, day)
    (row,) = label_rows(store, label_day(store, recipe, day, day))
    assert {name: row[name] for name in names} == given
    assert (row["label"], row["label_click"], row["age_days_click"]) == (1, 1, 0)


# --- SQL


def test_sql_anywhere_is_data_and_nothing_but_the_root_changes(
    store, landing, land_rows, day, now, tmp_path, monkeypatch
):
    from ctr_retrain.models.recipe.recipe import Recipe  # noqa: PLC0415
    from tests.conftest import TINY, _merged  # noqa: PLC0415 - the recipe of the other tests

    scratch, here = tmp_path / "tmp", tmp_path / "here"
    for folder in (scratch, here):
        folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.chdir(here)
    attacks = [
        f"'; COPY (SELECT 1) TO '{tmp_path}/pwned'; --",
        f"\"); ATTACH '{tmp_path}/x.db'; --",
        "'; COPY (SELECT 1) TO 'pwned'; --",
        f"' || (SELECT content FROM read_text('{tmp_path}/secret')) || '",  # noqa: S608 - it is one, and must stay data
        "*/ DROP TABLE known; /*",
        "$$; INSTALL httpfs; $$",
    ]
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    text, column, user = attacks[3], attacks[0], attacks[1]
    changes = {
        "landing": {
            "columns": {"user_id": user, "campaign_id": attacks[2]},
            "event_id_columns": ["event_id", attacks[4]],
            "time": f"%Y-%m-%dT%H:%M:%SZ{column}",
        },
        "channels": {"push": {"positive_kind": attacks[5]}},
        "features": [{"name": "f", "kind": "categorical", "column": column}],
        "validation": {"value_sets": {column: attacks}, "max_null_share": {column: 1, text: 1}},
    }
    recipe = Recipe.model_validate(_merged(TINY, changes))
    time = f"2026-03-02T10:00:00Z{column}"
    for number, attack in enumerate(attacks):
        rows = [
            {"event_id": attack, "ts": time, "channel": "push", **dict.fromkeys(attacks, attack)},
            {"event_id": "x", "ts": time, "channel": attack, **dict.fromkeys(attacks, attack)},
            {"event_id": "y", "ts": attack, "channel": "push", **dict.fromkeys(attacks, attack)},
        ]
        outcomes = [{"event_id": f"{attack}-{attack}", "ts": time, "kind": kind} for kind in (attacks[5], attack)]
        for ending in (("jsonl", "csv", "parquet")[number % 3],):
            land_rows("impressions", day, rows, f"{attack.replace('/', '|')}.{ending}")
            land_rows("outcomes", day, outcomes, f"{attack.replace('/', '|')}.{ending}")
    before = outside_the_root(tmp_path)
    found = ingest(store, landing, recipe, day, now)
    labelled = label_day(store, recipe, day, day)
    account_outcomes(store, recipe, day, day, store_scratch(tmp_path))
    assert outside_the_root(tmp_path) == before
    assert found.unreadable == {}
    assert found.impressions == Counts(received=18, kept=6, duplicates=0, quarantined=12)
    kept = rows_of(store, day, "impressions")
    assert {row["user_id"] for row in kept} == {row[column] for row in kept} == set(attacks)
    assert {row["event_id"] for row in kept} == {f"{attack}-{attack}" for attack in attacks}
    assert labelled.positives == 6
    assert {row["file"] for row in quarantined(store, day)} == {path.name for path in landing.rglob("*.*")}


def store_scratch(folder):
    """A folder below the root."""
    scratch = folder / "root" / "scratch"
    scratch.mkdir()
    return scratch
