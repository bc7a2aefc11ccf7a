"""Columns of the features as they landed, day by day: what the summaries of landed days say of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.documents.day_documents import DaySummary
from ctr_retrain.models.features.column_changes import ColumnDay
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.store.layout import SUMMARY_FILE
from ctr_retrain.tasks.store.protocol import Store, find_document

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date


def columns_by_day(store: Store, days: Iterable[date]) -> dict[str, list[ColumnDay]]:
    """Return each column on those of the landing days that are there and were looked at, in order."""
    found: dict[str, list[ColumnDay]] = {}
    for day in sorted(days):
        path = current_day_object(store, day)
        summary = find_document(store, path, SUMMARY_FILE, DaySummary) if path else None
        if summary is None:
            continue
        for name, fill in summary.fill.items():
            column = ColumnDay(day, summary.impressions.kept, fill.rows, fill.sampled, fill.numbers)
            found.setdefault(name, []).append(column)
    return found
