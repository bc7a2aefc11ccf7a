"""Stage 2, label: impressions of an event day joined to the outcomes that had landed by a day.

The object's key is the digest of the landed days that went in, so a mature day is computed once, a young one anew
each day, and an old `as_of` gives the same content again.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.data.label_landings import (
    earlier_landings,
    impression_landings,
    label_definition,
    outcome_landings,
)
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.progress import progress_of
from ctr_retrain.tasks.ingest.attribution import LANDED_LATE, known_outcomes, labelled
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.label.arrivals import add_arrivals_up, count_arrivals, write_arrivals
from ctr_retrain.tasks.label.earlier_events import note_earlier_events
from ctr_retrain.tasks.label.widen import widen
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES, SUMMARY_FILE
from ctr_retrain.tasks.store.protocol import Store, digest_of
from ctr_retrain.tasks.store.shards import SHARDS, WHOLE, Shard, open_existing, open_shards, shard_of

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class LabelledDay:
    """A published label object. landed: the landed days that its impressions are of. pieces: in so many they lie.

    These two decide which rows it has, and in which order, whatever `as_of` its labels are of.
    """

    day: date
    path: str
    rows: int
    positives: int
    landed: tuple[str, ...]
    shards: int


def label_day(store: Store, recipe: Recipe, event_day: date, as_of: date) -> LabelledDay:
    """Publish the labels of an event day as of a day, each event once; rows in the order in which they landed.

    So labels of a later `as_of` have the same rows in the same places, and perhaps more behind them. Raises
    DataRejectedError where the event day itself was not ingested.
    """
    impressions, outcomes, path = _inputs(store, recipe, event_day, as_of)
    if event_day not in impressions:
        msg = f"labels of {event_day}: expected the day to be ingested, received none. Run `ingest --date {event_day}`."
        raise DataRejectedError(msg)
    manifest = store.manifest(path)
    if manifest is None:
        meta: dict[str, Any] = {"event_day": event_day, "inputs": sorted({*impressions.values(), *outcomes.values()})}
        if recipe.landing.buckets == 1:
            with store.writing(path, meta) as folder:
                _fill(folder, _sources(store, impressions, outcomes), recipe, event_day)
        else:
            work = partial(_make_piece, store, recipe, event_day, impressions, outcomes, path)
            shards = [work(number) for number in range(recipe.landing.buckets)]
            _fill_from_shards(store, path, {**meta, SHARDS: shards})
        manifest = store.manifest(path) or meta
    file = store.file(path, SUMMARY_FILE)
    assert file is not None
    summary = json.loads(file.read_text(encoding="utf-8"))
    landed = tuple(sorted(impressions.values()))
    return LabelledDay(
        event_day, path, summary["rows"], summary["positives"], landed, len(manifest.get(SHARDS, [path]))
    )


def label_files(store: Store, day: LabelledDay) -> list[Path]:
    """The Parquet files of a label object, in the order of its rows."""
    folders = open_shards(store, day.path)
    return [file for folder in folders for file in sorted(folder.glob(layout.part_pattern(day.day)))]


def is_labelled(store: Store, recipe: Recipe, event_day: date, as_of: date) -> bool:
    """Whether the labels of an event day as of a day were published before."""
    *_, path = _inputs(store, recipe, event_day, as_of)
    return store.manifest(path) is not None


def _inputs(store: Store, recipe: Recipe, event_day: date, as_of: date) -> tuple[dict[date, str], dict[date, str], str]:
    """The landed impressions and outcomes that go into a label object, by landing day, and its path.

    Among the impressions are earlier days', of which only the ids are looked at.
    """
    landings = (*earlier_landings(event_day, recipe), *impression_landings(event_day, as_of, recipe))
    impressions = _day_objects(store, landings)
    outcomes = _day_objects(store, outcome_landings(event_day, as_of, recipe))
    key = digest_of([sorted(impressions.values()), sorted(outcomes.values()), label_definition(recipe)])
    return impressions, outcomes, layout.label_object(event_day, key)


def _day_objects(store: Store, landing_days: Iterable[date]) -> dict[date, str]:
    found = {day: current_day_object(store, day) for day in landing_days}
    return {day: path for day, path in found.items() if path is not None}


@dataclass(frozen=True)
class _Sources:
    """The files that go into labels, by the day on which they landed; of their rows, those of one bucket."""

    impressions: dict[date, list[Path]]
    outcomes: dict[date, list[Path]]
    shard: Shard


def _sources(store: Store, impressions: dict[date, str], outcomes: dict[date, str], shard: Shard = WHOLE) -> _Sources:
    def files(paths: dict[date, str], stream: str) -> dict[date, list[Path]]:
        return {
            day: [
                file
                for folder in open_shards(store, path, shard)
                for file in sorted((folder / stream).glob("*.parquet"))
            ]
            for day, path in sorted(paths.items())
        }

    return _Sources(files(impressions, IMPRESSIONS), files(outcomes, OUTCOMES), shard)


def _make_piece(
    store: Store,
    recipe: Recipe,
    event_day: date,
    impressions: dict[date, str],
    outcomes: dict[date, str],
    path: str,
    number: int,
) -> str:
    """Publish the labels of one bucket of events, from the landed days that all pieces are made of; returns its path.

    Were the days' refs read anew for each piece, an ingest between two of them would leave half of each.
    """
    shard = Shard(number, recipe.landing.buckets)
    target = shard_of(path, shard)
    if store.manifest(target) is None:
        with store.writing(target, {"event_day": event_day, "piece_of": path}) as folder:
            _fill(folder, _sources(store, impressions, outcomes, shard), recipe, event_day)
    return target


def _fill_from_shards(store: Store, path: str, meta: dict[str, Any]) -> None:
    """Publish a label object whose rows lie in pieces: what was counted of them, added up."""
    folders = [open_existing(store, shard) for shard in meta[SHARDS]]
    with store.writing(path, meta) as folder:
        add_arrivals_up(folders, folder)
        summaries = [json.loads((shard / SUMMARY_FILE).read_text(encoding="utf-8")) for shard in folders]
        total = {name: sum(summary[name] for summary in summaries) for name in ("rows", "positives")}
        kinds = {kind: sum(summary["kinds"][kind] for summary in summaries) for kind in summaries[0]["kinds"]}
        (folder / SUMMARY_FILE).write_text(json.dumps({**total, "kinds": kinds}), encoding="utf-8")


def _fill(folder: Path, sources: _Sources, recipe: Recipe, event_day: date) -> None:
    """Write the event day's parts (our columns and labels), their arrivals, and summary.json into `folder`."""
    scratch = folder / "scratch"
    scratch.mkdir()
    with duck.connect(scratch, threads=1) as connection:
        parts = _labelled_parts(connection, sources, recipe, event_day)
        with progress_of(f"labelling {event_day}", "parts") as progress:
            done: list[int] = []

            def write(cursor: duck.Connection, numbered: tuple[int, _Part]) -> int:
                number, part = numbered
                written = _write(cursor, part, folder / layout.part_file(event_day, number))
                done.append(number)
                progress(len(done), len(parts))
                return written

            rows = sum(duck.in_parallel(connection, write, list(enumerate(parts))))
        files = [folder / layout.part_file(event_day, number) for number in range(len(parts))]
        positives = write_arrivals(connection, files, folder, recipe)
    shutil.rmtree(scratch)
    (folder / SUMMARY_FILE).write_text(json.dumps({"rows": rows, **positives}), encoding="utf-8")


