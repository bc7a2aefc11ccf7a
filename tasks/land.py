"""Split one file that holds many days into landing folders, each row below the day of its own time."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from models.errors import DataRejectedError, StorageError
from models.recipe import Recipe
from models.schema import landed_columns
from tasks import duck
from tasks.clean import as_time
from tasks.landing import ROW, LandedFile, UnreadableFile, read_file
from tasks.landing_zone import LandingZone


@dataclass(frozen=True)
class LandedDays:
    """What one file became: rows by day, and lines that held no row (landed too, to be quarantined by ingest)."""

    rows: dict[str, int]
    malformed: int


def land_file(source: Path, recipe: Recipe, landing: LandingZone) -> LandedDays:
    """Write LANDING/impressions/dt=L/NAME.parquet for each day of the file, columns as they are, in the file's order.

    Rows without a readable time, and lines that hold no row, land on the first day, where ingest quarantines them.
    Landing a file of the same name again replaces all that it had landed. Raises DataRejectedError where the file or
    its time column can't be read, StorageError where the landing zone can't be written.
    """
    name = source.name.removesuffix(".parquet")
    readable, unreadable = f"{name}.parquet", f"{name}.malformed.jsonl"
    try:
        stale = landing.find("impressions", {readable, unreadable})
        with tempfile.TemporaryDirectory() as scratch, duck.connect(Path(scratch)) as connection:
            file, day = _read(connection, source, recipe, Path(scratch))
            rows = _rows_by_day(connection, file, day, source, recipe)
            for landed_day in rows:
                query = _query(file, f"coalesce({day}, DATE '{min(rows)}') = DATE '{landed_day}'")
                with landing.writing("impressions", str(landed_day), readable) as aside:
                    connection.execute(duck.copy_to(aside, query))
                stale.discard((str(landed_day), readable))
            if file.malformed:
                text = "".join(f"{' '.join(row.raw.splitlines())}\n" for row in file.malformed)
                with landing.writing("impressions", str(min(rows)), unreadable) as aside:
                    aside.write_text(text, encoding="utf-8")
                stale.discard((str(min(rows)), unreadable))
        for stale_day, stale_name in stale:
            landing.remove("impressions", stale_day, stale_name)
    except OSError as error:
        msg = f"land {source}: expected a writable {landing} with room, received: {error}. Mend the disk, land again."
        raise StorageError(msg) from error
    return LandedDays({str(landed_day): n for landed_day, n in rows.items()}, len(file.malformed))


def _read(connection: duck.Connection, source: Path, recipe: Recipe, scratch: Path) -> tuple[LandedFile, str]:
    """The file, and the SQL of a row's day, null where its time can't be read."""
    file = read_file(connection, source, landed_columns(recipe), scratch)
    if isinstance(file, UnreadableFile):
        msg = f"land {source}: expected a readable file, received: {file.reason}"
        raise DataRejectedError(msg)
    ts = recipe.landing.columns.ts
    if ts not in file.columns:
        found = ", ".join(file.columns)
        msg = f"land {source}: expected the time column {ts!r}, received {found}. Map it in the recipe."
        raise DataRejectedError(msg)
    time = as_time(duck.name(ts), file.columns[ts], recipe.landing.time)
    return file, f"(CASE WHEN isfinite({time}) THEN ({time})::DATE END)"


def _rows_by_day(
    connection: duck.Connection, file: LandedFile, day: str, source: Path, recipe: Recipe
) -> dict[date, int]:
    """Rows that land on each day, in order of days; those without a readable time count on the first."""
    counted = connection.execute(
        f"SELECT {day} AS day, count(*) FROM {file.table} GROUP BY ALL ORDER BY day"
    ).fetchall()
    rows: dict[date, int] = {day: n for day, n in counted if day is not None}
    if not rows:
        msg = f"land {source}: expected times like landing.time = {recipe.landing.time!r}, received none that is."
        raise DataRejectedError(msg)
    rows[min(rows)] += sum(n for day, n in counted if day is None)
    return rows


def _query(file: LandedFile, condition: str) -> str:
    """Some of the file's rows with the columns that it really has, in its order."""
    columns = ", ".join(duck.name(column) for column in file.columns)
    return f"SELECT {columns} FROM {file.table} WHERE {condition} ORDER BY {ROW}"
