"""Marks that a night's run leaves in the root: when it set out, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType

from ctr_retrain.models.incidents.night_ref import NightAttempt, NightEnd, NightRef
from ctr_retrain.tasks.alerts.incident_refs import swap_until_done
from ctr_retrain.tasks.execution.shown_logs import log_file
from ctr_retrain.tasks.lease.live_process import lives, log_place, this_process
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store, list_day_refs, load_ref

MOST_ATTEMPTS = 20  # of a day, that are kept
ELSEWHERE_HOURS = 24  # after which an attempt on another machine that never ended counts as killed


def begin_night(store: Store, day: date, now: datetime) -> NightAttempt:
    """Note that this process sets out to make a day's run. Raises StorageError."""
    attempt = NightAttempt(**dict(this_process()), began=now.isoformat(), log=log_place() or str(log_file()))
    _change(store, day, lambda attempts: (*attempts, attempt))
    return attempt


def end_night(
    store: Store,
    day: date,
    attempt: NightAttempt,
    end: NightEnd,
    now: datetime,
    *,
    decision: str = "",
    error: str = "",
    stages: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Note how an attempt ended, and how many seconds its stages took. Raises StorageError."""
    seconds = {name: round(took, 3) for name, took in stages.items()}
    update = {
        "ended": now.isoformat(),
        "end": end,
        "decision": decision or None,
        "error": error,
        "stages": seconds,
    }
    # Found by its own mark: another attempt of the same day may have begun meanwhile.
    over = attempt.model_copy(update=update)
    _change(store, day, lambda attempts: tuple(over if one == attempt else one for one in attempts))


def load_nights(store: Store, most: int, before: date = date.max) -> list[NightRef]:
    """Read the newest nights of days up to `before`, newest day first. Raises StorageError."""
    days = [day for day in list_day_refs(store, layout.NIGHT_REFS) if day <= before][-most:]
    found = [load_ref(store, layout.night_ref(day), NightRef) for day in reversed(days)]
    return [ref.content for ref in found if ref is not None]


def was_killed(attempt: NightAttempt, now: datetime) -> bool:
    """Return True if an attempt never ended and is not at it any more."""
    if attempt.ended is not None:
        return False
    alive = lives(attempt)
    if alive is None:
        return now - datetime.fromisoformat(attempt.began) > timedelta(hours=ELSEWHERE_HOURS)
    return not alive


def _change(store: Store, day: date, change: Callable[[tuple[NightAttempt, ...]], tuple[NightAttempt, ...]]) -> None:
    """Change a day's attempts by compare-and-swap."""
    swap_until_done(
        store,
        layout.night_ref(day),
        NightRef,
        NightRef(day=day),
        lambda ref: ref.model_copy(update={"attempts": change(ref.attempts)[-MOST_ATTEMPTS:]}),
    )