def count_young_day(store: Store, recipe: Recipe, event_day: date, as_of: date, scratch: Path) -> pa.Table | None:
    """Arrivals of an event day as of a day, counted without writing its labels; None where it was not ingested."""
    impressions, outcomes, _ = _inputs(store, recipe, event_day, as_of)
    if event_day not in impressions:
        return None
    with duck.connect(scratch, threads=1) as connection:
        parts = _labelled_parts(connection, _sources(store, impressions, outcomes), recipe, event_day)
        return count_arrivals(connection, [f"({part.query})" for part in parts], recipe)


@dataclass(frozen=True)
class _Part:
    """A file's impressions with labels, as a query. all_rows: none is left out of what the file holds."""

    file: Path
    query: str
    all_rows: bool


def _write(connection: duck.Connection, part: _Part, target: Path) -> int:
    """Write a part's rows; returns how many. Where it can, the impressions' columns are copied as they are packed."""
    if not part.all_rows:
        return duck.scalar(connection, duck.copy_to(target, part.query))
    own = ", ".join(duck.name(name) for name in pq.read_schema(part.file).names)
    labels = connection.sql(f"SELECT * EXCLUDE ({own}) FROM ({part.query})").to_arrow_table()
    widen(part.file, labels, target)
    return int(labels.num_rows)


def _labelled_parts(connection: duck.Connection, sources: _Sources, recipe: Recipe, event_day: date) -> list[_Part]:
    """One for each file that holds impressions of the day, in the order in which they landed."""
    own = {
        landing: found
        for landing, files in sources.impressions.items()
        if (found := [file for file in files if layout.event_day_of(file) == event_day])
    }
    repeating = note_earlier_events(connection, own, sources.impressions) if own else set()
    known = f"SELECT * FROM ({known_outcomes(sources.outcomes, recipe, event_day)}) WHERE {sources.shard.holds}"
    connection.execute(f"CREATE TABLE known AS {known}")
    parts = []
    for landing, files in own.items():
        seen = f"event_id IN (SELECT event_id FROM seen WHERE landing < DATE '{landing}')"
        for file in files:
            rows = f"SELECT *, {(landing - event_day).days}::SMALLINT AS {LANDED_LATE} FROM {duck.parquet(file)}"
            condition = f"{sources.shard.holds}{f' AND NOT {seen}' if file in repeating else ''}"
            query = labelled(f"({rows} WHERE {condition})", "known", recipe, event_day)
            parts.append(_Part(file, query, all_rows=sources.shard == WHOLE and file not in repeating))
    return parts
