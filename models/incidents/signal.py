"""Signals: what a night notices, and what becomes an incident where people have to know."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ctr_retrain.models.documents.document import Day, Part

SignalLevel = Literal["notice", "warning", "critical"]
SignalKind = Literal[
    # The day's counts, and the cause that their pattern names.
    "ratio_changed",  # a whole channel's positive ratio, no cause named
    "logger_down",  # one device's or another slice's clicks are missing: its logger
    "slice_changed",  # one slice's ratio against the rest of its channel, no cause named
    "slide",  # the ratio slides for days
    "bots",  # more impressions in one campaign, no more clicks
    "delivered_twice",  # volume twofold at an equal ratio under other ids
    "files_missing",  # half of the files or hours
    "volume_changed",  # volume against its weekday, no cause named
    "campaign_dead",  # one campaign lost its clicks
    "mix_changed",  # shares of rows moved between slices
    "rows_unusual",  # duplicates, quarantined rows, nulls, unseen ids, outcomes without an impression
    "outcomes_late",  # outcomes that should have landed by now, and may still
    "outcomes_lost",  # the same after their deadline
    # The nights.
    "no_data",  # nothing landed by the deadline
    "data_late",  # landed, but later than the recipe expects
    "day_rejected",
    "storage_failed",
    "service_failed",
    "training_failed",  # died, diverged or ran out of memory
    "run_failed",  # an error that is none of these
    "run_killed",
    "serving_check_failed",
    "champion_old",
    "held_for_nights",
    "disk_low",
    "champion_harmful",  # the ledger says that the champion is worse than its predecessor
    "receiver_failed",  # an alert could not be delivered
    "no_run",  # silence: no run happened at all
]


class Signal(Part):
    """Something that a night noticed; kind and subject together are the incident's cause."""

    kind: SignalKind
    """The kind, each with an entry in docs/runbook.md."""
    subject: str = ""
    """What it is about, such as `ad` or `ad device=android`; empty for the root as a whole."""
    level: SignalLevel
    """notice: shown on pages only; warning: people are told; critical: a person is called."""
    since: Day
    """The first day that shows it."""
    size: float | None = None
    """How bad it is, growing as it gets worse, where that can be said: an incident that is worse is told again."""
    summary: str
    """One sentence in words and rounded figures: what, and since when."""
    touches: tuple[str, ...] = ()
    """Parts of the subject that it touches, such as platforms or failed checks: one more makes an incident wider."""
    channel: str = ""
    """The channel, where it is of one."""
    expected: tuple[float, float] | None = None
    """The lowest and the highest figure that would not have been noticed; null where there is none."""
    received: float | None = None
    """The figure that was found; null where there is none."""
    details: tuple[str, ...] = ()
    """What to look at, and what acting wrongly costs, a sentence each."""
    instead_of: tuple[SignalKind, str] | None = None
    """Kind and subject that it had before its cause was known: the incident of these goes on under the new name."""
    commands: tuple[str, ...] = ()
    """Commands to type."""
    new_normal: bool = Field(default=False, exclude_if=lambda normal: not normal)
    """True where what it is about is the normal state from now on, which ends its incident."""
