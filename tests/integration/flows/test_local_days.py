"""Rules of a whole day on somebody else's terms: days of a zone, files that change late, rows without a label.

And columns that stand in a struct: they are read, trained on, served and scored by their whole names.
"""

from datetime import date, timedelta
from types import SimpleNamespace

import duckdb
import pytest

from ctr_retrain.models.recipe.landing_section import Landing
from tests.support.command_line import run
from tests.support.flow_answers import daily
from tests.support.small_world import FIRST_DAY, RECIPE, RUN_DAY

LANDING = """
[landing]
late_days = 0
early_minutes = 5
day_zone = "America/New_York"
columns = { label = "clicked", user_id = "user.id" }
"""
CANCELLED = date(2026, 3, 5)  # the landing day of which most rows have no label


EVENTS = """
CREATE TABLE events AS SELECT
    event_id, ts, channel, campaign_id, category, position, recent_sends, {{'id': user_id, 'segment': segment}} AS user,
    event_id IN (
        SELECT event_id FROM read_json(
            '{landing}/outcomes/*/*', columns = {{event_id: 'VARCHAR', kind: 'VARCHAR'}},
            format = 'newline_delimited', ignore_errors = true
        ) WHERE kind = 'click'
    )::TINYINT AS label, hash(event_id) % 100 AS share
FROM read_parquet('{landing}/impressions/*/*.parquet')
WHERE ts IS NOT NULL AND user_id IS NOT NULL AND campaign_id IS NOT NULL AND channel IN ('ad', 'push')
QUALIFY row_number() OVER (PARTITION BY event_id) = 1
"""
LANDED = """
COPY (
    SELECT * EXCLUDE (label, share), CASE WHEN share >= {unlabelled} THEN label END AS clicked FROM events
    WHERE ts >= '{begins}' AND ts < '{ends}'
) TO '{target}'
"""
BOTH = """
SELECT count(*), max(abs(challenger - probability)) FROM '{judged}' JOIN '{scored}' USING (event_id)
"""


@pytest.fixture(scope="module")
def local(great_expectations, small_landing, tmp_path_factory):
    """A daily run over days that New York's midnight cuts, five minutes late: its document, its root, its rows."""
    folder = tmp_path_factory.mktemp("local")
    (folder / "local.toml").write_text(
        RECIPE.replace("[channels.ad]\n", f"{LANDING}[channels.ad]\n").replace(
            'name = "segment"\n', 'name = "segment"\ncolumn = "user.segment"\n'
        ),
        encoding="utf-8",
    )
    zone = Landing(day_zone="America/New_York")
    with duckdb.connect() as connection:
        connection.execute(EVENTS.format(landing=small_landing))
        for day in (FIRST_DAY + timedelta(days=number) for number in range(6)):
            begins, ends = (zone.day_start(start) + timedelta(minutes=5) for start in (day, day + timedelta(days=1)))
            target = folder / "landing" / "impressions" / f"dt={day}" / "events.parquet"
            target.parent.mkdir(parents=True)
            unlabelled = 60 if day == CANCELLED else 8  # per cent
            connection.execute(LANDED.format(unlabelled=unlabelled, begins=begins, ends=ends, target=target))
    document = daily(RUN_DAY, folder / "local.toml", str(folder / "root"), str(folder / "landing"))
    rows = duckdb.read_parquet(f"{folder}/landing/impressions/*/*.parquet", hive_partitioning=True).to_arrow_table()
    return SimpleNamespace(document=document, folder=folder, rows=rows.to_pandas())


def test_every_day_is_accepted_and_all_its_rows_are_kept_however_many_have_no_label(local):
    assert local.document["validation"]["passed"]
    assert local.document["days"]["train"] == ["2026-03-04", "2026-03-05", "2026-03-06"]
    assert local.document["days"]["validate"] == ["2026-03-07"]
    landed = local.document["ingest"]["impressions"]
    today = local.rows[local.rows["dt"].astype(str) == str(RUN_DAY)]
    assert (landed["kept"], landed["quarantined"], landed["duplicates"]) == (len(today), 0, 0)
    assert local.document["ingest"]["without_label"] == today["clicked"].isna().sum() > 200


def test_each_row_is_judged_on_its_own_utc_day_and_without_a_label_on_none(local):
    own = local.rows[local.rows["ts"].dt.date == RUN_DAY]
    landed_on = set(own["dt"].astype(str))
    assert landed_on == {"2026-03-06", "2026-03-07"}
    late = own[(own["dt"].astype(str) == "2026-03-06") & (own["ts"].dt.hour == 5)]
    assert len(late) >= 3  # in the five minutes after New York's midnight
    figures = local.document["metrics"]["challenger"]
    assert figures["rows"] == own["clicked"].notna().sum()
    assert figures["positives"] == own["clicked"].sum()
    assert {check["name"]: check["passed"] for check in local.document["verdict"]["checks"]}["serving"]


def test_score_reads_the_same_nested_columns_as_the_run_did(local, tmp_path):
    source = local.folder / "landing" / "impressions" / f"dt={RUN_DAY}" / "events.parquet"
    arguments = ("--model", local.document["run_id"], "--input", source, "--output", tmp_path / "s.parquet")
    answer = run("--root", local.folder / "root", "--json", "score", *arguments)
    assert answer.status == 0, answer.stderr
    assert answer.document["absent_columns"] == []
    scored = duckdb.read_parquet(str(tmp_path / "s.parquet"))
    assert scored.columns == [*duckdb.read_parquet(str(source)).columns, "probability"]
    judged = local.folder / "root" / "runs" / local.document["run_id"] / "scores.parquet"
    ((rows, apart),) = duckdb.sql(BOTH.format(judged=judged, scored=tmp_path / "s.parquet")).fetchall()
    assert rows > 1000
    assert apart < 1e-6
