"""Rows that can't be used as they are: shares of a day that are far above what the days before lead one to expect.

Duplicates, quarantined rows, missing values, outcomes without an impression, values that nobody has seen before, and
users that the days before did not have.
Validation's bounds are absolute and reject a day; these levels follow, and tell of what is unusual and passes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from math import log
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.drift.faults import EFFECT_DAYS
from ctr_retrain.models.drift.finding_signals import FOLLOWS, normal_sentence
from ctr_retrain.models.incidents.said_normal import entry_about
from ctr_retrain.models.incidents.signal import Signal
from ctr_retrain.models.levels.evidence import probability
from ctr_retrain.models.levels.following_level import FollowingLevel, Pace
from ctr_retrain.models.number_format import fixed, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from ctr_retrain.models.drift.channel_watch import Rules
    from ctr_retrain.models.incidents.incident import Handled

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

PACE = Pace(level=3.0, step=0.05, weekday=0.1, spread=0.3, least_spread=0.1)
LEAST_SHARE = 0.005  # added to shares, whose logarithm would make much of one row in ten thousand
RISE = log(2)  # of a share so raised, at least
GOES_ON = 0.5  # of its first rise: a share that is still so far away has not come back

UNATTRIBUTED = "outcomes without an impression"
NEW_USERS = "new users"
# What to look at first, by the beginning of a share's name.
CHECKS = {
    "duplicates": "Check first whether files, or a part of them, were delivered twice.",
    "quarantined": "Check first the reasons in the quarantine: what was changed about the export.",
    "nulls": "Check first whether the column still comes, under its name and in its format.",
    "outcomes": "Check first whether impressions are missing, or ids or kinds are written in another way.",
    "new": "Check first whether its values are written in another way: a model knows none of them.",
    NEW_USERS: "Check first whether user ids are written in another way, then for bots and new sources of traffic.",
}


@dataclass(frozen=True)
class Share:
    """Part of a day's rows."""

    count: float
    rows: float  # of which it is a part


@dataclass(frozen=True)
class RowShares:
    """One day's shares by name, such as `duplicates of impressions`; what was not counted is absent."""

    day: date
    shares: Mapping[str, Share]


@dataclass(frozen=True)
class UnusualShare:
    """A share that is far above its level, or is so still."""

    name: str
    since: date
    expected: float
    received: float
    errors: float  # standard errors
    new_normal: bool = False  # from this day on it is the normal state
    said: Handled | None = None  # who said so, where it isn't by the days that it has lasted


@dataclass(frozen=True)
class _Rise:
    """A share that is far above its level."""

    since: date
    first: float  # its first rise
    mean: float  # the mean one, the newest days above all


@dataclass(frozen=True)
class _Seen:
    """A day's shares against their levels; arrays of shape (names,)."""

    usual: Floats
    share: Floats
    raised: Floats  # the share on the levels' scale
    noise: Floats  # variance of that from counting alone
    size: Floats  # how far it lies above its level
    errors: Floats  # the same in standard errors

    def unusual(self, place: int, name: str, since: date) -> UnusualShare:
        """Describe a share that is unusual since a day."""
        return UnusualShare(name, since, float(self.usual[place]), float(self.share[place]), float(self.errors[place]))


