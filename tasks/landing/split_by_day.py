"""Splitting of one file that holds many days into landing folders, each row below the day of its own time.

Outcomes that stand in the impression's own row become rows of the outcome stream, each below the landing day of its
own time: a click two days later lands two days later, as it would have from a log of its own.
"""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from ctr_retrain.models.data.schema import absent_words, landed_columns, outcome_columns, required_keys
from ctr_retrain.models.documents.command_documents import LandAnswer
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.column_rules import event_id
from ctr_retrain.tasks.landing.file_parts import LandedFile, UnreadableFile
from ctr_retrain.tasks.landing.landed_values import as_label, as_time, is_missing
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.landing.read_landing import read_file
from ctr_retrain.tasks.landing.text_to_parquet import ROW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctr_retrain.models.recipe.landing_section import InlineOutcome, Landing
    from ctr_retrain.models.recipe.recipe import Recipe

# A time that says yes by being there says no in more ways than by holding nothing, in small letters.
NO_TIME = ("false", "f", "no", "n", "-1", "0")
DAMAGE = (duckdb.DataError, duckdb.InternalError)  # raised by rows that can't be read
ENDINGS = (".parquet", ".malformed.jsonl")  # of the files that a file is split into, behind its own name


def land_file(source: Path, recipe: Recipe, landing: LandingZone) -> LandAnswer:
    """Write LANDING/impressions/dt=L/NAME.parquet for each day of the file, columns as they are, in the file's order.

    Rows without a readable time, and lines that hold no row, land on the first day, where ingest quarantines them.
    Inline outcomes go to LANDING/outcomes/dt=L/NAME.parquet; see `_outcomes_of`. Landing a file of the same name
    again replaces all that it had landed. Raises DataRejectedError where the file or a column that landing needs
    can't be read, StorageError where the landing zone can't be written.
    """
    try:
        zone = _ZoneOfFile(landing, source.name.removesuffix(".parquet"), with_outcomes=bool(recipe.landing.outcomes))
        with tempfile.TemporaryDirectory() as scratch, duck.connect(Path(scratch)) as connection:
            file = _read(connection, source, recipe, Path(scratch))
            days = _days(connection, file, source, recipe)
            for day in days:
                with zone.writing("impressions", day.day) as aside:
                    connection.execute(duck.copy_to(aside, _rows_of(file, day, recipe)))
            outcomes = _land_outcomes(connection, file, days, recipe, zone, Path(scratch))
            if file.malformed:
                text = "".join(f"{' '.join(row.raw.splitlines())}\n" for row in file.malformed)
                with zone.writing("impressions", days[0].day, ".malformed.jsonl") as aside:
                    aside.write_text(text, encoding="utf-8")
        zone.remove_stale()
    except DAMAGE as error:
        msg = f"land {source}: expected a file whose rows can all be read, received: {str(error).splitlines()[0]}"
        raise DataRejectedError(msg) from error
    except OSError as error:
        msg = f"land {source}: expected a writable {landing} with room, received: {error}. Mend the disk, land again."
        raise StorageError(msg) from error
    return LandAnswer(
        landing=str(landing),
        rows={day.day: day.rows for day in days},
        outcomes=outcomes,
        malformed=len(file.malformed),
    )


class _ZoneOfFile:
    """The landing zone for one file's rows, which replace those of an earlier landing of that file."""

    def __init__(self, landing: LandingZone, name: str, *, with_outcomes: bool) -> None:
        """Note the files of an earlier landing; outcomes among them only where this landing makes outcomes too."""
        self._landing, self._name = landing, name
        streams = ("impressions", "outcomes") if with_outcomes else ("impressions",)
        names = {f"{name}{end}" for end in ENDINGS}
        self._stale = {(stream, *found) for stream in streams for found in landing.find(stream, names)}

    @contextlib.contextmanager
    def writing(self, stream: str, day: date, ending: str = ".parquet") -> Iterator[Path]:
        """Give a path aside to write a landed file to; it is landed on leaving without an error."""
        with self._landing.writing(stream, str(day), self.file_name(ending)) as aside:
            yield aside
        self._stale.discard((stream, str(day), self.file_name(ending)))

    def file_name(self, ending: str = ".parquet") -> str:
        """Return the file's name below each landing day."""
        return f"{self._name}{ending}"

    def remove_stale(self) -> None:
        """Remove the files of an earlier landing that this one did not write anew."""
        for stream, day, name in self._stale:
            self._landing.remove(stream, day, name)


@dataclass(frozen=True)
class _Day:
    """A landing day of the file's rows."""

    day: date
    rows: int  # of the file, that land on it
    first_row: int  # the smallest number of these rows
    last_row: int  # the largest; rows of other days may lie between them
    takes_unreadable: bool = False  # rows without a readable time land on it as well


def _read(connection: duck.Connection, source: Path, recipe: Recipe, scratch: Path) -> LandedFile:
    """Read the file; raises DataRejectedError where it can't be read or lacks a column that landing needs."""
    landing = recipe.landing
    file = read_file(connection, source, landed_columns(recipe), scratch, landing)
    if reason := file.reason if isinstance(file, UnreadableFile) else file.damage:
        msg = f"land {source}: expected a readable file, received: {reason}"
        raise DataRejectedError(msg)
    assert isinstance(file, LandedFile)
    _require_columns(file, source, recipe)
    landing = recipe.landing
    times = {name: file.columns[name] for name in (outcome.ts or landing.columns.ts for outcome in landing.outcomes)}
    typed = {name for name, kind in times.items() if kind.startswith(("TIMESTAMP", "DATE"))}
    if typed and typed != times.keys() and landing.time != "iso":
        msg = f"land {source}: expected the times of outcomes typed alike, as they share a column, received {times}."
        raise DataRejectedError(msg)
    return file


