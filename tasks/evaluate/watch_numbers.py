"""Watch the numbers: on the validation days and the run's own day, beside what the training window held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.documents.drift_documents import NumbersDocument
from ctr_retrain.models.feature_kinds.arrow_columns import as_numbers, column_of
from ctr_retrain.models.features.number_drift import NumberDays, judge_number
from ctr_retrain.models.features.table_layout import numbers
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.label.labelled_rows import labelled_rows
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import IMPRESSIONS, NUMBERS_FILE, event_day_of
from ctr_retrain.tasks.store.shards import open_shards

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

DAY_ROWS = 10_000  # looked at of each day, by a hash of the event: enough to tell 5 % from 6 %
MOST_DAYS = 30  # of the training window, evenly; the newest is among them


def watch_numbers(run: Run) -> None:
    """Write numbers.json into the run's folder: each feature that is a number; nothing where there are none."""
    features = numbers(run.recipe.features)
    if not features:
        return
    step = max(1, len(run.plan.window) // MOST_DAYS)
    window = run.plan.window[::-1][::step][::-1]
    sources = list(dict.fromkeys(feature.sources[0] for feature in features))
    with duck.connect(run.folder) as connection:
        train, validate = (
            [_sample(connection, labelled_rows(run.store, day), day.rows, sources) for day in days]
            for days in (window, run.plan.validate)
        )
        newest = _newest_day(connection, run, sources)
    found = (
        NumberDays(
            name=feature.name,
            train=tuple(_values(day, feature.sources[0]) for day in train),
            validate=tuple(_values(day, feature.sources[0]) for day in validate),
            newest=_values(newest, feature.sources[0]),
        )
        for feature in features
    )
    NumbersDocument(numbers=tuple(map(judge_number, found))).write(run.folder / NUMBERS_FILE)


def _sample(connection: duck.Connection, query: str, rows: int, sources: Sequence[str]) -> pa.Table:
    """Read those of the columns that a query has, of a sample of its rows; rows: about how many it has."""
    thousandths = min(1000, 1 + 1000 * DAY_ROWS // max(1, rows))
    there = [name for name in sources if name in connection.sql(f"SELECT * FROM ({query}) LIMIT 0").columns]
    columns = ", ".join(map(duck.name, ["event_id", *there]))
    return connection.sql(
        f"SELECT {columns} FROM ({query}) WHERE hash(event_id) % 1000 < {thousandths}"
    ).to_arrow_table()


def _newest_day(connection: duck.Connection, run: Run, sources: Sequence[str]) -> pa.Table:
    """Read a sample of the run's own day, whose labels may not be made; of a day that is cut its first shard."""
    path = current_day_object(run.store, run.plan.day)
    assert path is not None  # the run's first stage ingested it
    folder = open_shards(run.store, path)[0] / IMPRESSIONS
    parts = [part for part in sorted(folder.glob("*.parquet")) if event_day_of(part) == run.plan.day]
    if not parts:
        return pa.table({})
    rows = sum(pq.read_metadata(part).num_rows for part in parts)
    return _sample(connection, f"SELECT * FROM {duck.parquet(*parts)}", rows, sources)


def _values(rows: pa.Table, source: str) -> NDArray[np.float32]:
    """Return a column's numbers, NaN where missing."""
    return as_numbers(column_of(rows, source), source)
