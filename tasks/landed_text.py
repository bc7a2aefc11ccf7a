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


def as_shown(name: str, physical: str) -> str:
    """The column as it is, save for what DuckDB can't write as text and breaks on: the very first of its times."""
    column = duck.name(name)
    if physical not in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
        return column
    return f"(CASE WHEN {column} >= '-infinity'::{physical} THEN {column} END)"