def _require_columns(file: LandedFile, source: Path, recipe: Recipe) -> None:
    """Raise DataRejectedError naming each column without which `ingest` would refuse the landed file, and its key."""
    landing = recipe.landing
    needed = required_keys(recipe) | dict.fromkeys(landing.inline_outcome_columns, "[[landing.outcomes]]")
    if missing := {name: key for name, key in needed.items() if name not in file.columns}:
        msg = f"land {source}: {absent_words(missing, file.columns)}; `init --from` writes a recipe for a file."
        raise DataRejectedError(msg)


def _days(connection: duck.Connection, file: LandedFile, source: Path, recipe: Recipe) -> list[_Day]:
    """List the file's days in order; rows without a readable time count on the first."""
    day = _day_of(file, recipe.landing.columns.ts, recipe.landing, recipe.landing.time)
    counted = connection.execute(
        f"SELECT {day} AS day, count(*), min({ROW}), max({ROW}) FROM {file.table} GROUP BY ALL ORDER BY day"
    ).fetchall()
    days = [_Day(*found) for found in counted if found[0] is not None]
    if not days:
        msg = f"land {source}: expected times like landing.time = {recipe.landing.time!r}, received none that is."
        raise DataRejectedError(msg)
    for _, rows, first_row, last_row in (found for found in counted if found[0] is None):
        early, late = min(days[0].first_row, first_row), max(days[0].last_row, last_row)
        days[0] = _Day(days[0].day, days[0].rows + rows, early, late, takes_unreadable=True)
    return days


def _day_of(file: LandedFile, column: str, landing: Landing, written: str) -> str:
    """Return the SQL of a time column's day: null where the time can't be read or no calendar has its year."""
    time = as_time(column, file.columns[column], landing, written)
    return f"(CASE WHEN isfinite({time}) AND year({time}) BETWEEN 1 AND 9999 THEN ({time})::DATE END)"


def _rows_of(file: LandedFile, day: _Day, recipe: Recipe) -> str:
    """Return the query of the day's rows, with the columns that the file really has, in its order."""
    columns = ", ".join(duck.name(column) for column in file.columns)
    return f"SELECT {columns} FROM {file.table} WHERE {_lands_on(file, day, recipe)} ORDER BY {ROW}"


def _lands_on(file: LandedFile, day: _Day, recipe: Recipe) -> str:
    """Return the condition that a row lands on a day."""
    own_day = _day_of(file, recipe.landing.columns.ts, recipe.landing, recipe.landing.time)
    landing_day = f"coalesce({own_day}, DATE '{day.day}')" if day.takes_unreadable else own_day
    # Logs are written in order of time: between a day's first and last row lies little else, and the rest of the file
    # is left unread.
    return f"{ROW} BETWEEN {day.first_row} AND {day.last_row} AND {landing_day} = DATE '{day.day}'"


def _land_outcomes(
    connection: duck.Connection, file: LandedFile, days: list[_Day], recipe: Recipe, zone: _ZoneOfFile, scratch: Path
) -> dict[date, int]:
    """Write the inline outcomes below their landing days, by way of a scratch file for each day of impressions."""
    if not recipe.landing.outcomes:
        return {}
    folder = scratch / "outcomes"
    folder.mkdir()
    for day in days:
        query = _outcomes_of(file, day, recipe, zone.file_name())
        connection.execute(duck.copy_to(folder / f"{day.day}.parquet", query))
    table = duck.parquet(folder / "*.parquet")
    columns = ", ".join(f"{column.name} AS {duck.name(column.source)}" for column in outcome_columns(recipe))
    counted = connection.execute(f"SELECT landing_day, count(*) FROM {table} GROUP BY ALL ORDER BY ALL").fetchall()
    for landing_day, _ in counted:
        query = f"SELECT {columns} FROM {table} WHERE landing_day = DATE '{landing_day}'"
        with zone.writing("outcomes", landing_day) as aside:
            connection.execute(duck.copy_to(aside, query))
    return dict(counted)


def _outcomes_of(file: LandedFile, day: _Day, recipe: Recipe, name: str) -> str:
    """Return the query of all outcomes on a day's impressions: event_id as ingest makes it, ts as written, kind, day.

    An outcome lands on the day of its own time. Where that can't be read or lies before the impression's day, it lands
    with the impression and its time stays as it is, so that it is quarantined or counts for nothing, and is not lost.
    A flag that says neither yes nor no makes an outcome without a kind, which ingest quarantines. A column that is the
    outcome's time as well says yes wherever it holds something.
    """
    rows = f"SELECT *, row_number() OVER (ORDER BY {ROW}) - 1 AS landed_row"
    rows += f" FROM {file.table} WHERE {_lands_on(file, day, recipe)}"
    identity = event_id(recipe.landing, file.columns, day.day, name, "landed_row")

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
