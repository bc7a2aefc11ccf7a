"""Splitting of one file that holds many days into landing folders, each row below the day of its own time.

Outcomes that stand in the impression's own row become rows of the outcome stream, each below the landing day of its
own time: a click two days later lands two days later, as it would have from a log of its own.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ctr_retrain.models.data.schema import absent_words, key_of, landed_columns, outcome_columns, required_keys
from ctr_retrain.models.documents.command_documents import LandAnswer
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.column_rules import event_id
from ctr_retrain.tasks.landing.file_parts import LandedFile, UnreadableFile
from ctr_retrain.tasks.landing.landed_values import as_label, as_text, as_time, is_missing
from ctr_retrain.tasks.landing.landing_zone import LandingZone, ZoneOfFile
from ctr_retrain.tasks.landing.read_landing import Reading, read_file
from ctr_retrain.tasks.landing.text_to_parquet import ROW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctr_retrain.models.data.schema import Column
    from ctr_retrain.models.recipe.landing_section import InlineOutcome, Landing
    from ctr_retrain.models.recipe.recipe import Recipe

# A time that says yes by being there says no in more ways than by holding nothing, in small letters.
NO_TIME = ("false", "f", "no", "n", "-1", "0")
DAMAGE = (duckdb.DataError, duckdb.InternalError)  # raised by rows that can't be read
ENDINGS = (".parquet", ".malformed.jsonl")  # of the files that a file is split into, behind its own name


def land_streams(
    source: Path, outcomes: Path | None, recipe: Recipe, landing: LandingZone, last: date | None = None
) -> LandAnswer:
    """Land a file of impressions, and one of outcomes where these have a file of their own; see `land_file`."""
    landed = land_file(source, recipe, landing, last)
    if outcomes is None:
        return landed
    more = land_outcomes(outcomes, recipe, landing, last)
    days = sorted(landed.outcomes.keys() | more.outcomes.keys())
    total = {day: landed.outcomes.get(day, 0) + more.outcomes.get(day, 0) for day in days}
    return landed.model_copy(update={"outcomes": total, "malformed": landed.malformed + more.malformed})


def land_file(source: Path, recipe: Recipe, landing: LandingZone, last: date | None = None) -> LandAnswer:
    """Write LANDING/impressions/dt=L/NAME.parquet for each day of the file, columns as they are, in the file's order.

    Rows without a readable time, and lines that hold no row, land on the first day, where ingest quarantines them.
    Outcomes among the rows go to LANDING/outcomes/dt=L/NAME.parquet; see `_outcomes_of` and `_logged_outcomes`. Landing
    a file of the same name again replaces all that it had landed. last: days after it are left out. Raises
    DataRejectedError where the file or a column that landing needs can't be read, StorageError where the landing zone
    can't be written.
    """
    rules = recipe.landing
    with _connected(source, landing) as (connection, scratch):
        streams = ("impressions", "outcomes")[: 1 + bool(rules.outcomes or rules.event_log.column)]
        zone = ZoneOfFile(landing, source.name.removesuffix(".parquet"), streams, ENDINGS)
        file = _read(connection, source, landed_columns(recipe), rules, scratch)
        _require_columns(file, source, recipe)
        impressions, others = _take_apart(connection, file, source, rules)
        own_day = _day_of(file, rules.columns.ts, rules, rules.time)
        days = _days(connection, impressions, source, own_day, rules.time, last)
        _write_days(connection, impressions, "impressions", days, zone, own_day)
        queries = [(d.day, _outcomes_of(impressions, d, recipe, zone.file_name())) for d in days if rules.outcomes]
        queries += [(d.day, _logged_outcomes(others, d.day, rules)) for d in days[:1] if others]
        outcomes = _write_outcomes(connection, queries, recipe, zone, scratch)
        zone.remove_stale()
    return LandAnswer(
        landing=str(landing),
        rows={day.day: day.rows for day in days},
        outcomes=outcomes,
        malformed=len(file.malformed),
    )


def land_outcomes(source: Path, recipe: Recipe, landing: LandingZone, last: date | None = None) -> LandAnswer:
    """Write LANDING/outcomes/dt=L/NAME.parquet for each day of a file of outcomes, as `land_file` does."""
    rules, columns = recipe.landing, outcome_columns(recipe)
    with _connected(source, landing) as (connection, scratch):
        zone = ZoneOfFile(landing, source.name.removesuffix(".parquet"), ("outcomes",), ENDINGS)
        file = _read(connection, source, columns, rules, scratch)
        needed = {column.source: key_of(column, "outcomes") for column in columns if column.required}
        _refuse_absent(file, source, needed)
        written = rules.outcome_time or rules.time
        own_day = _day_of(file, rules.outcome_columns.ts, rules, written)
        days = _days(connection, file, source, own_day, written, last)
        _write_days(connection, file, "outcomes", days, zone, own_day)
        zone.remove_stale()
    rows = {day.day: day.rows for day in days}
    return LandAnswer(landing=str(landing), rows={}, outcomes=rows, malformed=len(file.malformed))


@contextlib.contextmanager
def _connected(source: Path, landing: LandingZone) -> Iterator[tuple[duck.Connection, Path]]:
    """Give a connection and a scratch folder, and turn what file or landing zone refuse into errors for a person."""
    try:
        with tempfile.TemporaryDirectory() as scratch, duck.connect(Path(scratch)) as connection:
            yield connection, Path(scratch)
    except DAMAGE as error:
        msg = f"land {source}: expected a file whose rows can all be read, received: {str(error).splitlines()[0]}"
        raise DataRejectedError(msg) from error
    except OSError as error:
        msg = f"land {source}: expected a writable {landing} with room, received: {error}. Mend the disk, land again."
        raise StorageError(msg) from error


def _write_days(
    connection: duck.Connection, file: LandedFile, stream: str, days: list[_Day], zone: ZoneOfFile, own_day: str
) -> None:
    """Write the rows of each day, and the lines that hold none to the first."""
    columns = ", ".join(duck.name(column) for column in file.columns)
    for day in days:
        query = f"SELECT {columns} FROM {file.table} WHERE {_lands_on(day, own_day)} ORDER BY {ROW}"
        with zone.writing(stream, day.day) as aside:
            connection.execute(duck.copy_to(aside, query))
    if file.malformed and days:
        text = "".join(f"{' '.join(row.raw.splitlines())}\n" for row in file.malformed)
        with zone.writing(stream, days[0].day, ".malformed.jsonl") as aside:
            aside.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class _Day:
    """A landing day of the file's rows."""

    day: date
    rows: int  # of the file, that land on it
    first_row: int  # the smallest number of these rows
    last_row: int  # the largest; rows of other days may lie between them
    takes_unreadable: bool = False  # rows without a readable time land on it as well


