"""Account for the outcomes that landed on a day, as of a day: each was attributed, or not for one reason."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.data.label_landings import final_age_days
from ctr_retrain.models.data.maturity import final_age
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.attribution import window
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES
from ctr_retrain.tasks.store.shards import open_shards

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.store.protocol import Store

REASONS = (  # of which each outcome has exactly one
    "attributed",
    "before_impression_landed",  # attributed all the same
    "duplicate",  # an earlier landing has brought this kind for this impression
    "kind_not_labelled",
    "unknown_impression",  # or one of long ago
    "before_impression",
    "outside_window",
    "landed_too_late",  # after window and grace
)
DAYS_BEYOND = 2  # that are looked at for impressions whose outcomes come too late


def account_outcomes(store: Store, recipe: Recipe, landing_day: date, as_of: date, scratch: Path) -> dict[str, int]:
    """Count outcomes by reason; the counts add up to the outcomes that were kept of the landing day."""
    first = landing_day - timedelta(days=final_age_days(recipe) + DAYS_BEYOND)
    folders = {day: _folders(store, day) for day in day_range(first, as_of)}
    with duck.connect(scratch, threads=1) as connection:
        landed = _files(folders[landing_day], OUTCOMES)
        if not landed or not recipe.kinds:
            return dict.fromkeys(REASONS, 0)
        connection.execute(f"CREATE TABLE landed AS SELECT event_id, kind, ts FROM {duck.parquet(*landed)}")
        _find(connection, folders, landing_day)
        answered = connection.execute(
            f"SELECT {_reason(recipe, landing_day)} AS reason, count(*) FROM landed o "
            "LEFT JOIN impressions i USING (event_id) LEFT JOIN before b USING (event_id, kind) GROUP BY reason"
        ).fetchall()
    return dict.fromkeys(REASONS, 0) | dict(answered)


def _find(connection: duck.Connection, folders: dict[date, list[Path]], landing_day: date) -> None:
    """Fill the tables `impressions`, an event by its first landing, and `before`, what earlier landings brought."""
    connection.execute("CREATE TABLE found (event_id VARCHAR, ts TIMESTAMP, channel VARCHAR, landing DATE)")
    files = [(day, file) for day, landed in folders.items() for file in _files(landed, IMPRESSIONS)]

    def collect(cursor: duck.Connection, item: tuple[date, Path]) -> None:
        day, file = item
        cursor.execute(
            f"INSERT INTO found SELECT event_id, ts, channel, DATE '{day}' FROM {duck.parquet(file)} "
            "WHERE event_id IN (SELECT event_id FROM landed)"
        )

    duck.in_parallel(connection, collect, files)
    connection.execute(
        "CREATE TABLE impressions AS SELECT event_id, arg_min(ts, landing) AS ts, "
        "arg_min(channel, landing) AS channel, min(landing) AS landing FROM found GROUP BY event_id"
    )
    earlier = [file for day, landed in folders.items() if day < landing_day for file in _files(landed, OUTCOMES)]
    rows = duck.parquet(*earlier) if earlier else "(FROM landed LIMIT 0)"
    connection.execute(
        f"CREATE TABLE before AS SELECT DISTINCT event_id, kind, true AS brought FROM {rows} "
        "WHERE (event_id, kind) IN (SELECT (event_id, kind) FROM landed)"
    )


def _reason(recipe: Recipe, landing_day: date) -> str:
    """Return the SQL expression of an outcome's reason: the first rule that holds, in this order."""
    windows, ages = [], []
    for name, channel in recipe.channels.items():
        for kind in channel.windows_hours:
            when = f"WHEN i.channel = {duck.text(name)} AND o.kind = {duck.text(kind)} THEN"
            windows.append(f"{when} {window(recipe, name, kind)}")
            ages.append(f"{when} {final_age(recipe, name, kind)}")
    own_window, own_age = f"(CASE {' '.join(windows)} END)", f"(CASE {' '.join(ages)} END)"
    kinds = ", ".join(duck.text(kind) for kind in recipe.kinds)
    rules = [
        ("kind_not_labelled", f"o.kind NOT IN ({kinds})"),
        ("duplicate", "b.brought"),
        ("unknown_impression", "i.event_id IS NULL"),
        ("kind_not_labelled", f"{own_age} IS NULL"),
        ("before_impression", "o.ts < i.ts"),
        ("outside_window", f"o.ts > i.ts + {own_window}"),
        ("landed_too_late", f"DATE '{landing_day}' > i.ts::DATE + {own_age}"),
        ("before_impression_landed", f"i.landing > DATE '{landing_day}'"),
    ]
    return f"CASE {' '.join(f'WHEN {rule} THEN {duck.text(reason)}' for reason, rule in rules)} ELSE 'attributed' END"


def _folders(store: Store, day: date) -> list[Path]:
    """Return the folders of a landed day, one for each shard; none where the day was not ingested."""
    path = current_day_object(store, day)
    return open_shards(store, path) if path else []


def _files(folders: list[Path], stream: str) -> list[Path]:
    """Return the Parquet files of impressions or outcomes in the folders."""
    return [file for folder in folders for file in sorted((folder / stream).glob("*.parquet"))]
