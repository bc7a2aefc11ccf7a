"""Stage 4, drift: the day's positive ratio against its own history, channel by channel, same vintage throughout."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow.parquet as pq

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.data.drift import DayRatio, detect, to_alert
from ctr_retrain.models.data.profile import ChannelCount, count_channels
from ctr_retrain.models.documents.drift_documents import Alert, DriftResult
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.store.protocol import Store
from ctr_retrain.tasks.validate.validate_day import load_validated_day


@dataclass(frozen=True)
class DriftReport:
    """The drift of a day, channel by channel."""

    results: tuple[DriftResult, ...]  # one a channel
    history: dict[str, tuple[DayRatio, ...]]  # channel → ratios, oldest first, the day's own last; the report plots it

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """Return the alerts: what somebody should look at."""
        found = [to_alert(result) for result in self.results]
        return tuple(alert for alert in found if alert is not None)


def detect_drift(store: Store, recipe: Recipe, day: date) -> DriftReport:
    """Compare the day, as of its own end, with the accepted days before it, each as of its own end."""
    history: dict[str, list[DayRatio]] = {name: [] for name in recipe.channels}
    for earlier in day_range(day - timedelta(days=recipe.drift.history_days), day - timedelta(days=1)):
        validated = load_validated_day(store, earlier)
        if validated is not None and validated.accepted:  # a broken day would widen the band
            counts = _day_counts(store, earlier)
            for name, ratios in history.items():
                ratios.append(_ratio(earlier, counts.get(name)))
    today = _day_counts(store, day)
    results = tuple(
        detect(name, _ratio(day, today.get(name)), ratios, recipe.drift) for name, ratios in history.items()
    )
    plotted = {name: (*ratios, _ratio(day, today.get(name))) for name, ratios in history.items()}
    return DriftReport(results, plotted)


def _day_counts(store: Store, day: date) -> dict[str, ChannelCount]:
    """Count a day's impressions and positives by channel, as of its own end; none where it was not ingested."""
    path = current_day_object(store, day)
    profile = store.file(path, "profile.parquet") if path else None
    return count_channels(pq.read_table(profile), day) if profile else {}


def _ratio(day: date, count: ChannelCount | None) -> DayRatio:
    """Return a channel's counts of a day; zeros where it had no impressions."""
    return DayRatio(day, count.positives, count.rows) if count else DayRatio(day, 0, 0)
