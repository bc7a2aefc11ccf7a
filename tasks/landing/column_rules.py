"""SQL of the ingest stage: landed columns → our columns and types, and the reason for which a row can't be used."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from ctr_retrain.models.data.schema import Column, outcome_columns
from ctr_retrain.models.recipe.landing_section import EPOCH_MICROSECONDS, UNIX_EPOCH
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.file_parts import LandedFile
from ctr_retrain.tasks.landing.text_to_parquet import ROW

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctr_retrain.models.recipe.landing_section import Landing
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.landing.file_parts import RowRange

TYPES = {"text": "VARCHAR", "number": "DOUBLE", "time": "TIMESTAMP", "label": "TINYINT"}  # of our columns, by kind
FLOATS = ("FLOAT", "DOUBLE")  # DuckDB's types that may hold NaN
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_TRUTH = "CASE lower(trim({})) WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0 END"
ZONED = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
# Columns with a row's origin: number of its row range, file's name, row's number in the file, content as landed.
ORIGIN = ("_slice", "_file", "_row", "_raw")


def clean_impressions(row_ranges: Iterable[RowRange], recipe: Recipe, columns: tuple[Column, ...], day: date) -> str:
    """Write the query that maps each row range to our columns, and adds each row's reason, or none, and its origin."""
    landing = recipe.landing
    selects = []
    for row_range in row_ranges:
        if row_range.file.cleaned:
            selects.append(_select_cleaned(row_range, ["event_id", "channel"], columns))
            continue
        identity = event_id(landing, row_range.file.columns, day, row_range.file.name, ROW)
        channel = [f"{duck.text(landing.channel_constant)} AS channel"] if landing.channel_constant else []
        selects.append(_select_from(row_range, [f"{identity} AS event_id", *channel], columns, landing))
    known = ", ".join(duck.text(name) for name in recipe.channels)
    rules = [
        ("event_id_missing", "event_id IS NULL OR event_id = ''"),
        *_time_rules(day),
        ("ts_too_old", f"ts < TIMESTAMP '{day - timedelta(days=landing.late_days)}'"),
        ("channel_missing", "channel IS NULL OR channel = ''"),
        ("channel_unknown", f"channel NOT IN ({known})"),
    ]
    for column in columns:
        if column.required and column.name not in ("ts", "channel"):
            rules.append((f"{column.name}_missing", duck.name("_missing_" + column.name)))
        if column.kind in ("number", "label"):
            rules.append((f"{column.name}_wrong_type", duck.name("_wrong_" + column.name)))
        if column.name == "confidence":
            rules.append(("confidence_out_of_range", "confidence <= 0 OR confidence > 1"))
    return _with_reason(selects, rules, columns)


def clean_outcomes(row_ranges: Iterable[RowRange], recipe: Recipe, day: date) -> str:
    """Write the query that maps each row range to an outcome's columns, and adds a reason, or none, and the origin."""
    columns = outcome_columns(recipe)
    selects = [
        _select_cleaned(row_range, [], columns)
        if row_range.file.cleaned
        else _select_from(row_range, [], columns, recipe.landing)
        for row_range in row_ranges
    ]
    rules = [
        ("event_id_missing", "event_id IS NULL OR event_id = ''"),
        *_time_rules(day),
        ("kind_missing", "kind IS NULL OR kind = ''"),
    ]
    return _with_reason(selects, rules, columns)


def _time_rules(day: date) -> list[tuple[str, str]]:
    """Return reason and condition of each way in which a row's time can be unusable."""
    return [
        ("ts_missing", "_missing_ts"),
        ("ts_unreadable", "ts IS NULL"),
        ("ts_in_future", f"ts >= TIMESTAMP '{day + timedelta(days=1)}'"),
    ]


def _select_from(row_range: RowRange, expressions: list[str], columns: Iterable[Column], landing: Landing) -> str:
    """Select our columns of a row range, for each the flags that it is missing or of the wrong type, and the origin."""
    file = row_range.file
    for column in columns:
        missing = _is_missing(file, column)
        expressions += [
            f"{typed(file, column, landing)} AS {duck.name(column.name)}",
            f"{missing} AS {duck.name('_missing_' + column.name)}",
            f"{_is_wrong(file, column, landing, missing)} AS {duck.name('_wrong_' + column.name)}",
        ]
    packed = ", ".join(f"{duck.name(name)} := {writable(name, type_)}" for name, type_ in file.columns.items())
    return _select(row_range, expressions, f"to_json(struct_pack({packed}))")


