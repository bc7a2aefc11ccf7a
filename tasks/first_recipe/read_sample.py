"""Somebody's files as samples: the impressions, and the outcomes where these are rows of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctr_retrain.models.data.schema import Column
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.first_recipe.column_roles import find_roles
from ctr_retrain.models.first_recipe.outcome_rows import find_event_log
from ctr_retrain.models.recipe.landing_section import Landing
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.first_recipe.match_outcomes import match_outcomes, take_apart
from ctr_retrain.tasks.first_recipe.measure_sample import look_at_columns
from ctr_retrain.tasks.first_recipe.nested_names import nested_names
from ctr_retrain.tasks.first_recipe.text_format import csv_delimiter
from ctr_retrain.tasks.landing.file_parts import LandedFile, UnreadableFile
from ctr_retrain.tasks.landing.read_landing import Reading, read_file
from ctr_retrain.tasks.landing.text_to_parquet import ROW

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ctr_retrain.models.first_recipe.column_look import ColumnLook
    from ctr_retrain.models.first_recipe.outcome_rows import OutcomeRows

SAMPLED_ROWS = 50_000  # looked at: enough for three digits of a ratio, and a second of work


@dataclass(frozen=True)
class Sample:
    """Rows of a file, as a table of a query."""

    whole: LandedFile
    file: LandedFile  # the rows that are looked at
    rows: int  # of the whole
    looks: Sequence[ColumnLook]  # at the sample's columns

    @property
    def share(self) -> float:
        """Share of the whole's rows that are in the sample."""
        return self.file.rows / self.rows


@dataclass(frozen=True)
class Streams:
    """The impressions' sample, and what is known of outcomes that are rows of their own."""

    impressions: Sample
    outcomes: LandedFile | None  # all of them; None: they stand in the impressions' rows
    outcome_rows: OutcomeRows | None
    delimiter: str  # that the recipe has to name; empty: it need not


def read_streams(connection: duck.Connection, source: Path, outcomes: Path | None, scratch: Path) -> Streams:
    """Read both streams as `land` will; raises DataRejectedError where that can't be, or outcomes find nothing."""
    delimiter = csv_delimiter(source)
    file = _read(connection, source, delimiter, scratch)
    sample = _sample(connection, file, "sample", source)
    if nested := nested_names(connection, sample.file, sample.looks):
        file = _read(connection, source, delimiter, scratch, nested)
        sample = _sample(connection, file, "unfolded", source)
    if outcomes is not None:
        return _with_file(connection, sample, outcomes, delimiter, scratch)
    log = find_event_log(sample.looks)
    if log is None:
        return Streams(sample, None, None, delimiter)
    shown, others = take_apart(file, *log)
    first, rest = _sample(connection, shown, "shown", source), _sample(connection, others, "others", source)
    try:
        rows = match_outcomes(connection, (shown, first.looks), (others, rest.looks), log)
    except DataRejectedError:
        if _outcomes_stand_in_columns(sample.looks):  # so a kind of ad was taken for what happened
            return Streams(sample, None, None, delimiter)
        raise
    return Streams(first, others, rows, delimiter)


def _outcomes_stand_in_columns(looks: Sequence[ColumnLook]) -> bool:
    """Tell whether the columns themselves say what came of each row."""
    try:
        find_roles(looks)
    except DataRejectedError:
        return False
    return True


def _with_file(connection: duck.Connection, impressions: Sample, path: Path, delimiter: str, scratch: Path) -> Streams:
    """Read a file of outcomes beside the impressions."""
    other = csv_delimiter(path)
    if other != delimiter:
        msg = (
            f"init {path}: expected the impressions' delimiter, since the recipe names one for both, received "
            f"{other or 'the usual one'!r} beside {delimiter or 'the usual one'!r}. Export both alike."
        )
        raise DataRejectedError(msg)
    file = _read(connection, path, delimiter, scratch)
    happened = _sample(connection, file, "outcomes", path)
    rows = match_outcomes(connection, (impressions.whole, impressions.looks), (file, happened.looks), None)
    return Streams(impressions, file, rows, delimiter)


def _read(
    connection: duck.Connection, path: Path, delimiter: str, scratch: Path, nested: Sequence[str] = ()
) -> LandedFile:
    """Read a file, with values of its objects as columns; raises DataRejectedError where it can't be read."""
    wanted = tuple(Column(name, name, "text", required=False) for name in nested)
    file = read_file(connection, path, Reading(wanted, scratch, Landing(delimiter=delimiter)))
    if isinstance(file, UnreadableFile):
        msg = f"init {path}: expected a readable file, received: {file.reason}"
        raise DataRejectedError(msg)
    return file


def _sample(connection: duck.Connection, file: LandedFile, name: str, path: Path) -> Sample:
    """Keep some rows of a file, evenly over it, as a table of that name."""
    every = duck.scalar(connection, f"SELECT count(*) FROM {file.table}")
    if not every:
        msg = f"init {path}: expected rows, received none."
        raise DataRejectedError(msg)
    columns = ", ".join(map(duck.name, file.columns))
    # Every so many rows: the first ones of a log in order of time would be those of one night.
    step = -(-every // SAMPLED_ROWS)
    numbered = f"(SELECT *, row_number() OVER (ORDER BY {ROW}) - 1 AS _of_sample FROM {file.table})"
    connection.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM {numbered} WHERE _of_sample % {step} = 0")
    rows = duck.scalar(connection, f"SELECT count(*) FROM {name}")
    sampled = replace(file, table=name, rows=rows)
    return Sample(file, sampled, every, look_at_columns(connection, sampled))
