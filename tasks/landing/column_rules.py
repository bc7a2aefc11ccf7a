"""SQL of the ingest stage: landed columns → our columns and types, and the reason for which a row can't be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctr_retrain.models.data.schema import Column, outcome_columns
from ctr_retrain.models.feature_kinds.arrow_columns import END_OF_TIME, FIRST_TIME
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.file_parts import LandedFile
from ctr_retrain.tasks.landing.landed_bytes import RAW_CHARACTERS
from ctr_retrain.tasks.landing.landed_values import (
    INTEGERS,
    as_joined,
    as_label,
    as_number,
    as_text,
    as_time,
    is_missing,
    writable,
)
from ctr_retrain.tasks.landing.text_to_parquet import ROW

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from ctr_retrain.models.recipe.landing_section import Landing
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.landing.file_parts import RowRange

TYPES = {"text": "VARCHAR", "number": "DOUBLE", "time": "TIMESTAMP", "label": "TINYINT"}  # of our columns, by kind
# Columns with a row's origin: number of its file, file's name, row's number in the file, content as landed, and
# of that the value for which the row can't be used.
ORIGIN = ("_slice", "_file", "_row", "_raw", "_value")
VALUE_CHARACTERS = 200  # that are kept of such a value
FLAGS = ("missing", "wrong", "landed")  # of a column: no value, one of the wrong type, and the value as it landed
# Of a bad row's content the beginning is kept, and a column takes six characters of it or more, as in "a":1 and a
# comma. To pack thousands of columns, of which nothing would be seen, took DuckDB a gigabyte.
SHOWN_COLUMNS = RAW_CHARACTERS // 6 + 1
BITS = 62  # columns whose unreadable values one integer tells


@dataclass(frozen=True)
class _Rule:
    """A reason for which a row can't be used."""

    reason: str
    condition: str  # SQL
    column: str = ""  # of ours, whose landed value shows what is wrong; empty: there is none


def clean_impressions(row_ranges: Iterable[RowRange], recipe: Recipe, columns: tuple[Column, ...], day: date) -> str:
    """Write the query that maps each row range to our columns, and adds each row's reason, or none, and its origin."""
    landing = recipe.landing
    rules = _impression_rules(recipe, columns, day)
    flags = _flags_read(rules, columns)
    selects = []
    for row_range in row_ranges:
        if row_range.file.cleaned:
            selects.append(_select_cleaned(row_range, ["event_id", "channel"], columns, flags))
            continue
        identity = event_id(landing, row_range.file.columns, day, row_range.file.name_sql, ROW)
        channel = [f"{duck.text(landing.channel_constant)} AS channel"] if landing.channel_constant else []
        selects.append(_select_from(row_range, [f"{identity} AS event_id", *channel], columns, flags, landing))
    return _with_reason(selects, rules, columns, flags)


def _impression_rules(recipe: Recipe, columns: tuple[Column, ...], day: date) -> list[_Rule]:
    """Return the reasons for which an impression can't be used, in the order in which they are asked."""
    landing = recipe.landing
    known = ", ".join(duck.text(name) for name in recipe.channels)
    given = "" if landing.channel_constant else "channel"
    rules = [
        _Rule("event_id_missing", "event_id IS NULL OR event_id = ''"),
        *_time_rules(day, landing),
        _Rule("ts_too_old", f"ts < TIMESTAMP '{landing.time_bounds(day)[0]}'", "ts"),
        _Rule("channel_missing", "channel IS NULL OR channel = ''"),
        _Rule("channel_unknown", f"channel NOT IN ({known})", given),
    ]
    for column in columns:
        if column.required and not (column.instead or column.may_be_null) and column.name not in ("ts", "channel"):
            rules.append(_Rule(f"{column.name}_missing", _flag("missing", column.name)))
        if column.kind in ("number", "label") and not column.spares_row:
            rules.append(_Rule(f"{column.name}_wrong_type", _flag("wrong", column.name), column.name))
        if column.name == "confidence":
            rules.append(_Rule("confidence_out_of_range", "confidence <= 0 OR confidence > 1", "confidence"))
    return rules


def clean_outcomes(row_ranges: Iterable[RowRange], recipe: Recipe, day: date) -> str:
    """Write the query that maps each row range to an outcome's columns, and adds a reason, or none, and the origin."""
    columns = outcome_columns(recipe)
    rules = [
        _Rule("event_id_missing", "event_id IS NULL OR event_id = ''"),
        *_time_rules(day, recipe.landing),
        _Rule("kind_missing", "kind IS NULL OR kind = ''"),
    ]
    flags = _flags_read(rules, columns)
    selects = [
        _select_cleaned(row_range, [], columns, flags)
        if row_range.file.cleaned
        else _select_from(row_range, [], columns, flags, recipe.landing)
        for row_range in row_ranges
    ]
    return _with_reason(selects, rules, columns, flags)