def _select_cleaned(row_range: RowRange, names: list[str], columns: Iterable[Column]) -> str:
    """Select our columns, flags and the origin of a file that was cleaned at once: it has no unusable row."""
    expressions = [duck.name(name) for name in names if name not in {column.name for column in columns}]
    for column in columns:
        expressions += [duck.name(column.name), *(f"false AS {flag}" for flag in _flags(column))]
    return _select(row_range, expressions, "NULL::JSON")


def _flags(column: Column) -> tuple[str, str]:
    """Name the columns that tell if a value is missing, and if it is of the wrong type."""
    return duck.name(f"_missing_{column.name}"), duck.name(f"_wrong_{column.name}")


def _select(row_range: RowRange, expressions: list[str], raw: str) -> str:
    """Select expressions over a row range, and the rows' origin; raw: the SQL of their content as landed."""
    origin = [
        f"{row_range.number} AS _slice",
        f"{duck.text(row_range.file.name)} AS _file",
        f"{ROW} AS _row",
        f"{raw} AS _raw",
    ]
    return f"SELECT {', '.join([*expressions, *origin])} FROM {row_range.table}"


def _with_reason(selects: list[str], rules: list[tuple[str, str]], columns: Iterable[Column]) -> str:
    """Join the row ranges' queries and replace the flags by the first reason whose condition holds, or null."""
    cases = " ".join(f"WHEN {condition} THEN {duck.text(reason)}" for reason, condition in rules)
    flags = ", ".join(flag for column in columns for flag in _flags(column))
    union = " UNION ALL ".join(selects) or _no_row(columns)
    return f"SELECT * EXCLUDE ({flags}), CASE {cases} END AS _reason FROM ({union})"


def _no_row(columns: Iterable[Column]) -> str:
    """Select no row of the columns that row ranges would have, where there is no row range."""
    nulls = {column.name: TYPES[column.kind] for column in columns}
    if "kind" not in nulls:  # an impression, of which these two may be made up
        nulls |= {"event_id": "VARCHAR", "channel": "VARCHAR"}
    nulls |= {f"_{flag}_{column.name}": "BOOLEAN" for flag in ("missing", "wrong") for column in columns}
    nulls |= {"_slice": "INTEGER", "_file": "VARCHAR", "_row": "BIGINT", "_raw": "VARCHAR"}
    return f"SELECT {', '.join(f'NULL::{type_} AS {duck.name(name)}' for name, type_ in nulls.items())} LIMIT 0"


def _source(file: LandedFile, source: str) -> str:
    """Return the SQL of a landed column: null where this file has none."""
    return duck.name(source) if source in file.columns else "NULL"


def _is_missing(file: LandedFile, column: Column) -> str:
    """Return the condition that the landed column holds nothing; NaN is how some write that of a number."""
    source, physical = _source(file, column.source), file.columns.get(column.source, "")
    # The footer's statistics spare the look at each value where they already answer it.
    missing = [] if column.source in file.footer.never_null else [f"{source} IS NULL"]
    if physical in FLOATS:
        missing.append(f"isnan({source})")
    if physical == "VARCHAR" and column.source not in file.footer.never_blank:
        missing.append(f"trim({source}) = ''")
    if physical == "VARCHAR" and column.kind in ("number", "label"):
        missing.append(f"coalesce(isnan(try_cast({source} AS DOUBLE)), false)")
    return f"({' OR '.join(missing) or 'false'})"


def _is_wrong(file: LandedFile, column: Column, landing: Landing, missing: str) -> str:
    """Return the condition that the landed column holds something that is no value of the column's kind."""
    if column.kind not in ("number", "label") or (
        column.kind == "number" and file.columns.get(column.source) in INTEGERS
    ):
        return "false"
    return f"({typed(file, column, landing)} IS NULL AND NOT {missing})"


