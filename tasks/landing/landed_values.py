"""SQL of a landed value: a column of whatever type as a text, a number, a yes or no, or a time of ours.

What the statistics in a Parquet file's footer promise of a column needn't be checked value by value.

What can't be read is null. Whoever asks tells it by `is_missing` from what was never there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.feature_kinds.arrow_columns import LARGEST_WRITTEN
from ctr_retrain.models.recipe.landing_section import UNIX_EPOCH
from ctr_retrain.models.time_format import EPOCH_MICROSECONDS
from ctr_retrain.models.usual_words import NO, NULL_MARKERS, YES
from ctr_retrain.tasks.execution import duck

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ctr_retrain.models.data.schema import Kind
    from ctr_retrain.models.recipe.landing_section import Landing

FLOATS = ("FLOAT", "DOUBLE")  # DuckDB's types that may hold NaN
INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
ZONED = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS")
# How ISO 8601 and its habits may differ from what DuckDB reads, each as a pattern and what it becomes.
ISO_HABITS = (
    (r"^\s+|\s+$", "", "g"),
    (r"(Z|z|[+-]\d\d:?\d\d)\[[^\]]*\]$", r"\1", ""),  # an offset beside a zone's name says all
    (r"\[([^\]]*)\]$", r" \1", ""),
    (r"^(\d{4})(\d\d)(\d\d)($|[Tt _])", r"\1-\2-\3\4", ""),  # the basic form, without separators
    (r"^(\d{4}-\d\d-\d\d)[Tt _](\d\d)(\d\d)(\d\d)?", r"\1T\2:\3:\4", ""),
    (r":([Zz+-]|$)", r"\1", ""),  # where the basic form has no seconds
    (r"^(\d{4}-\d\d-\d\d)t", r"\1T", ""),
    (r"(\d),(\d+)", r"\1.\2", ""),
    (r"(\d) *(?:z|Z|UTC|GMT)$", r"\1Z", ""),
    (r" +([+-]\d\d:?\d\d)$", r"\1", ""),
)
VALUE_BYTES = 8  # that a number or a time takes in memory; a text takes more
FIRST_VISIBLE = "!"  # a text that is empty or begins with a blank sorts before it


@dataclass(frozen=True)
class Footer:
    """The columns of which a footer promises something."""

    never_null: frozenset[str] = frozenset()  # without a null
    always_null: frozenset[str] = frozenset()  # of nulls alone
    never_blank: frozenset[str] = frozenset()  # of texts, none of which is empty or begins with a blank
    unpacked_bytes: int = 0  # of all values, as it says, and no fewer than VALUE_BYTES of each


def as_text(name: str, physical: str, landing: Landing, footer: Footer | None = None) -> str:
    """Return the SQL of a column as texts, an empty one as null; see `value_text`.

    footer: promises of the file about its texts.
    """
    column = duck.name(name)
    text = value_text(writable(name, physical), physical)
    if landing.null_values:
        markers = ", ".join(duck.text(marker) for marker in landing.null_values)
        text = f"CASE WHEN trim({column}::VARCHAR) NOT IN ({markers}) THEN {text} END"
    if physical == "VARCHAR" and footer is not None and name in footer.never_blank:
        return text
    return f"nullif({text}, '')"


def value_text(value: str, physical: str) -> str:
    """Return the SQL of a value as text, the same whatever type of number or id it landed as.

    An integer is written without a decimal point, sixteen bytes of a UUID as that, other bytes as UTF-8. NaN, which is
    how some write that a number is missing, is null.
    """
    if physical in FLOATS:
        whole = f"{value} = trunc({value}) AND abs({value}) < {LARGEST_WRITTEN}"
        return f"CASE WHEN {whole} THEN {value}::BIGINT::VARCHAR WHEN NOT isnan({value}) THEN {value}::VARCHAR END"
    if physical.startswith("DECIMAL") and not physical.endswith(",0)"):
        return f"rtrim(rtrim({value}::VARCHAR, '0'), '.')"
    if physical == "BLOB":
        return _text_of_bytes(value)
    return _whole_number(value) if physical == "VARCHAR" else f"{value}::VARCHAR"


def as_joined(name: str, physical: str, delimiter: str, landing: Landing) -> str:
    """Return the SQL of a column of several values a row as texts, with the delimiter between values, without nulls.

    The values may stand in a list, in a text that is a JSON array, or with the delimiter between them already.
    """
    between = duck.text(delimiter)
    if physical.endswith("[]"):
        each = f"lambda value: {value_text('value', physical.removesuffix('[]'))}"
        return f"nullif(array_to_string(list_transform({duck.name(name)}, {each}), {between}), '')"
    if physical.endswith("]"):
        return f"nullif(array_to_string({duck.name(name)}::VARCHAR[], {between}), '')"
    text = as_text(name, physical, landing)
    values = f"coalesce(try_cast(try_cast({text} AS JSON) AS VARCHAR[]), [{text}])"
    plain = f"array_to_string(list_transform({values}, lambda value: {_whole_number('value')}), {between})"
    split = f"list_transform(string_split({text}, {between}), lambda value: {_whole_number('value')})"
    return (
        f"CASE WHEN ltrim({text}) LIKE '[%' THEN nullif({plain}, '') "
        f"WHEN contains({text}, '.0') THEN array_to_string({split}, {between}) ELSE {text} END"
    )


def as_number(name: str, physical: str, landing: Landing) -> str:
    """Return the SQL of a column as finite numbers; yes and no are 1 and 0, in whatever format they are written."""
    column = duck.name(name)
    if physical in INTEGERS:
        return f"{column}::DOUBLE"
    number = _number(column, physical, landing)
    finite = f"CASE WHEN isfinite({number}) THEN {number} END"
    if physical != "VARCHAR":
        return finite
    return f"coalesce({finite}, CASE lower(trim({column})) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)"


def as_label(name: str, physical: str, landing: Landing) -> str:
    """Return the SQL of a column as 1 where it says yes, 0 where it says no, else null."""
    column = duck.name(name)
    number = _number(column, physical, landing)
    label = f"CASE WHEN {number} IN (0, 1) THEN {number}::TINYINT END"
    if physical != "VARCHAR":
        return label
    yes, no = (", ".join(map(duck.text, words)) for words in (YES, NO))
    word = f"lower(trim({column}))"
    return f"coalesce({label}, CASE WHEN {word} IN ({yes}) THEN 1 WHEN {word} IN ({no}) THEN 0 END)::TINYINT"


def as_time(name: str, physical: str, landing: Landing, written: str) -> str:
    """Return the SQL of a column of times as TIMESTAMP in UTC. A time that the file types itself needs no recipe.

    written: `landing.time`, or `landing.outcome_time`. Null where it can't be read; a number below 0, which lies before
    the origin, is no time either.
    """
    column = duck.name(name)
    if physical in ZONED:
        return f"({column}::TIMESTAMPTZ AT TIME ZONE 'UTC')"
    if physical.startswith(("TIMESTAMP", "DATE")):
        return f"try_cast({column} AS TIMESTAMP)"
    if written == "iso":
        text = f"{column}::VARCHAR"
        return f"(coalesce(try_cast({text} AS TIMESTAMPTZ), {_unusual_iso(text)}) AT TIME ZONE 'UTC')"
    unit = EPOCH_MICROSECONDS.get(written)
    if unit is None:
        return f"try_strptime({column}::VARCHAR, {duck.text(written)})::TIMESTAMP"
    number = _number(column, physical, landing)
    origin = (landing.origin - UNIX_EPOCH) // timedelta(microseconds=1)
    micros = f"try_cast(round({number} * {unit}) + {origin} AS BIGINT)"
    return f"(CASE WHEN {number} >= 0 THEN make_timestamp({micros}) END)"


def is_missing(name: str, physical: str, kind: Kind, landing: Landing, footer: Footer) -> str:
    """Return the condition that a column holds nothing: null, NaN, a blank, or a marker of such."""
    column = duck.name(name)
    # The footer's statistics spare the look at each value where they already answer it.
    missing = [] if name in footer.never_null else [f"{column} IS NULL"]
    if physical in FLOATS:
        missing.append(f"isnan({column})")
    if physical == "VARCHAR" and name not in footer.never_blank:
        missing.append(f"trim({column}) = ''")
    if physical == "BLOB":
        missing.append(f"octet_length({column}) = 0")
    if landing.null_values:
        markers = ", ".join(map(duck.text, landing.null_values))
        missing.append(f"trim({column}::VARCHAR) IN ({markers})")
    if physical == "VARCHAR" and kind in ("number", "label"):
        missing.append(f"coalesce(isnan(try_cast({column} AS DOUBLE)), false)")
    if physical == "VARCHAR" and kind != "text":
        missing.append(f"lower(trim({column})) IN ({', '.join(map(duck.text, NULL_MARKERS))})")
    return f"({' OR '.join(missing) or 'false'})"


def nested_value(name: str, columns: Mapping[str, str]) -> str:
    """Return the SQL of the value that `user.id` names in the column `user`: of a struct, a map, or a text of JSON.

    columns: of the file, name → DuckDB type. Empty where a column has the whole name, which counts then, or none its
    beginning. What isn't there is null; a key that a struct doesn't have is an error of DuckDB's.
    """
    top, _, below = name.partition(".")
    if name in columns or not below or top not in columns:
        return ""
    column, keys = duck.name(top), below.split(".")
    if columns[top] not in ("VARCHAR", "JSON"):
        return column + "".join(f"[{duck.text(key)}]" for key in keys)
    return json_value(column, keys)


def json_value(column: str, keys: Iterable[str]) -> str:
    """Return the SQL of the value at nested keys of JSON, as a text; null where there is none, or no JSON."""
    path = ".".join(["$", *(json.dumps(key, ensure_ascii=False) for key in keys)])
    return f"CASE WHEN json_valid({column}::VARCHAR) THEN json_extract_string({column}::VARCHAR, {duck.text(path)}) END"


def writable(name: str, physical: str) -> str:
    """Return the SQL of a column as it is, without the very first of DuckDB's times, on which writing a text breaks."""
    column = duck.name(name)
    if physical not in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
        return column
    return f"(CASE WHEN {column} >= '-infinity'::{physical} THEN {column} END)"