def _read(
    connection: duck.Connection, source: Path, columns: tuple[Column, ...], landing: Landing, scratch: Path
) -> LandedFile:
    """Read the file; raises DataRejectedError where it can't be read."""
    file = read_file(connection, source, Reading(columns, scratch, landing))
    if reason := file.reason if isinstance(file, UnreadableFile) else file.damage:
        msg = f"land {source}: expected a readable file, received: {reason}"
        raise DataRejectedError(msg)
    assert isinstance(file, LandedFile)
    return file


def _require_columns(file: LandedFile, source: Path, recipe: Recipe) -> None:
    """Raise DataRejectedError naming each column without which `ingest` would refuse the landed file, and its key."""
    landing = recipe.landing
    needed = required_keys(recipe) | dict.fromkeys(landing.inline_outcome_columns, "[[landing.outcomes]]")
    if landing.event_log.column:
        needed[landing.event_log.column] = "landing.event_log.column"
    _refuse_absent(file, source, needed)
    times = {name: file.columns[name] for name in (outcome.ts or landing.columns.ts for outcome in landing.outcomes)}
    typed = {name for name, kind in times.items() if kind.startswith(("TIMESTAMP", "DATE"))}
    if typed and typed != times.keys() and landing.time != "iso":
        msg = f"land {source}: expected the times of outcomes typed alike, as they share a column, received {times}."
        raise DataRejectedError(msg)


