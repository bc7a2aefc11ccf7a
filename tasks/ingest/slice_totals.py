"""Counts by slice: a landed day's rows by each value of the recipe's slices, bounded however many values there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ctr_retrain.models.data.slices import COUNTS, KEYS, OTHERS
from ctr_retrain.tasks.execution import duck

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST_VALUES = 200  # of a channel and column in a day
MOST_VALUES_OF_PART = 2_000  # the same in a part or a shard, so that a day's values are the same however it was cut
VALUE_CHARACTERS = 200  # of a value: longer ones that begin alike are one
DAYS = ("event_day", "own_day")


def columns_apart(connection: duck.Connection, counted: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Return the counts of a part's slices, a row for each value of each column, from a table with a column for each.

    counted: where `sliced` is 1, the column `_slice_N` holds a value of the Nth of `columns`, and the others are null.
    """
    sliced = counted.filter(pc.equal(counted["sliced"], 1))
    tables = []
    for place, column in enumerate(columns):
        own = sliced.filter(pc.is_valid(sliced[f"_slice_{place}"]))
        arrays = {name: own[name] for name in (*DAYS, "channel", *COUNTS)}
        arrays |= {"column": pa.repeat(column, own.num_rows), "value": own[f"_slice_{place}"]}
        tables.append(pa.table({name: arrays[name] for name in (*DAYS, *KEYS, *COUNTS)}))
    found = pa.concat_tables(tables) if tables else _without_rows(sliced)
    if found.num_rows <= MOST_VALUES_OF_PART:
        return found
    connection.register("slices_of_part", found)
    bounded = connection.sql(_bounded("slices_of_part", MOST_VALUES_OF_PART)).to_arrow_table()
    connection.unregister("slices_of_part")
    return bounded


def add_slices_up(connection: duck.Connection, slices: pa.Table, target: Path, *, whole: bool) -> None:
    """Add up the counts of several parts or shards and write them: event_day, own_day, channel, column, value, counts.

    Of each channel and column the MOST_VALUES values with the most rows stand for themselves; all others are added up
    under the name OTHERS, so that a column of a million values takes no more room. A value that is rarer than
    MOST_VALUES_OF_PART others in one part or shard counts there among the others too.
    """
    connection.register("slices_found", slices)
    most = MOST_VALUES if whole else MOST_VALUES_OF_PART
    # So few rows hold no more values than that: to plan the query that bounds them would take longer than all else.
    totals = _totals("slices_found") if slices.num_rows <= most else _bounded("slices_found", most)
    connection.execute(duck.copy_to(target, f"{totals} ORDER BY ALL"))


def _totals(table: str, value: str = "value") -> str:
    """Return the query that adds up counts by slice; value: the SQL of what stands as a slice's value."""
    sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in COUNTS)
    return f'SELECT event_day, own_day, channel, "column", {value} AS value, {sums} FROM {table} GROUP BY ALL'


def _bounded(table: str, most: int) -> str:
    """Return the query that adds up counts by slice, of each channel and column at most so many values by name."""
    others = duck.text(OTHERS)
    totals = f'SELECT channel, "column", value, sum(rows) AS total FROM {table} GROUP BY ALL'
    order = f"value = {others}, total DESC, value"
    places = f'SELECT *, row_number() OVER (PARTITION BY channel, "column" ORDER BY {order}) AS place FROM ({totals})'
    named = f"CASE WHEN place > {most} THEN {others} ELSE value END"
    return _totals(f'{table} JOIN ({places}) USING (channel, "column", value)', named)


def _without_rows(sliced: pa.Table) -> pa.Table:
    """Return a table of counts by slice without a row, for recipes without slices."""
    texts = {name: pa.array([], pa.string()) for name in KEYS}
    return pa.table(
        {name: sliced[name].slice(0, 0) for name in DAYS} | texts | {name: sliced[name].slice(0, 0) for name in COUNTS}
    )
