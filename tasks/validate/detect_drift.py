"""Stage 4, drift: a day's counts by channel and slice against the days before, same vintage throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from ctr_retrain.models.data.completeness import Completeness
from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.data.profile import ChannelCount
from ctr_retrain.models.documents.drift_documents import Alert, DayCounts, DriftResult
from ctr_retrain.models.drift.channel_watch import Finding, Rules
from ctr_retrain.models.drift.finding_signals import alert_of, merged, signal_of
from ctr_retrain.models.drift.limits import budget_of
from ctr_retrain.models.drift.missing_hours import hours_sentence
from ctr_retrain.models.drift.unusual_rows import UNATTRIBUTED, signal_of_rows, watch_rows
from ctr_retrain.models.drift.watched_days import WatchedDay, watch_channels
from ctr_retrain.models.incidents.said_normal import said_to_be_normal
from ctr_retrain.models.incidents.signal import Signal
from ctr_retrain.models.levels.drift_days import ChannelCounts, ChannelSeries, DriftDay, channel_series
from ctr_retrain.models.number_format import percent, signed
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.alerts.incident_refs import load_incidents
from ctr_retrain.tasks.alerts.taught_models import TaughtModels, taught_sentence
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store, list_day_refs
from ctr_retrain.tasks.validate.day_counts import READERS, CountedDay, load_counted_day
from ctr_retrain.tasks.validate.row_shares import load_row_shares
from ctr_retrain.tasks.validate.validate_day import load_decision, load_validated_day

SHOWN_DAYS = 28  # of a channel's history in the report


@dataclass(frozen=True)
class DriftReport:
    """The drift of a day, channel by channel."""

    results: tuple[DriftResult, ...]  # one a channel
    history: dict[str, tuple[DayCounts, ...]]  # channel → days, oldest first, the day's own last; the report plots it
    alerts: tuple[Alert, ...] = ()  # what somebody should look at, as the day's document holds it
    signals: tuple[Signal, ...] = ()  # the same and notices besides, as incidents take them


def detect_drift(store: Store, recipe: Recipe, day: date, completeness: Completeness) -> DriftReport:
    """Replay the days before and the day itself, each as of its own end, and report what is found on the day.

    Rejected days are left out: what they would teach is not known to be true. Of days whose outcomes are missing only
    volume and shares are looked at, since one cause is told once; what was open stays open.
    """
    counted = [*_days_before(store, recipe, day), load_counted_day(store, day) or CountedDay(day, {}, (), ())]
    days = [_drift_day(each, completeness.short_channels(recipe, each.day)) for each in counted]
    channels = [channel_series(channel, days) for channel in recipe.channels]
    rules = replace(rules_of(recipe), said=said_to_be_normal(load_incidents(store).handled))
    results, history, models = [], {}, TaughtModels(store)
    alerts: list[Alert] = []
    signals: list[tuple[ChannelSeries, Finding, Signal]] = []
    for series, watched in zip(channels, watch_channels(channels, rules), strict=True):
        result, history[series.channel] = describe_channel(series, watched)
        results.append(result)
        for finding in watched[-1].findings:
            alert = alert_of(series, finding)
            alerts += [alert] if alert else []
            more = (*_hours(finding, series.channel, counted), *_cost(recipe, series, finding.fault.since, day, models))
            signals.append((series, finding, signal_of(series, finding, day, more)))
    kinds = {finding.fault.kind for _, finding, _ in signals}
    rows = _row_signals(store, rules, counted, models, files_missing="files_missing" in kinds)
    return DriftReport(tuple(results), history, tuple(alerts), (*merged(signals), *rows))


def _row_signals(
    store: Store, rules: Rules, counted: Sequence[CountedDay], models: TaughtModels, *, files_missing: bool
) -> tuple[Signal, ...]:
    """Return what is unusual about the day's rows; where its files are missing, outcomes lack theirs by that alone.

    Of a rejected day people are told by its failed expectations.
    """
    day = counted[-1].day
    found = watch_rows(load_row_shares(store, counted), rules)[-1]
    validated = load_validated_day(store, day)
    told = validated is None or validated.accepted
    signals = (
        signal_of_rows(one, day, (taught_sentence(models.by_days(day_range(one.since, day))),))
        for one in found
        if not (files_missing and one.name == UNATTRIBUTED)
    )
    return tuple(one if told else one.model_copy(update={"level": "notice"}) for one in signals)


def describe_channel(series: ChannelSeries, watched: list[WatchedDay]) -> tuple[DriftResult, tuple[DayCounts, ...]]:
    """Return a channel's newest day beside what was expected of it, and the days that the report plots."""
    return _result(series, watched[-1]), _history(series, watched)


