"""Stage 2, label: impressions of an event day joined to the outcomes that had landed by a day.

The object's key is the digest of the landed days that went in, so a mature day is computed once, a young one anew
each day, and an old `as_of` gives the same content again. It holds labels alone: the impressions stay in the landed
days, and `labelled_rows` reads both side by side.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ctr_retrain.models.data.label_landings import (
    earlier_landings,
    impression_landings,
    label_definition,
    outcome_landings,
)
from ctr_retrain.models.documents.day_documents import LabelInputs
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.progress import progress_of
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.label.arrivals import (
    add_up_arrivals,
    count_arrivals,
    count_positives,
    read_arrivals,
    write_arrivals,
)
from ctr_retrain.tasks.label.join_outcomes import (
    FileQuery,
    ImpressionFile,
    Sources,
    WrittenLabels,
    file_queries,
    write_labels,
)
from ctr_retrain.tasks.label.label_summary import LabelSummary, add_up_summaries
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES, SUMMARY_FILE
from ctr_retrain.tasks.store.protocol import Store, digest_of, has_object, load_document
from ctr_retrain.tasks.store.shards import SHARDS, WHOLE, Shard, open_existing, shard_of, shard_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True)
class LabelledDay:
    """A published label object."""

    day: date  # the event day
    path: str  # of the object
    rows: int  # impressions that have labels
    positives: int  # of these, by the channel's positive kind
    # These two decide which rows there are, and in which order, whatever day the labels are as of.
    landed: tuple[str, ...]  # objects of the landed days that the impressions are of
    shards: int  # number of shards that hold the rows; 1 where the day is not cut


@dataclass(frozen=True)
class _LandedDays:
    """Paths of the landed days that labels are made of, by landing day."""

    impressions: dict[date, str]  # earlier days too, of which only the ids are read
    outcomes: dict[date, str]


def landed_objects(store: Store, recipe: Recipe, event_days: Iterable[date], as_of: date) -> dict[date, str]:
    """Return the current objects of all landing days that labels of these event days may be made of, as of a day.

    Event days share most of their landing days: whoever labels several reads each ref here, once.
    """
    wanted = {day for event_day in event_days for days in _landings(recipe, event_day, as_of) for day in days}
    found = {day: current_day_object(store, day) for day in sorted(wanted)}
    return {day: path for day, path in found.items() if path is not None}


def label_day(
    store: Store, recipe: Recipe, event_day: date, as_of: date, current: Mapping[date, str] | None = None
) -> LabelledDay:
    """Publish the labels of an event day as of a day, each event once; rows in the order in which they landed.

    So labels of a later `as_of` have the same rows in the same places, and perhaps more behind them. current: see
    `landed_objects`. Raises DataRejectedError where the event day itself was not ingested.
    """
    landed, path = _inputs(store, recipe, event_day, as_of, current)
    if event_day not in landed.impressions:
        msg = f"labels of {event_day}: expected the day to be ingested, received none. Run `ingest --date {event_day}`."
        raise DataRejectedError(msg)
    if not has_object(store, path):
        _publish(store, recipe, event_day, landed, path)
    summary = load_document(store, path, SUMMARY_FILE, LabelSummary)
    impressions = tuple(sorted(landed.impressions.values()))
    shards = len(shard_paths(store, path))
    return LabelledDay(event_day, path, summary.rows, summary.positives, impressions, shards)


def is_labelled(store: Store, recipe: Recipe, event_day: date, as_of: date, current: Mapping[date, str]) -> bool:
    """Return whether the labels of an event day as of a day were published before."""
    return has_object(store, label_path(store, recipe, event_day, as_of, current))


def label_path(store: Store, recipe: Recipe, event_day: date, as_of: date, current: Mapping[date, str]) -> str:
    """Return the path of an event day's labels as of a day, whether they were published or not."""
    return _inputs(store, recipe, event_day, as_of, current)[1]


def count_young_day(
    store: Store,
    recipe: Recipe,
    event_day: date,
    as_of: date,
    scratch: Path,
    current: Mapping[date, str] | None = None,
) -> pa.Table | None:
    """Count the arrivals of an event day as of a day without writing labels; None where it was not ingested.

    current: see `landed_objects`.
    """
    landed, _ = _inputs(store, recipe, event_day, as_of, current)
    if event_day not in landed.impressions:
        return None

    def count(cursor: duck.Connection, asked: FileQuery) -> pa.Table:
        return count_arrivals(cursor, f"({asked.counted})", recipe)

    with duck.connect(scratch, threads=1) as connection:
        queries = file_queries(connection, _sources(store, landed), recipe, event_day)
        return add_up_arrivals(duck.in_parallel(connection, count, queries))


