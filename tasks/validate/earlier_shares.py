"""Shares of outcomes that found an impression, of the days before those that are validated: by them a day is held.

They are read once for all days that a run looks at, since the windows before these overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.documents.day_documents import DaySummary
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import SUMMARY_FILE
from ctr_retrain.tasks.store.protocol import find_document, list_day_refs
from ctr_retrain.tasks.validate.day_counts import READERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.store.protocol import Store

USUAL_DAYS = 14  # before a day, whose share is the usual one


@dataclass(frozen=True)
class EarlierShares:
    """Shares of outcomes that found an impression, by landing day; days without one are absent."""

    by_day: Mapping[date, float]

    def before(self, day: date) -> list[float]:
        """Return the shares of the days before a day, oldest first."""
        return [self.by_day[earlier] for earlier in _days_before(day) if earlier in self.by_day]


def read_earlier_shares(store: Store, recipe: Recipe, days: Iterable[date]) -> EarlierShares:
    """Read the shares that some days are held against; none where the recipe gives a bound of its own."""
    if recipe.validation.min_attributed_share or recipe.inline_label:
        return EarlierShares({})
    before = {earlier for day in days for earlier in _days_before(day)}
    wanted = [day for day in list_day_refs(store, layout.DAY_REFS) if day in before] if before else []
    with ThreadPool(READERS) as pool:
        shares = list(pool.map(lambda day: _share(store, day), wanted))
    return EarlierShares({day: share for day, share in zip(wanted, shares, strict=True) if share is not None})


def _days_before(day: date) -> tuple[date, ...]:
    return day_range(day - timedelta(days=USUAL_DAYS), day - timedelta(days=1))


def _share(store: Store, day: date) -> float | None:
    """Return a day's share; None where no outcome landed on it, or `gc` has removed it after its retention."""
    path = current_day_object(store, day)
    summary = find_document(store, path, SUMMARY_FILE, DaySummary) if path else None
    return summary.attribution.share if summary and summary.attribution else None
