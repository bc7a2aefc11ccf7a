"""Landed columns → our columns and types, and the reason for which a row can't be used: SQL for the ingest stage."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from models.landing_contract import EPOCH_MICROSECONDS, UNIX_EPOCH
from models.schema import OUTCOME_COLUMNS, Column
from tasks import duck
from tasks.event_id import event_id
from tasks.landing import ROW, LandedFile

if TYPE_CHECKING:
    from models.landing_contract import Landing
    from models.recipe import Recipe


def clean_impressions(files: list[LandedFile], recipe: Recipe, columns: tuple[Column, ...], day: date) -> str:
    """The query that maps each file to our columns and gives each row its reason, or none."""
    landing = recipe.landing
    selects = []
    for file in files:
        identity = event_id(landing, file.columns, day, file.name, ROW)
        channel = [f"{duck.text(landing.channel_constant)} AS channel"] if landing.channel_constant else []
        mapped = [f"{typed(file, column, landing)} AS {duck.name(column.name)}" for column in columns]
        raw = [f"{_source(file, column.source)}::VARCHAR AS {duck.name('_raw_' + column.name)}" for column in columns]
        selects.append(_select_from(file, [f"{identity} AS event_id", *channel, *mapped, *raw]))
    known = ", ".join(duck.text(name) for name in recipe.channels)
    rules = [
        ("event_id_missing", "event_id IS NULL OR event_id = ''"),
        *_time_rules(day),
        ("ts_too_old", f"ts < TIMESTAMP '{day - timedelta(days=landing.late_days)}'"),
        ("channel_missing", "channel IS NULL OR channel = ''"),
        ("channel_unknown", f"channel NOT IN ({known})"),
    ]
    for column in columns:
        quoted, raw_value = duck.name(column.name), duck.name("_raw_" + column.name)
        if column.required and column.name not in ("ts", "channel"):
            rules.append((f"{column.name}_missing", _is_missing(raw_value)))
        if column.kind in ("number", "label"):
            rules.append((f"{column.name}_wrong_type", f"{quoted} IS NULL AND NOT {_is_missing(raw_value, nan=True)}"))
        if column.name == "confidence":
            rules.append(("confidence_out_of_range", f"{quoted} <= 0 OR {quoted} > 1"))
    return _with_reason(selects, rules, [column.name for column in columns])


def clean_outcomes(files: list[LandedFile], recipe: Recipe, day: date) -> str:
    """The same for outcomes; with no file, the query answers no row."""
    selects = []
    for file in files:
        mapped = [f"{typed(file, c, recipe.landing)} AS {duck.name(c.name)}" for c in OUTCOME_COLUMNS]
        raw = [f"{_source(file, c.source)}::VARCHAR AS {duck.name('_raw_' + c.name)}" for c in OUTCOME_COLUMNS]
        selects.append(_select_from(file, [*mapped, *raw]))
    if not selects:
        texts = ("event_id", "kind", "_raw_event_id", "_raw_ts", "_raw_kind", "_file", "_raw")
        nothing = ", ".join(f"NULL::VARCHAR AS {name}" for name in texts)
        selects = [f"SELECT {nothing}, NULL::TIMESTAMP AS ts, 0 AS _row LIMIT 0"]
    rules = [
        ("event_id_missing", "event_id IS NULL OR event_id = ''"),
        *_time_rules(day),
        ("kind_missing", "kind IS NULL OR kind = ''"),
    ]
    return _with_reason(selects, rules, [column.name for column in OUTCOME_COLUMNS])


def _time_rules(day: date) -> list[tuple[str, str]]:
    return [
        ("ts_missing", _is_missing("_raw_ts")),
        ("ts_unreadable", "ts IS NULL"),
        ("ts_in_future", f"ts >= TIMESTAMP '{day + timedelta(days=1)}'"),
    ]


def _select_from(file: LandedFile, expressions: list[str]) -> str:
    packed = ", ".join(f"{duck.name(name)} := {duck.name(name)}" for name in file.columns)
    origin = [f"{duck.text(file.name)} AS _file", f"{ROW} AS _row", f"to_json(struct_pack({packed})) AS _raw"]
    return f"SELECT {', '.join([*expressions, *origin])} FROM {file.table}"


def _with_reason(selects: list[str], rules: list[tuple[str, str]], names: list[str]) -> str:
    cases = " ".join(f"WHEN {condition} THEN {duck.text(reason)}" for reason, condition in rules)
    raw = ", ".join(dict.fromkeys(duck.name("_raw_" + name) for name in names))
    union = " UNION ALL ".join(selects)
    return f"SELECT * EXCLUDE ({raw}), CASE {cases} END AS _reason FROM ({union})"


def _source(file: LandedFile, source: str) -> str:
    """The landed column, or null where this file has none."""
    return duck.name(source) if source in file.columns else "NULL"


def _is_missing(raw: str, *, nan: bool = False) -> str:
    blank = f"({raw} IS NULL OR trim({raw}::VARCHAR) = ''"
    return blank + (f" OR lower({raw}::VARCHAR) = 'nan')" if nan else ")")


def typed(file: LandedFile, column: Column, landing: Landing) -> str:
    """The landed column as our type; what can't be read is null, and the reason follows from that."""
    source = _source(file, column.source)
    if source == "NULL":
        return {"text": "NULL::VARCHAR", "time": "NULL::TIMESTAMP", "label": "NULL::TINYINT"}.get(
            column.kind, "NULL::DOUBLE"
        )
    if column.kind == "text":
        return f"nullif({source}::VARCHAR, '')"
    if column.kind == "label":
        return f"CASE WHEN try_cast({source} AS DOUBLE) IN (0, 1) THEN try_cast({source} AS DOUBLE)::TINYINT END"
    if column.kind == "number":
        number = f"try_cast({source} AS DOUBLE)"
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    return as_time(source, file.columns[column.source], landing)


def as_time(source: str, physical: str, landing: Landing) -> str:
    """A column of times as TIMESTAMP in UTC. A time that the file types itself needs no recipe.

    Null where it can't be read; a number below 0, which lies before the origin, is no time either.
    """
    if physical.startswith("TIMESTAMP WITH TIME ZONE"):
        return f"({source} AT TIME ZONE 'UTC')"
    if physical.startswith(("TIMESTAMP", "DATE")):
        return f"{source}::TIMESTAMP"
    if landing.time == "iso":
        return f"(try_cast({source}::VARCHAR AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
    unit = EPOCH_MICROSECONDS.get(landing.time)
    if unit is None:
        return f"try_strptime({source}::VARCHAR, {duck.text(landing.time)})::TIMESTAMP"
    number = f"try_cast({source} AS DOUBLE)"
    origin = (landing.origin - UNIX_EPOCH) // timedelta(microseconds=1)
    micros = f"try_cast(round({number} * {unit}) + {origin} AS BIGINT)"
    return f"(CASE WHEN {number} >= 0 THEN make_timestamp({micros}) END)"