class _Watch:
    """The levels of shares by name; arrays of shape (names,)."""

    def __init__(self, names: Sequence[str], rules: Rules) -> None:
        """Begin before the first day."""
        self.names, self.rules = names, rules
        self.levels = FollowingLevel(len(names), PACE, mean=-4.0)
        self.open: dict[int, _Rise] = {}  # by place of the share

    def step(self, day: RowShares) -> tuple[UnusualShare, ...]:
        """Watch one more day; what is unusual teaches nothing until it has come back or become normal."""
        there = np.array([name in day.shares for name in self.names])
        before = self._seen(day)
        closed = self._close(before.size, there)
        normal = self._take_for_normal(day.day, before, there)
        seen = self._seen(day)
        loud = self._loud(seen, there)
        loud[closed] = False
        found = [self._unusual(int(place), day.day, seen) for place in np.flatnonzero(loud & there)]
        self.levels.learn(seen.raised, seen.noise, day.day.weekday(), there & ~loud)
        return (*normal, *found)

    def _seen(self, day: RowShares) -> _Seen:
        """Hold a day against the levels of the days before."""
        share = np.array([_part(day.shares.get(name)) for name in self.names])
        rows = np.array([max(day.shares[name].rows, 1.0) if name in day.shares else 1.0 for name in self.names])
        mean, raised = self.levels.mean(day.day.weekday()), _log_odds(share)
        usual = np.clip(_share_at(mean), 1 / rows, 1.0)
        noise = usual * (1 - usual) / rows / (usual + LEAST_SHARE) ** 2
        deviation = np.sqrt(self.levels.uncertainty(day.day.weekday()) + noise)
        return _Seen(usual, share, raised, noise, raised - mean, (raised - mean) / deviation)

    def _close(self, size: Floats, there: Flags) -> list[int]:
        """Forget the rises that are half-way back, and return their places."""
        back = [place for place, rise in self.open.items() if there[place] and size[place] < GOES_ON * rise.first]
        for place in back:
            del self.open[place]
        return back

    def _take_for_normal(self, day: date, seen: _Seen, there: Flags) -> list[UnusualShare]:
        """Let the levels follow the rises that have lasted for long, or that somebody said were meant."""
        normal = []
        for place, rise in list(self.open.items()):
            name, lasted = self.names[place], day - rise.since
            said = entry_about(self.rules.said, ("rows_unusual", name), rise.since, day)
            if there[place] and (said or lasted >= timedelta(days=self.rules.new_normal_days)):
                normal.append(replace(seen.unusual(place, name, rise.since), new_normal=True, said=said))
                self.levels.jump(place, rise.mean, lasted.days)
                del self.open[place]
        return normal

    def _loud(self, seen: _Seen, there: Flags) -> Flags:
        """Tell the shares that are unusual; those that were so before are until they are half-way back."""
        days = self.levels.days
        limit = self.rules.budget.one_day("rows", len(self.names), float(days.max(initial=0)))
        loud = there & (seen.errors >= limit) & (seen.size >= RISE) & (days >= self.rules.min_days)
        loud[list(self.open)] = True
        return np.asarray(loud)

    def _unusual(self, place: int, day: date, seen: _Seen) -> UnusualShare:
        """Describe an unusual share, and keep its mean rise."""
        today = float(seen.size[place])
        rise = self.open.get(place, _Rise(day, today, today))
        self.open[place] = replace(rise, mean=rise.mean + (today - rise.mean) / EFFECT_DAYS)
        return seen.unusual(place, self.names[place], rise.since)


def watch_rows(days: Sequence[RowShares], rules: Rules) -> list[tuple[UnusualShare, ...]]:
    """Watch the shares of days in order, and return by day those that are unusual."""
    watch = _Watch(sorted({name for day in days for name in day.shares}), rules)
    return [watch.step(day) for day in days]


def signal_of_rows(unusual: UnusualShare, day: date, more: tuple[str, ...] = ()) -> Signal:
    """Put an unusual share into words; more: sentences of others."""
    decisions = (
        f"ctr-retrain ingest --date {day}",
        f"ctr-retrain alerts ack rows_unusual '{unusual.name}' --reason TEXT",
    )
    named = unusual.name[0].upper() + unusual.name[1:]
    summary = f"{named}: {percent(unusual.received)} instead of {percent(unusual.expected)} since {unusual.since}."
    if unusual.new_normal:
        about = f"{named} at {percent(unusual.received)}, as since {unusual.since}, are"
        summary = normal_sentence(about, unusual.said)
    errors = f"Today it lies {fixed(abs(unusual.errors), 1)} standard errors above its level."
    check = CHECKS.get(unusual.name) or CHECKS[unusual.name.split()[0]]
    checks = (FOLLOWS,) if unusual.said else (check, errors)
    return Signal(
        kind="rows_unusual",
        subject=unusual.name,
        level="notice" if unusual.new_normal else "warning",
        since=unusual.since,
        size=unusual.received,
        summary=summary,
        received=unusual.received,
        expected=(0.0, unusual.expected),
        details=(*checks, *more),
        commands=(f"ctr-retrain explain {day}", *(() if unusual.new_normal else decisions)),
        new_normal=unusual.new_normal,
    )


def _part(share: Share | None) -> float:
    return share.count / share.rows if share and share.rows else 0.0


def _log_odds(shares: Floats) -> Floats:
    """Return the log-odds of shares, a little raised."""
    return np.asarray(np.log((shares + LEAST_SHARE) / (1 - shares + LEAST_SHARE)))


def _share_at(level: Floats) -> Floats:
    """Return the share whose raised log-odds these are."""
    return np.asarray(np.clip(probability(level) * (1 + 2 * LEAST_SHARE) - LEAST_SHARE, 0.0, 1.0))