def typed(file: LandedFile, column: Column, landing: Landing) -> str:
    """Return the SQL of a landed column as our type; what can't be read is null, and the reason follows from that."""
    source = _source(file, column.source)
    if source == "NULL":
        return f"NULL::{TYPES[column.kind]}"
    physical = file.columns[column.source]
    if column.kind == "text":
        return _typed_text(file, column, physical)
    if column.kind == "label":
        return f"CASE WHEN try_cast({source} AS DOUBLE) IN (0, 1) THEN try_cast({source} AS DOUBLE)::TINYINT END"
    if column.kind == "number":
        if physical in INTEGERS:
            return f"{source}::DOUBLE"
        number = f"try_cast({source} AS DOUBLE)"
        if physical == "VARCHAR":  # of which JSON's true, in a file of texts, is 1 as a typed one is
            number = f"coalesce({number}, {_TRUTH.format(source)})"
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    return as_time(source, physical, landing)


def _typed_text(file: LandedFile, column: Column, physical: str) -> str:
    """Return the SQL of a landed column as text, empty texts as null; several values of a row are joined."""
    if column.delimiter:
        return f"nullif({as_joined(column.source, physical, column.delimiter)}, '')"
    if physical == "VARCHAR" and column.source in file.footer.never_blank:
        return duck.name(column.source)
    return f"nullif({as_text(column.source, physical)}, '')"


def as_time(source: str, physical: str, landing: Landing) -> str:
    """Return the SQL of a column of times as TIMESTAMP in UTC. A time that the file types itself needs no recipe.

    Null where it can't be read; a number below 0, which lies before the origin, is no time either.
    """
    if physical in ZONED:
        return f"({source}::TIMESTAMPTZ AT TIME ZONE 'UTC')"
    if physical.startswith(("TIMESTAMP", "DATE")):
        return f"try_cast({source} AS TIMESTAMP)"
    if landing.time == "iso":
        return f"(try_cast({source}::VARCHAR AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
    unit = EPOCH_MICROSECONDS.get(landing.time)
    if unit is None:
        return f"try_strptime({source}::VARCHAR, {duck.text(landing.time)})::TIMESTAMP"
    number = f"try_cast({source} AS DOUBLE)"
    origin = (landing.origin - UNIX_EPOCH) // timedelta(microseconds=1)
    micros = f"try_cast(round({number} * {unit}) + {origin} AS BIGINT)"
    return f"(CASE WHEN {number} >= 0 THEN make_timestamp({micros}) END)"


def event_id(landing: Landing, columns: Mapping[str, str], day: date, name: str, row: str) -> str:
    """Return the SQL of an impression's id: from the file's columns, or from landing day, file's name and row's number.

    columns: name → DuckDB type. name: of the landed file. row: the SQL of the row's number, from 0. The id is null
    where a column that makes it is missing, null or NaN.
    """
    if landing.event_id_from == "file_row":
        return f"{duck.text(f'{day}/{name}:')} || {row}"
    parts = [as_text(part, columns[part]) if part in columns else "NULL" for part in landing.event_id_columns]
    return " || '-' || ".join(parts)


def as_text(name: str, physical: str) -> str:
    """Return the SQL of a column as texts. NaN, which is how some write that a number is missing, is null."""
    column = duck.name(name)
    if physical in FLOATS:
        return f"(CASE WHEN NOT isnan({column}) THEN {column} END)::VARCHAR"
    return f"{writable(name, physical)}::VARCHAR"


def as_joined(name: str, physical: str, delimiter: str) -> str:
    """Return the SQL of a column of several values a row as texts, with the delimiter between values, without nulls.

    The values may stand in a list, in a text that is a JSON array, or with the delimiter between them already.
    """
    column, between = duck.name(name), duck.text(delimiter)
    if physical.endswith("]"):
        return f"array_to_string({column}::VARCHAR[], {between})"
    text = as_text(name, physical)
    array = f"try_cast(try_cast({text} AS JSON) AS VARCHAR[])"
    return (
        f"CASE WHEN ltrim({text}) LIKE '[%' THEN coalesce(array_to_string({array}, {between}), {text}) ELSE {text} END"
    )


def writable(name: str, physical: str) -> str:
    """Return the SQL of a column as it is, without the very first of DuckDB's times, on which writing a text breaks."""
    column = duck.name(name)
    if physical not in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
        return column
    return f"(CASE WHEN {column} >= '-infinity'::{physical} THEN {column} END)"
