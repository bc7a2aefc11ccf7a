"""Late outcomes in words: what people are told of landing days whose outcomes are incomplete."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from ctr_retrain.models.incidents.signal import Signal, SignalKind
from ctr_retrain.models.number_format import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.data.completeness import Shortfall
    from ctr_retrain.models.documents.maturity_documents import IncompleteDay

LATE_KINDS: tuple[SignalKind, ...] = ("outcomes_late", "outcomes_lost")
COST = (
    "Until they land, days that lack them have no corrected ratio, and are left out of label maturity and of the fresh "
    "pass."
)
LOST = "Days that lack them and are trained on count impressions whose outcome is missing as negatives."


def shortfall_sentence(short: Shortfall) -> str:
    """Say what landed of a day's outcomes and what was expected."""
    landing = short.landing
    return (
        f"Outcomes that landed on {short.day}: expected about {number(round(landing.expected))} by volume and label "
        f"maturity, received {number(landing.received)}; about {100 * landing.missing_share:.0f} % are missing "
        f"({abs(landing.z):.1f} standard errors)."
    )


def late_signals(incomplete: Sequence[IncompleteDay], channels: Sequence[str]) -> tuple[Signal, ...]:
    """Return the signals of incomplete landing days: one for those that may still land, one for those that are lost.

    Where channels have files of their own, each group of channels has its own signals. channels: all of the recipe.
    """
    ordered = sorted(incomplete, key=lambda one: (one.overdue, one.channels, one.day))
    groups = groupby(ordered, key=lambda one: (one.overdue, one.channels))
    return tuple(_signal(list(days), channels) for _, days in groups)


def _signal(days: Sequence[IncompleteDay], channels: Sequence[str]) -> Signal:
    """Return the signal of days that lack outcomes of the same channels, oldest first."""
    first, last = days[0], days[-1]
    overdue, own = first.overdue, first.channels
    which = f"of {first.day}" if first is last else f"of {len(days)} days from {first.day} to {last.day}"
    missing, expected = sum(one.expected - one.received for one in days), sum(one.expected for one in days)
    said = "are lost: their deadline has passed" if overdue else "are late"
    deadline = LOST if overdue else f"They count if they lie in the landing zone by the end of {last.due}."
    whose = "" if set(own) == set(channels) else f" of {', '.join(own)}"
    return Signal(
        kind="outcomes_lost" if overdue else "outcomes_late",
        subject="" if set(own) == set(channels) else ", ".join(own),
        level="critical" if overdue else "warning",
        since=first.day,
        size=float(len(days)),
        touches=tuple(str(one.day) for one in days),
        summary=(
            f"Outcomes {which}{whose} {said}; about {100 * missing / expected:.0f} % of those expected have not landed."
        ),
        details=(*(one.message for one in days), COST, deadline),
        commands=tuple(f"ctr-retrain ingest --date {one.day}" for one in days),
    )
