"""Stage 2, label: impressions of an event day joined to the outcomes that had landed by a day.

The object's key is the digest of the landed days that went in, so a mature day is computed once, a young one anew
each day, and an old `as_of` gives the same content again.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.errors import DataRejectedError
from models.labels import impression_landings, label_definition, outcome_landings
from models.recipe import Recipe
from tasks import duck, layout
from tasks.attribution import labelled
from tasks.ingest import current_day_object
from tasks.store import Store, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class LabelledDay:
    """A published label object."""

    day: date
    path: str
    rows: int
    positives: int


@task(cache_policy=NO_CACHE)
def label_day(store: Store, recipe: Recipe, event_day: date, as_of: date) -> LabelledDay:
    """Publish the labels of an event day as of a day; rows in order of time, each event once.

    Raises DataRejectedError where the event day itself was not ingested.
    """
    impressions = _day_objects(store, impression_landings(event_day, as_of, recipe))
    outcomes = _day_objects(store, outcome_landings(event_day, as_of, recipe))
    if event_day not in impressions:
        msg = f"labels of {event_day}: expected the day to be ingested, received none. Run `ingest --date {event_day}`."
        raise DataRejectedError(msg)
    key = digest_of([sorted(impressions.values()), sorted(outcomes.values()), label_definition(recipe)])
    path = layout.label_object(event_day, key)
    if store.manifest(path) is None:
        meta = {"event_day": event_day, "inputs": sorted({*impressions.values(), *outcomes.values()})}
        with store.writing(path, meta) as staging:
            _fill(staging, _folders(store, impressions), _folders(store, outcomes), recipe, event_day)
    file = store.file(path, "summary.json")
    assert file is not None
    summary = json.loads(file.read_text(encoding="utf-8"))
    return LabelledDay(event_day, path, summary["rows"], summary["positives"])


def label_files(store: Store, days: Iterable[LabelledDay]) -> list[Path]:
    """The Parquet files of label objects, in the order of the days."""
    folders = [store.open(day.path) for day in days]
    return [folder / "part.parquet" for folder in folders if folder is not None]


def _day_objects(store: Store, landing_days: Iterable[date]) -> dict[date, str]:
    found = {day: current_day_object(store, day) for day in landing_days}
    return {day: path for day, path in found.items() if path is not None}


def _folders(store: Store, paths: dict[date, str]) -> dict[date, Path]:
    opened = {day: store.open(path) for day, path in paths.items()}
    return {day: folder for day, folder in opened.items() if folder is not None}


def _fill(
    folder: Path, impressions: dict[date, Path], outcomes: dict[date, Path], recipe: Recipe, event_day: date
) -> None:
    """Write part.parquet (our columns and `label`) and summary.json into `folder`."""
    scratch = folder / "scratch"
    scratch.mkdir()
    with duck.connect(scratch) as connection:
        connection.execute(f"CREATE TEMP VIEW impressions AS {_impressions(impressions, event_day)}")
        if outcomes:
            parts = [f"SELECT * FROM {_part(landed, 'outcomes')}" for landed in outcomes.values()]
            connection.execute(f"CREATE TEMP VIEW outcomes AS {' UNION ALL BY NAME '.join(parts)}")
        query = f"{labelled('impressions', 'outcomes', recipe)} ORDER BY ts, event_id"
        rows = duck.scalar(connection, duck.copy_to(folder / "part.parquet", query))
        positives = duck.scalar(connection, f"SELECT sum(label) FROM {duck.parquet(folder / 'part.parquet')}")
    shutil.rmtree(scratch)
    summary = {"rows": rows, "positives": positives}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def _impressions(landings: dict[date, Path], event_day: date) -> str:
    """The event day's impressions over its landing days, each event once: the earliest of these landings wins.

    An id that landed before the day itself, with a time before it, is another event of that earlier day.
    Each landing holds an event once and later ones hold few of the day, so this costs no sort of the whole day.
    """
    within = f"ts >= TIMESTAMP '{event_day}' AND ts < TIMESTAMP '{event_day}' + INTERVAL 1 DAY"
    selects, earlier = [], ""
    for _, landed in sorted(landings.items()):
        part = _part(landed, "impressions")
        unseen = f" ANTI JOIN ({earlier}) USING (event_id)" if earlier else ""
        selects.append(f"SELECT * FROM (SELECT * FROM {part} WHERE {within}){unseen}")
        earlier += f"{' UNION ALL ' if earlier else ''}SELECT event_id FROM {part}"
    return " UNION ALL BY NAME ".join(selects)


def _part(landed: Path, stream: str) -> str:
    return duck.parquet(landed / stream / "part.parquet")
