"""Stage 1, ingest: landing files of a day → clean impressions and outcomes, and a profile of the day.

Every row that came in is kept, a duplicate, or quarantined with a reason; the three add up, or nothing is published.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.errors import BusyError, DataRejectedError, StorageError
from models.recipe import Recipe
from models.schema import OUTCOME_COLUMNS, Column, Counts, impression_columns, landed_columns
from tasks import duck, layout
from tasks.attribution import labelled
from tasks.clean import clean_impressions, clean_outcomes
from tasks.landing import LandedFile, damaged_files, fingerprint, read_day
from tasks.landing_zone import LandingZone
from tasks.store import Store, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

SCRATCH = "scratch"  # below a day's object while it is written


@dataclass(frozen=True)
class IngestedDay:
    """A published landing day: where it is and what came in."""

    day: date
    path: str
    impressions: Counts
    outcomes: Counts
    unreadable: dict[str, str]  # file name → what is wrong with it
    unknown_columns: tuple[str, ...]  # that landed with the impressions and that the recipe doesn't name

    @property
    def identity(self) -> str:
        """Digest of the landed files and of how they were read."""
        return self.path.rsplit("/", maxsplit=1)[-1]


@task(cache_policy=NO_CACHE)
def ingest_day(store: Store, landing: LandingZone, recipe: Recipe, day: date, now: datetime) -> IngestedDay:
    """Publish what landed on `day`; landing files that were ingested before are recognised and left alone.

    Raises DataRejectedError where nothing landed, no row came in or none could be used.
    """
    impression_files = landing.files("impressions", day)
    outcome_files = [] if recipe.inline_label else landing.files("outcomes", day)
    if not impression_files:
        msg = (
            f"nothing landed on {day}: expected files under {landing}/impressions/dt={day}, received none. "
            "Check the export job, then run again."
        )
        raise DataRejectedError(msg)
    landed = {"impressions": fingerprint(impression_files), "outcomes": fingerprint(outcome_files)}
    identity = digest_of([landed, _definition(recipe)])
    path = layout.day_object(day, identity)
    if store.manifest(path) is None:
        meta = {"day": day, "landed": landed, "recipe_digest": recipe.digest, "definition": _definition(recipe)}
        with store.writing(path, meta) as folder:
            _fill(folder, recipe, day, impression_files, outcome_files)
    _point_at(store, day, identity, now)
    return load_ingested_day(store, day)


def load_ingested_day(store: Store, day: date) -> IngestedDay:
    """The landing day that the ref names; raises DataRejectedError where the day was not ingested."""
    path = current_day_object(store, day)
    file = store.file(path, "summary.json") if path else None
    if path is None or file is None:
        msg = f"{day} was not ingested: expected refs/{layout.day_ref(day)}.json, received none. Run `ingest` first."
        raise DataRejectedError(msg)
    summary = json.loads(file.read_text(encoding="utf-8"))
    impressions, outcomes = Counts(**summary["impressions"]), Counts(**summary["outcomes"])
    return IngestedDay(day, path, impressions, outcomes, summary["unreadable"], tuple(summary["unknown_columns"]))


def current_day_object(store: Store, day: date) -> str | None:
    """The path of a landing day's current object, None where the day was not ingested."""
    ref = store.read_ref(layout.day_ref(day))
    return layout.day_object(day, ref.value["current"]) if ref else None


def ingested_by(store: Store, day: date, recipe: Recipe) -> bool:
    """Whether the day was ingested, and as this recipe reads it: the same columns, times and labels."""
    path = current_day_object(store, day)
    manifest = store.manifest(path) if path else None
    return manifest is not None and manifest["definition"] == _definition(recipe)


def _definition(recipe: Recipe) -> str:
    """Digest of all that a day's object depends on beside the landed files."""
    labels = {name: [c.positive_kind, c.attribution_window_hours] for name, c in recipe.channels.items()}
    profiled = [sorted(recipe.validation.max_null_share), sorted(recipe.validation.value_sets)]
    columns = [repr(column) for column in impression_columns(recipe)]
    return digest_of([recipe.landing.model_dump(mode="json"), columns, labels, profiled])


def _point_at(store: Store, day: date, identity: str, now: datetime) -> None:
    ref = store.read_ref(layout.day_ref(day))
    if ref and ref.value["current"] == identity:
        return
    history = [*(ref.value["history"] if ref else []), {"current": identity, "at": now.isoformat()}]
    try:
        store.swap_ref(layout.day_ref(day), {"current": identity, "history": history}, ref)
    except BusyError:  # another run was faster: with the same files there is nothing left to do
        if current_day_object(store, day) != layout.day_object(day, identity):
            raise


