"""The `event_id` of a landed impression: one rule for ingest, and for `land`, which gives it to inline outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks import duck

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from models.landing_contract import Landing


def event_id(landing: Landing, columns: Collection[str], day: date, name: str, row: str) -> str:
    """The SQL of it: from the file's columns, or from the landing day, the landed file's name and the row's number.

    `row` is the SQL of that number, from 0. Null where a column that makes the id is missing or null.
    """
    if landing.event_id_from == "file_row":
        return f"{duck.text(f'{day}/{name}:')} || {row}"
    parts = [f"{duck.name(part)}::VARCHAR" if part in columns else "NULL" for part in landing.event_id_columns]
    return " || '-' || ".join(parts)