def _refuse_absent(file: LandedFile, source: Path, needed: Mapping[str, str]) -> None:
    """Raise DataRejectedError naming each column that the file lacks, and its key; needed: column → key."""
    if missing := {name: key for name, key in needed.items() if name not in file.columns}:
        msg = f"land {source}: {absent_words(missing, file.columns)}; `init --from` writes a recipe for a file."
        raise DataRejectedError(msg)


def _take_apart(
    connection: duck.Connection, file: LandedFile, source: Path, landing: Landing
) -> tuple[LandedFile, LandedFile | None]:
    """Return an event log's impressions, and its other rows; a file that is none as it is."""
    log = landing.event_log
    if not log.column:
        return file, None
    told = as_text(log.column, file.columns[log.column], landing, file.footer)
    shown = f"coalesce({told} IN ({', '.join(map(duck.text, log.impressions))}), false)"
    if not duck.scalar(connection, f"SELECT count(*) FROM {file.table} WHERE {shown}"):
        seen = connection.execute(f"SELECT DISTINCT {told} FROM {file.table} ORDER BY 1 LIMIT 20").fetchall()
        msg = (
            f"land {source}: expected impressions, rows with {log.column!r} of {list(log.impressions)} "
            f"(landing.event_log), received only {[value for (value,) in seen]}."
        )
        raise DataRejectedError(msg)
    impressions, others = (f"(SELECT * FROM {file.table} WHERE {which})" for which in (shown, f"NOT {shown}"))
    return replace(file, table=impressions), replace(file, table=others)


def _days(
    connection: duck.Connection, file: LandedFile, source: Path, own_day: str, written: str, last: date | None
) -> list[_Day]:
    """List the file's days up to the last; rows without a readable time count on the first. own_day: SQL of a row's."""
    counted = connection.execute(
        f"SELECT {own_day} AS day, count(*), min({ROW}), max({ROW}) FROM {file.table} GROUP BY ALL ORDER BY day"
    ).fetchall()
    days = [_Day(*found) for found in counted if found[0] is not None]
    if not days:
        msg = f"land {source}: expected times like landing.time = {written!r}, received none that is."
        raise DataRejectedError(msg)
    for _, rows, first_row, last_row in (found for found in counted if found[0] is None):
        early, late = min(days[0].first_row, first_row), max(days[0].last_row, last_row)
        days[0] = _Day(days[0].day, days[0].rows + rows, early, late, takes_unreadable=True)
    return [day for day in days if last is None or day.day <= last]


def _day_of(file: LandedFile, column: str, landing: Landing, written: str) -> str:
    """Return the SQL of a time column's day: null where the time can't be read or no calendar has its year."""
    time = as_time(column, file.columns[column], landing, written)
    return f"(CASE WHEN isfinite({time}) AND year({time}) BETWEEN 1 AND 9999 THEN ({time})::DATE END)"


def _lands_on(day: _Day, own_day: str) -> str:
    """Return the condition that a row lands on a day."""
    landing_day = f"coalesce({own_day}, DATE '{day.day}')" if day.takes_unreadable else own_day
    # Logs are written in order of time: between a day's first and last row lies little else, and the rest of the file
    # is left unread.
    return f"{ROW} BETWEEN {day.first_row} AND {day.last_row} AND {landing_day} = DATE '{day.day}'"


