"""The `event_id` of a landed impression: one rule for ingest, and for `land`, which gives it to inline outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import duck
from tasks.landed_text import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from models.landing_contract import Landing


def event_id(landing: Landing, columns: Mapping[str, str], day: date, name: str, row: str) -> str:
    """The SQL of it: from the file's columns, or from the landing day, the landed file's name and the row's number.

    columns: name → DuckDB type. `row` is the SQL of that number, from 0. Null where a column that makes the id is
    missing, null or NaN.
    """
    if landing.event_id_from == "file_row":
        return f"{duck.text(f'{day}/{name}:')} || {row}"
    parts = [as_text(part, columns[part]) if part in columns else "NULL" for part in landing.event_id_columns]
    return " || '-' || ".join(parts)
