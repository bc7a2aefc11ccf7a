"""Split one file that holds many days into landing folders, each row below the day of its own time."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from models.errors import DataRejectedError
from models.recipe import Recipe
from models.schema import impression_columns
from tasks import duck
from tasks.clean import as_time
from tasks.landing import ROW, UnreadableFile, read_file


@dataclass(frozen=True)
class LandedDays:
    """What one file became: rows by day, and lines that held no row (landed too, to be quarantined by ingest)."""

    rows: dict[str, int]
    malformed: int


def land_file(source: Path, recipe: Recipe, landing: Path) -> LandedDays:
    """Write LANDING/impressions/dt=L/STEM.parquet for each day of the file, columns as they are, in the file's order.

    Rows without a readable time, and lines that hold no row, land on the first day, where ingest quarantines them.
    Landing a file again replaces what it had landed. Raises DataRejectedError where the file or its time column can't
    be read.
    """
    columns = impression_columns(recipe)
    stem = source.name.split(".", maxsplit=1)[0]
    with tempfile.TemporaryDirectory() as scratch, duck.connect(Path(scratch)) as connection:
        file = read_file(connection, source, columns, Path(scratch))
        if isinstance(file, UnreadableFile):
            msg = f"land {source}: expected a readable file, received: {file.reason}"
            raise DataRejectedError(msg)
        ts = recipe.landing.columns.ts
        if ts not in file.columns:
            msg = f"land {source}: expected the time column {ts!r}, received {', '.join(file.columns)}. Map it in the recipe."
            raise DataRejectedError(msg)
        rows = duck.parquet(file.parquet)
        time = as_time(duck.name(ts), file.columns[ts], recipe.landing.time)
        connection.execute(
            f"CREATE TEMP TABLE days AS SELECT ({time})::DATE AS day, count(*) AS n FROM {rows} GROUP BY 1"
        )
        counts = connection.execute("SELECT day, n FROM days WHERE day IS NOT NULL ORDER BY day").fetchall()
        if not counts:
            msg = f"land {source}: expected times like landing.time = {recipe.landing.time!r}, received none that is."
            raise DataRejectedError(msg)
        hidden = f"* EXCLUDE ({ROW})" if file.parquet != source else "*"
        order = f" ORDER BY {ROW}" if file.parquet != source else ""
        for number, (day, _) in enumerate(counts):
            unreadable = f" OR ({time}) IS NULL" if number == 0 else ""
            query = f"SELECT {hidden} FROM {rows} WHERE ({time})::DATE = DATE '{day}'{unreadable}{order}"
            _write_whole(connection, query, landing / "impressions" / f"dt={day}" / f"{stem}.parquet")
    if file.malformed:
        text = "".join(row.raw.replace("\n", " ") + "\n" for row in file.malformed)
        (landing / "impressions" / f"dt={counts[0][0]}" / f"{stem}-malformed.jsonl").write_text(text, encoding="utf-8")
    return LandedDays({str(day): n for day, n in counts}, len(file.malformed))


def _write_whole(connection: duck.Connection, query: str, target: Path) -> None:
    """Write a query's rows so that readers of the landing zone see the whole file or none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{uuid.uuid4().hex}.parquet")
    try:
        connection.execute(duck.copy_to(aside, query))
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
