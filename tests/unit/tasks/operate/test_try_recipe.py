"""A recipe is tried on what has landed: what `ingest` would refuse is told at once, with the key to change."""

import gzip
import json
from itertools import cycle, product

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.operate.try_recipe import MOST_FILES, try_recipe
from tests.support.counts import SOAK
from tests.support.landed_day import impression

OUTCOME = {"event_id": "a", "ts": "2026-03-02T11:00:00Z", "kind": "click"}


@pytest.fixture
def tried(landing, tmp_path_factory):
    """Try a recipe on what landed: its streams, and all that stands against it in one text."""

    def run(recipe):
        streams = try_recipe(LocalLandingZone(landing), recipe, tmp_path_factory.mktemp("scratch"))
        return streams, " ".join(problem for stream in streams for problem in stream.problems)

    return run


def test_what_fits_is_counted_and_nothing_stands_against_it(tried, land_rows, tiny_recipe, day):
    land_rows("impressions", day, [impression("a"), impression("b"), impression("c", ts="soon")])
    land_rows("outcomes", day, [OUTCOME], "part.csv.gz")
    (impressions, outcomes), problems = tried(tiny_recipe())
    assert (impressions.usable, impressions.rows, outcomes.usable, outcomes.rows) == (2, 3, 1, 1)
    assert problems == ""


NAMES = ["part.csv", "part.jsonl.gz", "part.parquet"]
KEYS = {
    "event_id": "landing.event_id_columns",
    "channel": "landing.columns.channel",
    "ts": "landing.columns.ts",
    "user_id": "landing.columns.user_id",
    "campaign_id": "landing.columns.campaign_id",
    "bid": "[[features]]",
}


# Each key of each form in `make soak`, each key once and each form twice in `make test`.
@pytest.mark.parametrize(("absent", "name"), list(product(KEYS, NAMES) if SOAK else zip(KEYS, cycle(NAMES))))
def test_a_column_that_no_file_has_is_told_with_its_key(tried, land_rows, tiny_recipe, day, absent, name):
    row = {column: value for column, value in impression("a").items() if column != absent}
    land_rows("impressions", day, [row], name)
    land_rows("outcomes", day, [OUTCOME])
    _, problems = tried(tiny_recipe())
    assert f"'{absent}' ({KEYS[absent]}" in problems


@pytest.mark.parametrize("absent", OUTCOME)
def test_a_column_that_outcomes_lack_is_told_with_its_key(tried, land_rows, tiny_recipe, day, absent):
    land_rows("impressions", day, [impression("a")])
    land_rows("outcomes", day, [{column: value for column, value in OUTCOME.items() if column != absent}], "o.csv")
    _, problems = tried(tiny_recipe())
    assert f"'{absent}' (landing.outcome_columns.{absent})" in problems


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ts": "1772445600"}, "3 ts_unreadable such as '1772445600' (see landing.time = 'iso')"),
        ({"ts": "2026-02-02T10:00:00Z"}, "3 ts_too_old such as '2026-02-02T10:00:00Z' (see landing.late_days = 1"),
        ({"channel": "web"}, "3 channel_unknown such as 'web' (see [channels] has ad, push)"),
        ({"user_id": ""}, "3 user_id_missing (see landing.columns.user_id)"),
    ],
)
def test_rows_that_can_t_be_used_are_told_with_a_value_and_the_key(tried, land_rows, tiny_recipe, day, changes, words):
    land_rows("impressions", day, [impression(n, **changes) for n in "abc"])
    land_rows("outcomes", day, [OUTCOME])
    _, problems = tried(tiny_recipe())
    assert "expected usable rows, received 0 of 3" in problems
    assert words in problems


def test_outcomes_of_no_labelled_kind_and_none_at_all_are_told(tried, land_rows, tiny_recipe, day):
    land_rows("impressions", day, [impression("a")])
    _, problems = tried(tiny_recipe())
    assert "expected outcomes, received none" in problems
    assert "[[landing.outcomes]]" in problems
    land_rows("outcomes", day, [{**OUTCOME, "kind": "Click"}])
    _, problems = tried(tiny_recipe())
    assert "1 kind_unknown such as 'Click' (see [channels] labels click)" in problems


def test_outcomes_of_one_kind_need_no_column_for_it(tried, land_rows, tiny_recipe, day):
    land_rows("impressions", day, [impression("a")])
    land_rows("outcomes", day, [{"event_id": "a", "ts": OUTCOME["ts"]}])
    (_, outcomes), problems = tried(tiny_recipe(landing={"outcome_kind": "click"}))
    assert (outcomes.usable, problems) == (1, "")


def test_an_inline_label_needs_no_outcomes(tried, land_rows, tiny_recipe, day):
    land_rows("impressions", day, [impression("a", label="yes")])
    (impressions,), problems = tried(tiny_recipe(landing={"columns": {"label": "label"}}))
    assert (impressions.usable, problems) == (1, "")


def test_of_long_files_the_beginning_is_tried_and_of_many_some(tried, landing, land_rows, tiny_recipe, day):
    long = land_rows("impressions", day, [impression("a")], "long.jsonl.gz")
    line = json.dumps(impression("a", filler="x" * 1000)) + "\n"
    long.write_bytes(gzip.compress((line * 2_000).encode()) + b"torn here, far behind what is tried")
    for number in range(MOST_FILES + 5):
        pq.write_table(pa.table({name: [value] for name, value in impression("a").items()}), long.parent / f"{number}")
    land_rows("outcomes", day, [OUTCOME])
    (impressions, _), problems = tried(tiny_recipe())
    assert problems == ""
    assert impressions.files == MOST_FILES
    assert impressions.rows <= 1_100 + MOST_FILES


def test_lines_that_hold_no_row_are_told_with_their_reason_and_another_encoding_with_what_to_type(
    tried, land_rows, tiny_recipe, day
):
    path = land_rows("impressions", day, [impression(n, device="Ger\u00e4t") for n in "abc"], "part.csv")
    path.write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))
    land_rows("outcomes", day, [OUTCOME]).write_bytes(b'{"event_id": \n' * 3)
    _, problems = tried(tiny_recipe())
    assert "3 malformed_encoding (the encoding; perhaps it is that of Windows: iconv -f WINDOWS-1252" in problems
    assert "3 malformed_json (see the lines" in problems


def test_files_that_are_none_are_told_by_name(tried, land_rows, tiny_recipe, day, landing):
    land_rows("impressions", day, [impression("a")], "bad.zip").write_bytes(b"PK\x03\x04")
    land_rows("outcomes", day, [OUTCOME]).write_bytes(b"")
    (landing / "impressions" / "dt=newest").mkdir()  # no day
    _, problems = tried(tiny_recipe())
    assert f"impressions/dt={day}/bad.zip: expected Parquet, JSON or CSV, received what looks like a ZIP" in problems
    assert f"outcomes/dt={day}: expected rows, received none in 1 files" in problems