def _fill(folder: Path, recipe: Recipe, day: date, impression_files: list[Path], outcome_files: list[Path]) -> None:
    """Write the day's object into `folder`: impressions/, outcomes/, quarantine/, profile.parquet, summary.json."""
    for name in ("impressions", "outcomes", "quarantine", SCRATCH):
        (folder / name).mkdir()

    def impressions_query(files: list[LandedFile]) -> str:
        return clean_impressions(files, recipe, impression_columns(recipe), day)

    def outcomes_query(files: list[LandedFile]) -> str:
        return clean_outcomes(files, recipe, day)

    with duck.connect(folder / SCRATCH) as connection:
        stream = _Stream("impressions", impression_files, landed_columns(recipe), impressions_query, "event_id")
        impressions = _take_in(connection, stream, folder)
        if not impressions.counts.kept:
            raise _nothing_usable(connection, folder, day, impressions.counts)
        stream = _Stream("outcomes", outcome_files, OUTCOME_COLUMNS, outcomes_query, "event_id, kind")
        outcomes = _take_in(connection, stream, folder)
        connection.execute(duck.copy_to(folder / "profile.parquet", _profile(folder, recipe)))
        connection.execute(duck.copy_to(folder / "values.parquet", _values(folder, recipe)))
    shutil.rmtree(folder / SCRATCH)
    summary = {
        "impressions": asdict(impressions.counts),
        "outcomes": asdict(outcomes.counts),
        "unreadable": impressions.unreadable | outcomes.unreadable,
        "unknown_columns": sorted(impressions.columns - {column.source for column in landed_columns(recipe)}),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class _Stream:
    """One of the two streams on its way in. `query` makes of its files our columns, `_reason` and each row's origin."""

    name: str
    paths: list[Path]
    wanted: tuple[Column, ...]
    query: Callable[[list[LandedFile]], str]
    key: str


@dataclass(frozen=True)
class _TakenIn:
    """What came in by one stream; unreadable files by `stream/name`, with what is wrong."""

    counts: Counts
    unreadable: dict[str, str]
    columns: set[str]


def _take_in(connection: duckdb.DuckDBPyConnection, stream: _Stream, folder: Path) -> _TakenIn:
    files, unreadable = read_day(connection, stream.paths, stream.wanted, folder / SCRATCH)
    reasons = {file.name: file.reason for file in unreadable}
    try:
        counts = _split(connection, stream, files, folder)
    except duckdb.Error:
        damaged = damaged_files(connection, files)
        files = [file for file in files if file.name not in damaged]
        reasons |= damaged
        if not damaged:
            raise
        if not files:
            msg = f"{stream.paths[0].parent}: expected at least one readable file, received damaged ones: {damaged}"
            raise DataRejectedError(msg, unreadable=damaged) from None
        counts = _split(connection, stream, files, folder)
    columns = {name for file in files for name in file.columns}
    return _TakenIn(counts, {f"{stream.name}/{name}": reason for name, reason in reasons.items()}, columns)


def _split(connection: duckdb.DuckDBPyConnection, stream: _Stream, files: list[LandedFile], folder: Path) -> Counts:
    """Send each row of a stream to one of three places; raises StorageError where they don't add up.

    Duplicates cost two passes: hashes of keys that occur more than once, then a sort of those rows alone; all others
    stream through. A hash collision merely sends a row to the sorted side.
    """
    connection.execute(f"CREATE OR REPLACE TEMP VIEW rows_in AS {stream.query(files)}")
    quarantined = _quarantine(connection, stream.name, files, folder)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT hash({stream.key}) AS h "
        "FROM rows_in WHERE _reason IS NULL GROUP BY h HAVING count(*) > 1"
    )
    candidates = f"FROM rows_in WHERE _reason IS NULL AND hash({stream.key}) IN (SELECT h FROM repeated)"
    duplicates = duck.scalar(
        connection, f"SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n {candidates} GROUP BY {stream.key})"
    )
    kept = duck.scalar(
        connection,
        duck.copy_to(
            folder / stream.name / "part.parquet",
            f"SELECT * EXCLUDE (_reason, _file, _row, _raw) FROM rows_in WHERE _reason IS NULL "
            f"AND hash({stream.key}) NOT IN (SELECT h FROM repeated) "
            f"UNION ALL SELECT * EXCLUDE (_reason, _file, _row, _raw) {candidates} "
            f"QUALIFY row_number() OVER (PARTITION BY {stream.key} ORDER BY ts, _file, _row) = 1",
        ),
    )
    received = sum(file.rows + len(file.malformed) for file in files)
    counts = Counts(received, kept, duplicates, quarantined)
    if not counts.conserved:
        msg = f"{stream.name}: expected received = kept + duplicates + quarantined, received {counts}; please report it"
        raise StorageError(msg)
    return counts


