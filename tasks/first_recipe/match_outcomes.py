"""Outcomes as rows of their own in somebody's files: which columns say of which impression, tried on the files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctr_retrain.models.first_recipe.outcome_rows import (
    OutcomeRows,
    candidate_ids,
    choose_pair,
    kinds_of,
    rows_of_log,
    time_of,
)
from ctr_retrain.models.recipe.landing_section import Landing
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.landed_values import as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.first_recipe.column_look import ColumnLook
    from ctr_retrain.models.first_recipe.outcome_rows import Pair
    from ctr_retrain.tasks.landing.file_parts import LandedFile

TRIED_OUTCOMES = 5_000  # that are looked for among all impressions
TRIED_IMPRESSIONS = 1_000_000  # of which it is seen if each has an id of its own
PLAIN = Landing()  # ids are texts, however the recipe reads all else


def take_apart(file: LandedFile, column: str, impressions: tuple[str, ...]) -> tuple[LandedFile, LandedFile]:
    """Return an event log's impressions and its other rows, as `land` will take them apart."""
    told = as_text(column, file.columns[column], PLAIN, file.footer)
    shown = f"coalesce({told} IN ({', '.join(map(duck.text, impressions))}), false)"
    tables = (f"(SELECT * FROM {file.table} WHERE {which})" for which in (shown, f"NOT {shown}"))
    first, second = (replace(file, table=table) for table in tables)
    return first, second


def match_outcomes(
    connection: duck.Connection,
    impressions: tuple[LandedFile, Sequence[ColumnLook]],
    outcomes: tuple[LandedFile, Sequence[ColumnLook]],
    log: tuple[str, tuple[str, ...]] | None,
) -> OutcomeRows:
    """Return how outcomes are read, each stream given as its whole file and the looks at its columns.

    log: of an event log, the column that takes it apart, and its values on impressions. Raises DataRejectedError where
    outcomes have no time, or find no impression.
    """
    (shown, looks), (file, theirs) = impressions, outcomes
    where = f"outcomes of {file.name}"
    ts, time = time_of(theirs, where)
    column, kinds = (log[0], rows_of_log(theirs, *log)) if log else kinds_of(theirs, file.name)
    positive = f"WHERE {as_text(column, file.columns[column], PLAIN)} = {duck.text(kinds[0])}" if column else ""
    table = f"(SELECT * FROM {file.table} {positive} LIMIT {TRIED_OUTCOMES})"
    pairs = candidate_ids(looks, theirs, log=log is not None)
    shares = {pair: _shares(connection, shown, replace(file, table=table), pair) for pair in pairs}
    (ours, other), found = choose_pair(shares, where)
    return OutcomeRows(
        name="" if log else file.name,
        event_id=other,
        impression_id=ours,
        ts=ts,
        time=time,
        kind_column=column,
        kinds=kinds,
        found_share=found,
        impressions=log[1] if log else (),
    )


def _shares(connection: duck.Connection, shown: LandedFile, happened: LandedFile, pair: Pair) -> tuple[float, float]:
    """Return the share of outcomes that find an impression, and of impressions whose id is their own."""
    ours, theirs = joined(shown, pair[0]), joined(happened, pair[1])
    found = connection.execute(
        f"SELECT avg((k IN (SELECT {ours} FROM {shown.table}))::INT) FROM (SELECT {theirs} AS k FROM {happened.table}) "
        "WHERE k IS NOT NULL"
    ).fetchall()
    own = connection.execute(
        f"SELECT count(DISTINCT k) / greatest(count(*), 1) FROM "
        f"(SELECT {ours} AS k FROM {shown.table} LIMIT {TRIED_IMPRESSIONS})"
    ).fetchall()
    return found[0][0] or 0.0, own[0][0] or 0.0


def joined(file: LandedFile, columns: tuple[str, ...]) -> str:
    """Return the SQL of an id that columns make together, as `ingest` makes it."""
    return " || '-' || ".join(as_text(name, file.columns[name], PLAIN, file.footer) for name in columns)