def unreadable_flags(columns: Iterable[Column]) -> dict[str, list[str]]:
    """Return the columns that tell of a kept row which of its values are missing because they couldn't be read.

    Each is an integer with a bit for each of the columns of ours that it stands for, the lowest bit for the first.
    """
    names = [column.name for column in columns if column.spares_row]
    return {f"_unreadable_{first}": names[first : first + BITS] for first in range(0, len(names), BITS)}


def unreadable(file: LandedFile, column: Column, landing: Landing) -> tuple[str, str]:
    """Return two conditions: that a column's value can't be read as its kind, and that there is a value at all.

    A time that a served model takes for none, since it is of another unit than the file says, can't be read either.
    """
    missing = _is_missing(file, column, landing)
    wrong = _is_wrong(file, column, landing, missing)
    if column.kind == "time":
        time = typed(file, column, landing)
        bounds = f"{time} >= make_timestamp({FIRST_TIME}) AND {time} < make_timestamp({END_OF_TIME})"
        wrong = f"(NOT {missing} AND NOT coalesce({bounds}, false))"
    return wrong, f"(NOT {missing})"


def unreadable_example(file: LandedFile, column: Column, landing: Landing) -> str:
    """Write the query of a landed value of a column that can't be read; empty where the file holds none such."""
    wrong = "false" if file.cleaned else _is_wrong(file, column, landing, _is_missing(file, column, landing))
    if wrong == "false":
        return ""
    value = f"left({writable(column.source, file.columns[column.source])}::VARCHAR, {VALUE_CHARACTERS})"
    return f"SELECT {value} FROM {file.table} WHERE {wrong} LIMIT 1"


def _time_rules(day: date, landing: Landing) -> list[_Rule]:
    """Return reason and condition of each way in which a row's time can be unusable."""
    return [
        _Rule("ts_missing", _flag("missing", "ts")),
        _Rule("ts_unreadable", "ts IS NULL", "ts"),
        _Rule("ts_in_future", f"ts >= TIMESTAMP '{landing.time_bounds(day)[1]}'", "ts"),
    ]


def _select_from(
    row_range: RowRange, expressions: list[str], columns: Iterable[Column], flags: frozenset[str], landing: Landing
) -> str:
    """Select our columns of a row range, those of their flags that are read, and the origin."""
    file = row_range.file
    for column in columns:
        missing = _is_missing(file, column, landing)
        value = typed(file, column, landing)
        landed = writable(column.source, file.columns[column.source]) if column.source in file.columns else "NULL"
        told = (missing, _is_wrong(file, column, landing, missing), f"left({landed}::VARCHAR, {VALUE_CHARACTERS})")
        expressions.append(f"{value} AS {duck.name(column.name)}")
        expressions += _named(told, column, flags)
    first = list(file.columns.items())[:SHOWN_COLUMNS]
    packed = ", ".join(f"{duck.name(name)} := {writable(name, type_)}" for name, type_ in first)
    return _select(row_range, expressions, f"to_json(struct_pack({packed}))")


def _select_cleaned(row_range: RowRange, names: list[str], columns: Iterable[Column], flags: frozenset[str]) -> str:
    """Select our columns, flags and the origin of a file that was cleaned at once: it has no unusable row."""
    expressions = [duck.name(name) for name in names if name not in {column.name for column in columns}]
    for column in columns:
        expressions += [duck.name(column.name), *_named(("false", "false", "NULL"), column, flags)]
    return _select(row_range, expressions, "NULL::JSON")


def _flag(what: str, column: str) -> str:
    """Name a column that tells of one of ours if its value is missing, if it is of the wrong type, or how it landed."""
    return duck.name(f"_{what}_{column}")


def _flags_read(rules: Iterable[_Rule], columns: Iterable[Column]) -> frozenset[str]:
    """Return the flags that are read: each one costs a query time to plan, and most of a wide recipe's nobody asks."""
    asked = {rule.condition for rule in rules}
    shown = {_flag("landed", rule.column) for rule in rules if rule.column}
    counted = {_flag("wrong", column.name) for column in columns if column.spares_row}
    return frozenset(_all_flags(columns)) & (asked | shown | counted)


def _all_flags(columns: Iterable[Column]) -> list[str]:
    """Name the flags that columns may have, in order."""
    return [_flag(what, column.name) for column in columns for what in FLAGS]


def _named(told: tuple[str, str, str], column: Column, flags: frozenset[str]) -> list[str]:
    """Return what the FLAGS of a column tell under their names, for those that are read."""
    named = ((value, _flag(what, column.name)) for value, what in zip(told, FLAGS, strict=True))
    return [f"{value} AS {flag}" for value, flag in named if flag in flags]


