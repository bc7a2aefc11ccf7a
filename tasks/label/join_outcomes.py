"""Join an event day's impressions to the outcomes that are known of them, one landed file at a time.

The impressions stay where they landed. Beside each of their files comes a file of labels with a row for each of its
rows, in the same order, so that the two are joined by position (see `labelled_rows`). A landed row that counts
elsewhere, with an earlier landing of its event or in another shard, or nowhere, since its inline label is empty, has
its place there too and is marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctr_retrain.models.recipe.column_names import age_column, label_column
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.attribution import LANDED_LATE, known_outcomes, labelled
from ctr_retrain.tasks.label.arrivals import count_arrivals
from ctr_retrain.tasks.label.earlier_events import note_earlier_events
from ctr_retrain.tasks.label.label_summary import LabelPart
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.shards import WHOLE

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.store.shards import Shard

ELSEWHERE = "_elsewhere"  # in a file of labels: the landed row is not one of the label object's
ROW = "_row"  # while labels are made: the row's number in its landed file


@dataclass(frozen=True)
class ImpressionFile:
    """A Parquet file of a landed day's impressions."""

    object: str  # path of the object that holds it: a landed day, or one of its shards
    name: str  # the file's path below the object
    path: Path  # where it can be read on this machine


@dataclass(frozen=True)
class Sources:
    """The landed files that labels are made of, by the day on which they landed."""

    impressions: dict[date, list[ImpressionFile]]  # other event days too, of which only the ids are read
    outcomes: dict[date, list[Path]]
    shard: Shard  # the events that are labelled


@dataclass(frozen=True)
class FileQuery:
    """A landed file and the query that labels its rows."""

    file: ImpressionFile  # the landed file
    days_late: int  # from the event day to the landing day
    query: str  # answers each row of the file with its labels, LANDED_LATE, ELSEWHERE and ROW

    @property
    def counted(self) -> str:
        """Return the query of the file's rows that belong to the label object, without those that count elsewhere."""
        return f"SELECT * FROM ({self.query}) WHERE NOT {ELSEWHERE}"


@dataclass(frozen=True)
class WrittenLabels:
    """A file of labels that was written, and what was counted meanwhile."""

    part: LabelPart  # its entry in the summary of the label object
    positives: int  # by the channel's positive kind
    arrivals: pa.Table | None  # see `count_arrivals`; None where labels are inline


def file_queries(connection: duck.Connection, sources: Sources, recipe: Recipe, event_day: date) -> list[FileQuery]:
    """Return a query for each landed file that holds impressions of the day, in the order in which they landed.

    They read the tables `known` and `seen`, which this fills.
    """
    own = {
        landing: found
        for landing, files in sources.impressions.items()
        if (found := [file for file in files if layout.event_day_of(file.path) == event_day])
    }
    repeating = note_earlier_events(connection, _paths(own), _paths(sources.impressions)) if own else set()
    known = f"SELECT * FROM ({known_outcomes(sources.outcomes, recipe, event_day)}) WHERE {sources.shard.holds}"
    connection.execute(f"CREATE TABLE known AS {known}")
    queries = []
    for landing, files in own.items():
        days_late = (landing - event_day).days
        came_before = f"event_id IN (SELECT event_id FROM seen WHERE landing < DATE '{landing}')"
        for file in files:
            reasons = [] if sources.shard == WHOLE else [f"NOT ({sources.shard.holds})"]
            reasons += [came_before] if file.path in repeating else []
            reasons += ["label IS NULL"] if recipe.inline_label else []  # it says neither yes nor no
            rows = (
                f"SELECT *, file_row_number AS {ROW}, {days_late}::SMALLINT AS {LANDED_LATE}, "
                f"{' OR '.join(reasons) or 'false'} AS {ELSEWHERE} FROM {duck.parquet(file.path)}"
            )
            queries.append(FileQuery(file, days_late, labelled(f"({rows})", "known", recipe, event_day)))
    return queries


def write_labels(connection: duck.Connection, asked: FileQuery, target: Path, recipe: Recipe) -> WrittenLabels:
    """Write the file of labels that belongs to a landed file, row for row."""
    labels = _label_columns(recipe)
    columns = dict.fromkeys([ROW, ELSEWHERE, "label", "channel", "ts", LANDED_LATE, *labels])
    rows = _in_landed_order(
        connection.sql(f"SELECT {', '.join(map(duck.name, columns))} FROM ({asked.query})").to_arrow_table()
    )
    # Without dictionaries: runs of a small number need none, and it is a fifth cheaper to write.
    pq.write_table(
        rows.select([*labels, ELSEWHERE]),
        target,
        compression="zstd",
        row_group_size=duck.ROW_GROUP_ROWS,
        use_dictionary=False,
    )
    counted = rows.filter(pc.invert(rows[ELSEWHERE])) if pc.any(rows[ELSEWHERE]).as_py() else rows
    arrivals = None
    if recipe.kinds:
        connection.register("rows_with_labels", counted)
        arrivals = count_arrivals(connection, "rows_with_labels", recipe)
        connection.unregister("rows_with_labels")
    part = LabelPart(
        labels=target.name,
        object=asked.file.object,
        impressions=asked.file.name,
        days_late=asked.days_late,
        landed_rows=len(rows),
        rows=len(counted),
    )
    return WrittenLabels(part, pc.sum(counted["label"]).as_py() or 0, arrivals)


def _label_columns(recipe: Recipe) -> list[str]:
    """Return the columns of a file of labels; an inline label stays with the impression that it came with."""
    if recipe.inline_label:
        return []
    return [*map(label_column, recipe.kinds), "label", *map(age_column, recipe.kinds)]


def _in_landed_order(rows: pa.Table) -> pa.Table:
    """Return the rows in the order of the landed file."""
    # They come in this order already, unless a join was too large for the memory.
    numbers = rows[ROW].to_numpy()
    return rows if np.array_equal(numbers, np.arange(len(numbers))) else rows.take(pa.array(np.argsort(numbers)))


def _paths(files: dict[date, list[ImpressionFile]]) -> dict[date, list[Path]]:
    """Return where the files of each landing day can be read."""
    return {landing: [file.path for file in found] for landing, found in files.items()}
