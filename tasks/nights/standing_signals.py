"""Signals of what no single run shows: a champion that grows old, nights without a promotion, a disk that fills up."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.models.incidents.night_ref import NightRef
from ctr_retrain.models.incidents.signal import Signal, SignalKind
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.integrity.manifest import Manifest
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.nights.night_signals import newest_day
from ctr_retrain.tasks.operate.registry import served_through
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES
from ctr_retrain.tasks.store.protocol import Store, load_manifest

STANDING_KINDS: tuple[SignalKind, ...] = ("held_for_nights", "disk_low")
# Counted by the calendar, so a run for a day of the past says nothing about them.
CALENDAR_KINDS: tuple[SignalKind, ...] = ("champion_old", "data_late", "no_run")
OBJECTS_A_NIGHT = 3  # as large as a day and its run: with labels and encoded days
LEAST_FREE = 1 << 30  # bytes, however small the days are


def standing_signals(
    store: Store, nights: Iterable[NightRef], rules: Alerts, folder: Path, day: date
) -> tuple[Signal, ...]:
    """Return the signals of nights that went by without a promotion, and of a disk too small for those to come.

    nights: the newest first. folder: what fills up on this machine.
    """
    found = (_held(nights, rules, day), _disk(store, rules, folder, day))
    return tuple(signal for signal in found if signal is not None)


def calendar_signals(store: Store, landing: LandingZone, rules: Alerts, now: datetime) -> tuple[Signal, ...]:
    """Return the signals of a champion that is old by the calendar, and of data that landed late."""
    found = (_champion(store, rules, now), _late(landing, rules, newest_day(now)))
    return tuple(signal for signal in found if signal is not None)


def _held(nights: Iterable[NightRef], rules: Alerts, day: date) -> Signal | None:
    """Return the signal of many nights in a row without a promotion."""
    held = []
    for night in nights:
        # The last attempt that came to a verdict: one of a day that was run again counts, and failed ones don't.
        decision = next((one.decision for one in reversed(night.attempts) if one.end == "done"), None)
        if decision == "promote":
            break
        if decision is not None:
            held.append(night.day)
    if len(held) < rules.held_nights:
        return None
    return Signal(
        kind="held_for_nights",
        level="warning",
        since=held[-1],
        size=float(len(held)),
        received=float(len(held)),
        summary=f"No model was promoted for {len(held)} nights, since {held[-1]}.",
        details=("Look at the checks that held the newest runs: too little evidence, or a model that got no better.",),
        commands=(f"ctr-retrain explain {day}", "ctr-retrain models"),
    )


def _disk(store: Store, rules: Alerts, folder: Path, day: date) -> Signal | None:
    """Return the signal of a disk with less room than the next nights need, by what the newest took."""
    while not folder.exists():  # a cache that nothing was fetched into yet
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    # Not by what all nights took: a backfill, or a window that grew, says nothing about the coming ones.
    need = max(LEAST_FREE, rules.disk_nights * OBJECTS_A_NIGHT * _bytes_of(store, current_day_object(store, day)))
    if free >= need:
        return None
    return Signal(
        kind="disk_low",
        level="warning",
        since=day,
        size=need / max(free, 1),
        received=free / 2**30,
        summary=(
            f"The disk of {folder} has {free / 2**30:.1f} GiB left; the next {rules.disk_nights} nights need about "
            f"{need / 2**30:.1f}."
        ),
        details=("A full disk fails a run, and loses nothing that was published.",),
        commands=("ctr-retrain gc --dry-run", "ctr-retrain gc"),
    )


def _bytes_of(store: Store, path: str | None) -> int:
    """Return the bytes of an object's files, by its manifest."""
    manifest = load_manifest(store, path, Manifest) if path else None
    return sum(entry.size for entry in manifest.files) if manifest else 0


def _champion(store: Store, rules: Alerts, now: datetime) -> Signal | None:
    """Return the signal of a champion whose data is old by the calendar."""
    through = served_through(store)
    age = (now.astimezone(UTC).date() - through).days if through else 0
    if through is None or age <= rules.champion_days:
        return None
    return Signal(
        kind="champion_old",
        level="warning",
        since=through + timedelta(days=rules.champion_days),
        size=float(age),
        received=float(age),
        summary=f"The model in service has seen no data newer than {through}: it is {age} days old.",
        details=(
            "Look at whether nights run at all, whether data lands, and why the newest challengers were held.",
            f"A model loses a little with each day; alerts.champion_days = {rules.champion_days} is the bound.",
        ),
        commands=("ctr-retrain status", "ctr-retrain models"),
    )


def _late(landing: LandingZone, rules: Alerts, day: date) -> Signal | None:
    """Return the signal of a day whose newest file landed after the hour at which it is due."""
    landed = [time for stream in (IMPRESSIONS, OUTCOMES) if (time := landing.landed_at(stream, day))]
    due = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=rules.data_due_hours)
    if not landed or max(landed) <= due:
        return None
    hours = (max(landed) - due) / timedelta(hours=1)
    return Signal(
        kind="data_late",
        level="notice",
        since=day,
        size=hours,
        received=hours,
        summary=f"The last file of {day} landed {hours:.1f} hours later than it is due.",
        details=(f"It is due {rules.data_due_hours:g} hours after the day's end (alerts.data_due_hours).",),
        commands=(f"ctr-retrain daily --date {day}",),
    )