def _whole_number(text: str) -> str:
    """Return the SQL of a text, one that is an integer with zeros behind its decimal point without these."""
    # The search for .0 spares nearly all texts the pattern, which takes five times as long as reading the value.
    shortened = f"regexp_replace({text}, '^([+-]?[0-9]+)[.]0+$', '\\1')"
    return f"CASE WHEN contains({text}, '.0') THEN {shortened} ELSE {text} END"


def _text_of_bytes(value: str) -> str:
    """Return the SQL of bytes as text: sixteen that say of themselves to be a UUID's, then UTF-8, then any sixteen."""
    # Version and variant of RFC 9562; a text in UTF-8 that looks so would need a mark of another alphabet in mid-word.
    version, variant = f"substr(hex({value}), 13, 1)", f"substr(hex({value}), 17, 1)"
    sixteen = f"octet_length({value}) = 16"
    return (
        f"CASE WHEN {sixteen} AND {version} BETWEEN '1' AND '7' AND {variant} BETWEEN '8' AND 'B' "
        f"THEN {value}::UUID::VARCHAR "
        f"ELSE coalesce(try(decode({value})), "
        f"CASE WHEN {sixteen} THEN {value}::UUID::VARCHAR END, {value}::VARCHAR) END"
    )


def _number(column: str, physical: str, landing: Landing) -> str:
    """Return the SQL of a column as a number, read with the recipe's decimal mark where it is a text."""
    if physical == "VARCHAR" and landing.decimal != ".":
        # With another mark, a point stands between thousands or the number was not written by that software.
        column = (
            f"(CASE WHEN NOT contains({column}, '.') THEN replace({column}, {duck.text(landing.decimal)}, '.') END)"
        )
    return f"try_cast({column} AS DOUBLE)"