def rules_of(recipe: Recipe) -> Rules:
    """Return the rules by which a recipe's channels are watched."""
    drift = recipe.drift
    return Rules(
        budget=budget_of(drift.false_alarms_per_year),
        min_effect=drift.min_effect,
        channels=len(recipe.channels),
        min_errors=drift.min_z,
        min_days=drift.min_history_days,
        new_normal_days=drift.new_normal_days,
    )


def _days_before(store: Store, recipe: Recipe, day: date) -> list[CountedDay]:
    """Load the counts of the accepted days before a day, oldest first."""

    def load(earlier: date) -> CountedDay | None:
        decision = load_decision(store, earlier)
        return load_counted_day(store, earlier, decision.day_object) if decision and decision.accepted else None

    first = day - timedelta(days=recipe.drift.history_days)
    # Of most of these days a young root knows nothing, which one listing tells.
    known = [earlier for earlier in list_day_refs(store, layout.ACCEPTED_REFS) if first <= earlier < day]
    with ThreadPool(READERS) as pool:
        return [counted for counted in pool.map(load, known) if counted]


def _drift_day(counted: CountedDay, lacking: frozenset[str]) -> DriftDay:
    """Arrange a day's counts by channel, and within each by column and value; lacking: channels without outcomes."""
    slices: dict[str, dict[str, dict[str, ChannelCount]]] = {}
    for each in counted.slices:
        columns = slices.setdefault(each.channel, {})
        columns.setdefault(each.column, {})[each.value] = ChannelCount(each.labelled, each.positives)
    channels = {
        name: ChannelCounts(
            rows=count.rows,
            positives=count.positives,
            hours=sum(name in hour.channels for hour in counted.hours),
            slices=slices.get(name, {}),
        )
        for name, count in counted.channels.items()
    }
    return DriftDay(counted.day, channels, lacking)


def _history(series: ChannelSeries, watched: list[WatchedDay]) -> tuple[DayCounts, ...]:
    """Return the newest days of a channel with what would not have been unusual on each."""
    days = list(zip(series.days, series.rows, series.positives, watched, strict=True))[-SHOWN_DAYS - 1 :]
    return tuple(
        DayCounts(
            day=day, positives=int(positives), rows=int(rows), low=seen.low, high=seen.high, alert=bool(seen.findings)
        )
        for day, rows, positives, seen in days
    )


def _result(series: ChannelSeries, seen: WatchedDay) -> DriftResult:
    """Put a channel's day into words beside what was expected of its ratio."""
    rows, positives = float(series.rows[-1]), float(series.positives[-1])
    received = positives / rows if rows else None
    subject = f"Positive ratio of channel '{series.channel}' on {series.days[-1]}"
    if seen.expected is None or seen.low is None or seen.high is None:
        message = f"{subject}: received {seen.days} days of history, too few to compare with; no alert is possible yet."
        return DriftResult(
            channel=series.channel, alert=False, basis="too little history", days=seen.days, message=message,
            received=received,
        )  # fmt: skip
    expected = f"expected {percent(seen.expected)} ({percent(seen.low)} to {percent(seen.high)}; {seen.days} days)"
    figures = f"received {percent(received)}" if received is not None else "received no impressions"
    errors = "" if seen.errors is None else f": {signed(seen.errors, 1)} standard errors"
    odds = None if received is None else received / (1 - received) if received < 1 else None
    usual = seen.expected / (1 - seen.expected)
    return DriftResult(
        channel=series.channel, alert=bool(seen.findings), basis="a level that follows", days=seen.days,
        message=f"{subject}: {expected}, {figures}{errors}.", expected=seen.expected, low=seen.low, high=seen.high,
        received=received, z=seen.errors, effect=None if odds is None else odds / usual - 1,
    )  # fmt: skip


def _hours(finding: Finding, channel: str, counted: Sequence[CountedDay]) -> tuple[str, ...]:
    """Name the hours that a channel's day lacks, where files are missing."""
    if finding.fault.kind != "files_missing" or finding.new_normal:
        return ()
    *history, today = [day.hourly_rows(channel) for day in counted]
    return (hours_sentence(today, history),)


def _cost(recipe: Recipe, series: ChannelSeries, since: int, day: date, models: TaughtModels) -> tuple[str, ...]:
    """Say what acting wrongly costs: which models have learnt from which days, and what each decision does."""
    first, waits = series.days[since], recipe.training.validation_days
    learnt = (day - first).days + 1
    days = f"{learnt} days from {first} to {day}" if learnt > 1 else f"{day}"
    sentence = (
        f"Models train on {days} as logged, once labels are final and {waits} validation days later, unless "
        "alerts.holds_training names this kind. A fault that trains teaches wrong ratios; good days kept out cost rows."
    )
    return taught_sentence(models.by_days(day_range(first, day))), sentence