def _quarantine(connection: duckdb.DuckDBPyConnection, stream: str, files: list[LandedFile], folder: Path) -> int:
    """Write the stream's unusable rows and malformed lines with file, row, reason and their beginning.

    `row` counts from 1 among the file's rows; a CSV header and blank lines are none.
    """
    typed = duck.scalar(
        connection,
        duck.copy_to(
            folder / "quarantine" / f"{stream}.parquet",
            "SELECT _file AS file, _row + 1 AS row, _reason AS reason, left(_raw::VARCHAR, 2000) AS raw "
            "FROM rows_in WHERE _reason IS NOT NULL",
        ),
    )
    lines = [
        {"file": file.name, "row": row.row, "reason": row.reason, "raw": row.raw}
        for file in files
        for row in file.malformed
    ]
    if lines:
        schema = pa.schema([("file", pa.string()), ("row", pa.int64()), ("reason", pa.string()), ("raw", pa.string())])
        pq.write_table(pa.Table.from_pylist(lines, schema), folder / "quarantine" / f"{stream}-malformed.parquet")
    return typed + len(lines)


def _profile(folder: Path, recipe: Recipe) -> str:
    """The day in numbers, by event day, channel, campaign and hour; positives as seen by the end of the day."""
    impressions = duck.parquet(folder / "impressions" / "part.parquet")
    outcomes = duck.parquet(folder / "outcomes" / "part.parquet")
    campaign = "campaign_id" if recipe.landing.columns.campaign_id else "''"
    nulls = "".join(
        f", count(*) - count({duck.name(column)}) AS {duck.name('nulls_' + column)}"
        for column in recipe.validation.max_null_share
    )
    return (
        f"SELECT ts::DATE AS event_day, channel, {campaign} AS campaign_id, hour(ts)::TINYINT AS hour, "
        f"count(*) AS rows, sum(label)::BIGINT AS positives, max(ts) AS last_ts{nulls} "
        f"FROM ({labelled(impressions, outcomes, recipe)}) GROUP BY ALL ORDER BY ALL"
    )


def _values(folder: Path, recipe: Recipe) -> str:
    """Distinct values of the columns for which the recipe names a value set: (column, value, rows)."""
    impressions = duck.parquet(folder / "impressions" / "part.parquet")
    selects = [
        f"SELECT {duck.text(column)} AS name, {duck.name(column)}::VARCHAR AS value, count(*) AS rows "
        f"FROM {impressions} WHERE {duck.name(column)} IS NOT NULL GROUP BY ALL"
        for column in recipe.validation.value_sets
    ] or ["SELECT ''::VARCHAR AS name, ''::VARCHAR AS value, 0::BIGINT AS rows WHERE false"]
    return f"SELECT * FROM ({' UNION ALL '.join(selects)}) ORDER BY name, value"


def _nothing_usable(
    connection: duckdb.DuckDBPyConnection, folder: Path, day: date, counts: Counts
) -> DataRejectedError:
    """The error of a day that is empty or holds no usable row, with the commonest reason and an example."""
    if not counts.received:
        return DataRejectedError(
            f"impressions of {day} are empty: expected rows, received files without any. Check the export job."
        )
    quarantine = duck.parquet(folder / "quarantine" / "*.parquet")
    row = connection.execute(
        f"SELECT reason, count(*), any_value(file), any_value(raw) FROM {quarantine} "
        "GROUP BY reason ORDER BY count(*) DESC, reason LIMIT 1"
    ).fetchone()
    reason, rows, file, raw = row or ("", 0, "", "")
    return DataRejectedError(
        f"impressions of {day}: expected usable rows, received none of {counts.received}; most often {reason} "
        f"({rows} rows, such as {str(raw)[:200]} in {file}). Mend the export or [landing] in the recipe.",
        reason=reason,
    )