def _inputs(
    store: Store, recipe: Recipe, event_day: date, as_of: date, current: Mapping[date, str] | None
) -> tuple[_LandedDays, str]:
    """Return the landed days that go into a label object, and its path."""
    there = landed_objects(store, recipe, [event_day], as_of) if current is None else current
    of_impressions, of_outcomes = (
        {day: there[day] for day in sorted(days) if day in there} for days in _landings(recipe, event_day, as_of)
    )
    parts = [sorted(of_impressions.values()), sorted(of_outcomes.values()), asdict(label_definition(recipe))]
    return _LandedDays(of_impressions, of_outcomes), layout.label_object(event_day, digest_of(parts))


def _landings(recipe: Recipe, event_day: date, as_of: date) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """Return the landing days of an event day's impressions, earlier ones among them, and of its outcomes."""
    impressions = (*earlier_landings(event_day, recipe), *impression_landings(event_day, as_of, recipe))
    return impressions, outcome_landings(event_day, as_of, recipe)


def _sources(store: Store, landed: _LandedDays, shard: Shard = WHOLE) -> Sources:
    """Open the landed days' files, or at least those that hold events of the shard."""

    def files(path: str, stream: str) -> list[ImpressionFile]:
        folders = {found: open_existing(store, found) for found in shard_paths(store, path, shard)}
        return [
            ImpressionFile(found, f"{stream}/{file.name}", file)
            for found, folder in folders.items()
            for file in sorted((folder / stream).glob("*.parquet"))
        ]

    impressions = {day: files(path, IMPRESSIONS) for day, path in landed.impressions.items()}
    outcomes = {day: [file.path for file in files(path, OUTCOMES)] for day, path in landed.outcomes.items()}
    return Sources(impressions, outcomes, shard)


def _publish(store: Store, recipe: Recipe, event_day: date, landed: _LandedDays, path: str) -> None:
    """Publish a label object; where the recipe cuts days, its shards first and then what was counted of them.

    All shards are made of the same landed days. Were the days' refs read anew for each, an ingest between two of them
    would leave half of each.
    """
    days = sorted({*landed.impressions.values(), *landed.outcomes.values()})
    inputs = LabelInputs(event_day=event_day, inputs=tuple(days)).to_json()
    if recipe.landing.buckets == 1:
        with store.writing(path, inputs) as folder:
            _fill(folder, _sources(store, landed), recipe, event_day)
        return
    numbers = range(recipe.landing.buckets)
    shards = [_publish_shard(store, recipe, event_day, landed, path, number) for number in numbers]
    folders = [open_existing(store, shard) for shard in shards]
    with store.writing(path, {**inputs, SHARDS: shards}) as folder:
        add_up_summaries(LabelSummary.read(shard / SUMMARY_FILE) for shard in folders).write(folder / SUMMARY_FILE)
        if counted := read_arrivals(folders):
            write_arrivals(folder, add_up_arrivals(counted))


def _publish_shard(store: Store, recipe: Recipe, event_day: date, landed: _LandedDays, path: str, number: int) -> str:
    """Publish the labels of one shard's events; returns its path."""
    shard = Shard(number, recipe.landing.buckets)
    target = shard_of(path, shard)
    if not has_object(store, target):
        with store.writing(target, {"event_day": event_day, "piece_of": path}) as folder:
            _fill(folder, _sources(store, landed, shard), recipe, event_day)
    return target


def _fill(folder: Path, sources: Sources, recipe: Recipe, event_day: date) -> None:
    """Write the event day's files of labels, their arrivals, and summary.json into `folder`."""
    scratch = folder / "scratch"
    scratch.mkdir()
    with duck.connect(scratch, threads=1) as connection:
        queries = file_queries(connection, sources, recipe, event_day)
        with progress_of(f"labelling {event_day}", "parts") as progress:
            done: list[int] = []

            def write(cursor: duck.Connection, numbered: tuple[int, FileQuery]) -> WrittenLabels:
                number, asked = numbered
                written = write_labels(cursor, asked, folder / layout.part_file(event_day, number), recipe)
                done.append(number)
                progress(len(done), len(queries))
                return written

            written = duck.in_parallel(connection, write, list(enumerate(queries)))
    shutil.rmtree(scratch)
    kinds: dict[str, int] = {}
    if counted := [labels.arrivals for labels in written if labels.arrivals is not None]:
        arrivals = add_up_arrivals(counted)
        write_arrivals(folder, arrivals)
        kinds = count_positives(arrivals, recipe)
    parts = tuple(labels.part for labels in written)
    positives = sum(labels.positives for labels in written)
    summary = LabelSummary(rows=sum(part.rows for part in parts), positives=positives, kinds=kinds, parts=parts)
    summary.write(folder / SUMMARY_FILE)
