"""A landed column of any type as text, in SQL: for ids, categorical features, and what is kept of a bad row."""

from __future__ import annotations

from tasks import duck

FLOATS = ("FLOAT", "DOUBLE")


def as_text(name: str, physical: str) -> str:
    """The column as texts. NaN, which is how some write that a number is missing, is null."""
    column = duck.name(name)
    if physical in FLOATS:
        return f"(CASE WHEN NOT isnan({column}) THEN {column} END)::VARCHAR"
    return f"{as_shown(name, physical)}::VARCHAR"


def as_joined(name: str, physical: str, delimiter: str) -> str:
    """A column of several values a row as texts, with the delimiter between values: nulls among these are left out.

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


def as_shown(name: str, physical: str) -> str:
    """The column as it is, save for what DuckDB can't write as text and breaks on: the very first of its times."""
    column = duck.name(name)
    if physical not in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
        return column
    return f"(CASE WHEN {column} >= '-infinity'::{physical} THEN {column} END)"