def _write_outcomes(
    connection: duck.Connection, queries: list[tuple[date, str]], recipe: Recipe, zone: ZoneOfFile, scratch: Path
) -> dict[date, int]:
    """Write the outcomes that the queries give below their landing days, by way of a scratch file for each query."""
    if not queries:
        return {}
    folder = scratch / "outcomes"
    folder.mkdir()
    for day, query in queries:
        connection.execute(duck.copy_to(folder / f"{day}.parquet", query))
    table = duck.parquet(folder / "*.parquet")
    columns = ", ".join(f"{column.name} AS {duck.name(column.source)}" for column in outcome_columns(recipe))
    counted = connection.execute(f"SELECT landing_day, count(*) FROM {table} GROUP BY ALL ORDER BY ALL").fetchall()
    for landing_day, _ in counted:
        query = f"SELECT {columns} FROM {table} WHERE landing_day = DATE '{landing_day}'"
        with zone.writing("outcomes", landing_day) as aside:
            connection.execute(duck.copy_to(aside, query))
    return dict(counted)


def _logged_outcomes(others: LandedFile, first: date, landing: Landing) -> str:
    """Return the query of an event log's outcomes, as `_outcomes_of` does; those before the first day land on it."""
    identity = event_id(landing, others.columns, first, others.name_sql, ROW)
    ts, kind = landing.columns.ts, landing.event_log.column
    return (
        f"SELECT {identity} AS event_id, {duck.name(ts)} AS ts, "
        f"{as_text(kind, others.columns[kind], landing, others.footer)} AS kind, "
        f"greatest(DATE '{first}', {_day_of(others, ts, landing, landing.time)}) AS landing_day FROM {others.table}"
    )


def _outcomes_of(file: LandedFile, day: _Day, recipe: Recipe, name: str) -> str:
    """Return the query of all outcomes on a day's impressions: event_id as ingest makes it, ts as written, kind, day.

    An outcome lands on the day of its own time. Where that can't be read or lies before the impression's day, it lands
    with the impression and its time stays as it is, so that it is quarantined or counts for nothing, and is not lost.
    A flag that says neither yes nor no makes an outcome without a kind, which ingest quarantines. A column that is the
    outcome's time as well says yes wherever it holds something.
    """
    rows = f"SELECT *, row_number() OVER (ORDER BY {ROW}) - 1 AS landed_row"
    own_day = _day_of(file, recipe.landing.columns.ts, recipe.landing, recipe.landing.time)
    rows += f" FROM {file.table} WHERE {_lands_on(day, own_day)}"
    identity = event_id(recipe.landing, file.columns, day.day, duck.text(name), "landed_row")

    def select(outcome: InlineOutcome) -> str:
        happened = _happened(file, outcome, recipe.landing)
        ts = outcome.ts or recipe.landing.columns.ts
        written = (outcome.ts and recipe.landing.outcome_time) or recipe.landing.time
        return (
            f"SELECT {identity} AS event_id, {duck.name(ts)} AS ts, "
            f"CASE WHEN {happened} = 1 THEN {duck.text(outcome.kind)} END AS kind, "
            f"greatest(DATE '{day.day}', {_day_of(file, ts, recipe.landing, written)}) AS landing_day FROM rows "
            f"WHERE NOT {_nothing(file, outcome, recipe.landing)} AND coalesce({happened}, 1) <> 0"
        )

    return f"WITH rows AS ({rows}) {' UNION ALL '.join(map(select, recipe.landing.outcomes))}"


def _happened(file: LandedFile, outcome: InlineOutcome, landing: Landing) -> str:
    """Return the SQL of 1 where an inline outcome happened, 0 where it didn't, null where its column says neither."""
    if outcome.told_by_time:
        return "1"  # of a time that is there, even if it can't be read: ingest quarantines it then
    return as_label(outcome.column, file.columns[outcome.column], landing)


def _nothing(file: LandedFile, outcome: InlineOutcome, landing: Landing) -> str:
    """Return the condition that what tells of an inline outcome holds nothing, or for a time, that it says no."""
    column = outcome.told_by
    missing = is_missing(column, file.columns[column], "time", landing, file.footer)
    if not outcome.told_by_time:
        return missing
    words = ", ".join(map(duck.text, NO_TIME))
    return f"({missing} OR lower(trim({duck.name(column)}::VARCHAR)) IN ({words}))"