def _select(row_range: RowRange, expressions: list[str], raw: str) -> str:
    """Select expressions over a row range, and the rows' origin; raw: the SQL of their content as landed."""
    origin = [
        f"{row_range.file.number_sql} AS _slice",
        f"{row_range.file.name_sql} AS _file",
        f"{ROW} AS _row",
        f"{raw} AS _raw",
    ]
    return f"SELECT {', '.join([*expressions, *origin])} FROM {row_range.table}"


def _with_reason(selects: list[str], rules: list[_Rule], columns: tuple[Column, ...], flags: frozenset[str]) -> str:
    """Join the row ranges' queries and replace the flags by the first reason whose condition holds, or null.

    Of the flags of values that couldn't be read and cost no row, integers remain: see `unreadable_flags`.
    """
    reasons = " ".join(f"WHEN {rule.condition} THEN {duck.text(rule.reason)}" for rule in rules)
    landed = [rule for rule in rules if rule.column]
    values = " ".join(f"WHEN {duck.text(rule.reason)} THEN {_flag('landed', rule.column)}" for rule in landed)
    masks = "".join(f", {_mask(names)} AS {mask}" for mask, names in unreadable_flags(columns).items())
    read = ", ".join(flag for flag in _all_flags(columns) if flag in flags)
    union = " UNION ALL ".join(selects) or _no_row(columns, flags)
    return (
        f"SELECT * EXCLUDE ({read}), CASE {reasons} END AS _reason, (CASE _reason {values} END)::VARCHAR AS _value"
        f"{masks} FROM ({union})"
    )


def _mask(names: list[str]) -> str:
    """Return the SQL of an integer with a bit for each column whose value is of the wrong type."""
    flags = (_flag("wrong", name) for name in names)
    return " | ".join(f"({flag}::BIGINT << {bit})" for bit, flag in enumerate(flags))


def _no_row(columns: Iterable[Column], flags: frozenset[str]) -> str:
    """Select no row of the columns that row ranges would have, where there is no row range."""
    nulls = {column.name: TYPES[column.kind] for column in columns}
    if "kind" not in nulls:  # an impression, of which these two may be made up
        nulls |= {"event_id": "VARCHAR", "channel": "VARCHAR"}
    nulls |= {"_slice": "INTEGER", "_file": "VARCHAR", "_row": "BIGINT", "_raw": "VARCHAR"}
    values = [f"NULL::{type_} AS {duck.name(name)}" for name, type_ in nulls.items()]
    for column in columns:
        values += _named(("NULL::BOOLEAN", "NULL::BOOLEAN", "NULL::VARCHAR"), column, flags)
    return f"SELECT {', '.join(values)} LIMIT 0"


def _is_missing(file: LandedFile, column: Column, landing: Landing) -> str:
    """Return the condition that a landed column holds nothing; a file without it holds nothing in any row."""
    if column.source not in file.columns:
        return "true"
    return is_missing(column.source, file.columns[column.source], column.kind, landing, file.footer)


def _is_wrong(file: LandedFile, column: Column, landing: Landing, missing: str) -> str:
    """Return the condition that the landed column holds something that is no value of the column's kind."""
    if column.kind not in ("number", "label") or column.source not in file.columns:
        return "false"
    if column.kind == "number" and column.bounds is None and file.columns[column.source] in INTEGERS:
        return "false"
    return f"({typed(file, column, landing)} IS NULL AND NOT {missing})"


def typed(file: LandedFile, column: Column, landing: Landing) -> str:
    """Return the SQL of a landed column as our type; what can't be read is null, and the reason follows from that."""
    name = column.source
    if name not in file.columns:
        return duck.text(column.instead) if column.instead else f"NULL::{TYPES[column.kind]}"
    physical = file.columns[name]
    if column.delimiter:
        return as_joined(name, physical, column.delimiter, landing)
    if column.kind == "text":
        text = as_text(name, physical, landing, file.footer)
        return f"coalesce({text}, {duck.text(column.instead)})" if column.instead else text
    if column.kind == "label":
        return as_label(name, physical, landing)
    if column.kind == "time":
        return as_time(name, physical, landing, column.written)
    return _within(as_number(name, physical, landing), column)


def _within(number: str, column: Column) -> str:
    """Return the SQL of a number, null where it can't be what its column says."""
    if column.bounds is None:
        return number
    lowest, highest = column.bounds
    return f"CASE WHEN {number} BETWEEN {lowest} AND {highest} THEN {number} END"


def event_id(landing: Landing, columns: Mapping[str, str], day: date, name: str, row: str) -> str:
    """Return the SQL of an impression's id: from the file's columns, or from landing day, file's name and row's number.

    columns: name → DuckDB type. name: the SQL of the landed file's name. row: that of the row's number, from 0. The id
    is null where a column that makes it is missing, null or NaN.
    """
    if landing.event_id_from == "file_row":
        return f"{duck.text(f'{day}/')} || {name} || ':' || {row}"
    parts = [as_text(part, columns[part], landing) if part in columns else "NULL" for part in landing.event_id_columns]
    return " || '-' || ".join(parts)
