"""The campaigns that a channel's ratio is made of: they come, tire and go, and move it although nothing has changed.

Each campaign's own ratio, and what campaigns of its age are usually like, say what a day with today's campaigns is
expected to have; what differs from that is common to all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, log
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.levels.evidence import log_odds, probability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Whole = NDArray[np.int64]

AGES = np.array([1, 2, 3, 5, 7, 10, 14, 20, 28])  # days since a campaign was first seen, at which a new group begins
MIDDLES = np.array([0, 1, 2, 3.5, 5.5, 8, 11.5, 16.5, 23.5, 34])  # of the groups
KEPT = 0.98  # of what earlier days have taught, a day
FEW_POSITIVES = 20.0  # expected in a group, by whose weight its effect is drawn towards none
UNSEEN = -1


class CampaignAges:
    """The ages of campaigns, and how their ratios differ from their channel's by age; arrays of shape (campaigns,)."""

    def __init__(self, campaigns: int) -> None:
        """Begin without having seen a day."""
        self.day = -1
        self.first: Whole = np.full(campaigns, UNSEEN)
        self.positives: Floats = np.zeros(len(AGES) + 1)
        self.expected: Floats = np.zeros(len(AGES) + 1)
        self.added: Floats = np.zeros(len(AGES) + 1)  # log-odds that each group's age adds

    def meet(self, rows: Floats, day: int) -> Floats:
        """Begin a day with these rows, and return what the days since the last one have changed of each, in log-odds.

        Steps of the curve are used and not the curve itself, so that to know it better moves nobody's level.
        """
        seen, before, self.day = self.first != UNSEEN, self.day, day
        self.first = np.where(~seen & (rows > 0), day, self.first)
        return np.where(seen, self.effects() - self._curve(before - self.first), 0.0)

    def effects(self) -> Floats:
        """Return the log-odds that each campaign's age adds; of those that were there from the start the least age."""
        return np.where(self.first != UNSEEN, self._curve(self.day - self.first), 0.0)

    def _curve(self, ages: Whole) -> Floats:
        """Return what ages add."""
        return np.interp(ages, MIDDLES, self.added)

    def learn(self, rows: Floats, positives: Floats, ratio: float) -> None:
        """Learn of a day; ratio: its channel's."""
        known = self._known() & (rows > 0)
        groups = self._groups()[known]
        size = len(self.positives)
        self.positives = KEPT * self.positives + np.bincount(groups, positives[known], size)
        self.expected = KEPT * self.expected + np.bincount(groups, rows[known] * ratio, size)
        self.added = self._what_ages_add()

    def _what_ages_add(self) -> Floats:
        """Return what each group adds; one that nobody has seen yet is like the next younger one."""
        added, before = [], 0.0
        for positives, expected in zip(self.positives.tolist(), self.expected.tolist(), strict=True):
            before = log((positives + FEW_POSITIVES * exp(before)) / (expected + FEW_POSITIVES))
            added.append(before)
        return np.array(added)

    def _known(self) -> Flags:
        """Tell the campaigns whose first day is known: of those that were there from the start it is not."""
        return np.asarray(self.first > 0)

    def _groups(self) -> Whole:
        """Return the group of ages of each campaign."""
        return np.asarray(np.searchsorted(AGES, self.day - self.first, side="right"))


@dataclass(frozen=True)
class CommonRatio:
    """Count of a day's campaigns that says what is common to them."""

    rows: float
    positives: float
    expected: float  # log-odds
    variance: float  # of the expected, since campaigns are not known exactly

    def scaled(self, share: float) -> CommonRatio:
        """Return the same ratio of a share of the rows."""
        return replace(self, rows=share * self.rows, positives=share * self.positives)


class CampaignDay:
    """One day's campaigns beside what each is expected to have; arrays of shape (campaigns,).

    Each tells of what is common to all by its weight, one that nobody knows yet little: 1 / (1/E + v) for E expected
    positives and v, the variance of its own log-odds.
    """

    def __init__(self, rows: Floats, positives: Floats, expected: Floats, variance: Floats) -> None:
        """Take the expected log-odds of each, and how uncertain they are."""
        self.rows, self.positives, self.variance = rows, positives, variance
        self.log_odds = expected
        self.ratio = probability(expected)
        self.weight = 1 / (1 + rows * self.ratio * variance)

    def whole(self) -> CommonRatio:
        """Return what all of them say together."""
        expected = self.rows * self.ratio
        rows, weighed = self.weight @ self.rows, self.weight @ expected
        effective = weighed**2 / (self.weight**2 @ expected) * rows / weighed  # as many say as much
        return CommonRatio(
            rows=float(effective),
            positives=float(effective * (self.weight @ self.positives) / rows),
            expected=_log_odds_of(float(weighed / rows)),
            variance=float((self.weight * expected) ** 2 @ self.variance / weighed**2),
        )

    def expected(self) -> float:
        """Return the log-odds expected of the day as a whole."""
        return _log_odds_of(float(self.rows @ self.ratio / self.rows.sum()))

    def expected_beside_others(self) -> Floats:
        """Return the log-odds expected of each on a day whose others are as they are."""
        return np.asarray(self.log_odds + self.others())

    def others(self) -> Floats:
        """Return by how much the rest without each lies from what is expected of it, in log-odds."""
        weighed_rows, weighed, seen = (
            np.maximum((self.weight @ part) - self.weight * part, 0.0)
            for part in (self.rows, self.rows * self.ratio, self.positives)
        )
        scale = np.where(weighed_rows > 0, self.rows.sum() / np.maximum(self.weight @ self.rows, 1e-9), 0.0)
        seen, weighed, weighed_rows = seen * scale, weighed * scale, weighed_rows * scale
        return np.asarray(log_odds(np.clip(seen, 0, weighed_rows), weighed_rows) - log_odds(weighed, weighed_rows))


def _log_odds_of(ratio: float) -> float:
    """Return the log-odds of a ratio between 0 and 1."""
    return float(np.log(ratio / (1 - ratio)))