def _unusual_iso(text: str) -> str:
    """Return the SQL of a time in one of the forms of ISO 8601 that DuckDB doesn't read, as TIMESTAMPTZ."""
    for pattern, becomes, options in ISO_HABITS:
        text = f"regexp_replace({text}, {duck.text(pattern)}, {duck.text(becomes)}, {duck.text(options)})"
    return f"try_cast({text} AS TIMESTAMPTZ)"


def read_footer(path: Path) -> Footer:
    """Read the promises of all row groups together; a column without statistics promises nothing."""
    try:
        metadata = pq.read_metadata(path)
    except (OSError, pa.ArrowException):  # DuckDB may read what Arrow doesn't, and looks at the values then
        return Footer()
    names = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
    never_null, always_null, never_blank = set(names), set(names), set(names)
    for group in range(metadata.num_row_groups):
        for index, name in enumerate(names):
            column = metadata.row_group(group).column(index)
            statistics = column.statistics
            nulls = statistics.null_count if statistics is not None and statistics.has_null_count else None
            if nulls != 0:
                never_null.discard(name)
            if nulls != column.num_values:
                always_null.discard(name)
            if statistics is None or not _visible(statistics):
                never_blank.discard(name)
    return Footer(frozenset(never_null), frozenset(always_null), frozenset(never_blank), unpacked_bytes(metadata))


def unpacked_bytes(metadata: pq.FileMetaData) -> int:
    """Return how much the values of a Parquet file are, unpacked, and no less than VALUE_BYTES each.

    A page of one value that is repeated takes a few bytes for millions of rows, of which each costs its reader memory.
    """
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    said = sum(max(0, group.total_byte_size) for group in groups)
    values = sum(max(0, group.column(column).num_values) for group in groups for column in range(group.num_columns))
    cells = max(values, metadata.num_rows * metadata.num_columns)
    return int(max(said, VALUE_BYTES * cells))


def _visible(statistics: pq.Statistics) -> bool:
    """Return True if even the smallest of a column's texts has something to be seen."""
    # Other types are not looked at: reading the minimum of dates fails where it lies before the year 1.
    if statistics.physical_type != "BYTE_ARRAY" or not statistics.has_min_max:
        return False
    return isinstance(statistics.min, str) and statistics.min >= FIRST_VISIBLE
