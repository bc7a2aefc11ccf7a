"""Intervals of ratios of sums over rows that resemble each other within users and within campaigns, without draws.

Cluster-robust variance in two directions (Cameron, Gelbach and Miller 2011, equation 2.8): that of sums over users,
plus that of sums over campaigns, less that of sums over both, and never less than either alone. Each is a jackknife,
the ratio without one cluster at a time, which stays honest where clusters are few and unequal (MacKinnon, Nielsen and
Webb 2024, "Jackknife inference with two-way clustering").

The quantile is Student's. Users and campaigns each have the degrees of freedom of their effective number, (Σn)² / Σn²
by rows, less one. A ratio has those of both, their inverses weighted by what each brings to the variance; of few
campaigns that share is itself unsure, and is taken one standard error higher. docs/benchmarks.md has what both do.

Two limits. Days are fixed, not drawn, unless past nights say how they vary: an interval speaks of the days in it. And
where one campaign has nearly all rows nothing can be known of how campaigns differ: they are fixed then too, and
whoever shows the interval says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, log, sqrt
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import eigh
from scipy.special import stdtrit

from ctr_retrain.models.judging.cells import USER_BUCKETS, Interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.judging.cells import Cells
    from ctr_retrain.models.judging.day_variance import DayVariance

    Floats = NDArray[np.float64]

# With fewer effective campaigns than these one has most of the rows, and Student's quantile would be 12.7 or more.
MIN_EFFECTIVE_CAMPAIGNS = 2.0
POSITIVE_DENOMINATOR = "positives"  # the sum below which only what can't be negative stands: predicted to seen
_LEAST_LEFT = 1e-9  # of a sum, without one cluster: below it the ratio without that cluster says nothing


@dataclass(frozen=True)
class Spread:
    """A ratio of sums, and how far it may be from what it estimates."""

    ratio: float  # NaN where it is undefined
    variance: float | None  # of the ratio or of its logarithm; None where nothing is known of it
    logarithm: bool  # whether the variance is that of the logarithm
    freedom: float  # degrees of freedom of the variance, which Student's quantile goes by


@dataclass(frozen=True)
class Grouping:
    """One way to group units: by user, by campaign, or by both."""

    index: NDArray[np.int64]  # (units,), of each unit's group
    size: Floats  # (groups,), rows in each

    @classmethod
    def of(cls, key: NDArray[Any], rows: NDArray[Any]) -> Grouping:
        """Group units by a key, (units,); groups without rows are none."""
        index = np.unique(key, return_inverse=True)[1].astype(np.int64)
        return cls(index, np.bincount(index, rows).astype(np.float64))

    @property
    def effective(self) -> float:
        """Return the effective number of groups: as many equal ones would tell as much."""
        squares = float((self.size**2).sum())
        return float(self.size.sum()) ** 2 / squares if squares else 0.0

    @property
    def freedom(self) -> float:
        """Return the degrees of freedom of a variance over these groups."""
        return max(self.effective - 1, 1.0)

    def sums(self, values: Floats) -> Floats:
        """Add up values, (units,) or (units, names), by group."""
        columns = values.reshape(len(values), -1).T
        added = [np.bincount(self.index, column, len(self.size)) for column in columns]
        return np.stack(added, axis=1, dtype=np.float64).reshape(len(self.size), *values.shape[1:])


class Clusters:
    """Users and campaigns of units, which are rows or cells of rows."""

    def __init__(self, user_bucket: NDArray[Any], campaign: NDArray[Any], rows: NDArray[Any]) -> None:
        """Take user_bucket (units,) in 0..255, campaign (units,) any values, rows (units,) that each stands for."""
        held = rows > 0
        self._held = slice(None) if held.all() else held
        users, rows = user_bucket[self._held].astype(np.int64), rows[self._held].astype(np.float64)
        codes = np.unique(campaign[self._held], return_inverse=True)[1]
        self.users, self.campaigns = Grouping.of(users, rows), Grouping.of(codes, rows)
        self._groupings = [self.users]
        if self.campaigns_vary:
            self._groupings += [self.campaigns, Grouping.of(codes * USER_BUCKETS + users, rows)]

    @classmethod
    def of_cells(cls, cells: Cells) -> Clusters:
        """Take cells, among whose sums are `rows`."""
        return cls(cells.user_bucket, cells.campaign, cells.sums[:, cells.names.index("rows")])

    @property
    def campaigns_vary(self) -> bool:
        """Return True unless campaigns are taken as fixed, since one has nearly all rows."""
        return self.campaigns.effective >= MIN_EFFECTIVE_CAMPAIGNS

    @property
    def least_freedom(self) -> float:
        """Return the degrees of freedom of the direction that has fewer of them."""
        return min(each.freedom for each in self._groupings[:2])

    def ratio(
        self,
        top: Floats,
        bottom: Floats,
        confidence: float,
        *,
        positive: bool = False,
        days: DayVariance | None = None,
        day_count: int = 1,
    ) -> Interval:
        """Return Σtop / Σbottom of values of each unit, (units,), with its interval.

        positive: both sums are of what can't be negative; the interval is symmetric on the logarithmic scale then, and
        has neither a negative nor an infinite bound. days: how the ratio, or its logarithm, varies from day to day, of
        which `day_count` are in it. NaN where the ratio is undefined; without bounds where all of Σbottom is of one
        group of users, of whom alone it would speak.
        """
        found = self.spread(top, bottom, positive=positive)
        if found.variance is None:
            return Interval(found.ratio, -np.inf, np.inf)
        variance, freedom = found.variance, found.freedom
        if days:
            variance, freedom = days.add_to(variance, freedom, day_count)
        half = float(stdtrit(freedom, (1 + confidence) / 2)) * sqrt(variance)
        if found.logarithm:
            return Interval(found.ratio, exp(log(found.ratio) - half), exp(log(found.ratio) + half))
        low = found.ratio - half
        return Interval(found.ratio, max(0.0, low) if positive else low, found.ratio + half)

    def spread(self, top: Floats, bottom: Floats, *, positive: bool = False) -> Spread:
        """Return Σtop / Σbottom of values of each unit, (units,), with its variance by rows; see `ratio`."""
        top, bottom = top[self._held], bottom[self._held]
        whole = float(bottom.sum())
        ratio = float(top.sum()) / whole if whole else float("nan")
        if not isfinite(ratio):
            return Spread(ratio, None, logarithm=False, freedom=self.least_freedom)
        bottoms = [each.sums(bottom) for each in self._groupings]
        if _one_holds_all(bottoms[0]):
            return Spread(ratio, None, logarithm=False, freedom=self.least_freedom)
        scale = positive and ratio > 0
        variance, freedom = self._variance(top, bottoms, logarithm=scale)
        return Spread(ratio, variance, logarithm=scale, freedom=freedom)

    def mean(self, value: Floats, weight: Floats, confidence: float) -> Interval:
        """Return the weighted mean of a value of each unit, (units,), with its interval."""
        return self.ratio(weight * value, weight.astype(np.float64), confidence)

    def _variance(self, top: Floats, bottoms: Sequence[Floats], *, logarithm: bool) -> tuple[float, float]:
        """Return the variance of a ratio, or of its logarithm, and its degrees of freedom.

        bottoms: the ratio's lower sums, by grouping and group.
        """
        sums = zip(self._groupings, bottoms, strict=True)
        each = [_jackknife(grouping.sums(top), lower, logarithm=logarithm) for grouping, lower in sums]
        if len(each) == 1:
            return each[0], self.users.freedom
        by_user, by_campaign, by_both = each
        variance = max(by_user + by_campaign - by_both, by_user, by_campaign)
        share = 1 - by_user / variance if variance else 0.0
        share = min(1.0, share + sqrt(2 / self.campaigns.freedom))  # a variance's own standard error, relative to it
        return variance, 1 / ((1 - share) / self.users.freedom + share / self.campaigns.freedom)

    def draw_means(self, values: Floats, draws: int, seed: int) -> Floats:
        """Draw joint means of several values, (units, names), as their covariance has it: (draws, names).

        By Student's distribution in several dimensions. The covariance is that over users, plus what campaigns add to
        it in directions in which they add something, so that no difference of two means varies less than over users.
        """
        rows = self.users.size.sum()
        values = values[self._held]
        mean = values.sum(axis=0) / rows
        shares = [each.size[:, None] / rows * mean for each in self._groupings]
        apart = [each.sums(values) / rows - share for each, share in zip(self._groupings, shares, strict=True)]
        covariances = [len(each) / max(len(each) - 1, 1) * each.T @ each for each in apart]
        root = _root(covariances[0], covariances[1] - covariances[2] if len(covariances) > 1 else None)
        rng = np.random.default_rng(seed)
        heavy = np.sqrt(self.least_freedom / rng.chisquare(self.least_freedom, (draws, 1)))
        return np.asarray(mean + heavy * (rng.standard_normal((draws, root.shape[1])) @ root.T))


def ratio_intervals(
    cells: Cells,
    ratios: Sequence[tuple[str, str]],
    confidence: float,
    days: Mapping[str, DayVariance] = MappingProxyType({}),
) -> list[Interval]:
    """Return the intervals of several (numerator, denominator), names of the cells' sums.

    days: by numerator, how the ratio varies from one night's days to another's, where past nights tell.
    """
    clusters, sums = Clusters.of_cells(cells), dict(zip(cells.names, cells.sums.T, strict=True))
    return [
        clusters.ratio(sums[top], sums[bottom], confidence, positive=bottom == POSITIVE_DENOMINATOR, days=days.get(top))
        for top, bottom in ratios
    ]


def _one_holds_all(sums: Floats) -> bool:
    """Return True if one group has all of what the groups' sums, (groups,), come to."""
    return bool((sums.sum() - sums <= _LEAST_LEFT * sums.sum()).any())


def _jackknife(tops: Floats, bottoms: Floats, *, logarithm: bool) -> float:
    """Return the variance of a ratio of sums, (groups,), or of its logarithm: one left out a time, or linearised."""
    groups, upper, lower = len(tops), float(tops.sum()), float(bottoms.sum())
    if groups < 2:
        return 0.0
    ratio = upper / lower
    left_upper, left_lower = upper - tops, lower - bottoms
    defined = bool((left_lower > _LEAST_LEFT * lower).all())
    if defined and logarithm:
        defined = bool((left_upper > _LEAST_LEFT * upper).all())
    if not defined:  # all positives are in one group, say
        apart = (tops - ratio * bottoms) / (upper if logarithm else lower)
        return groups / (groups - 1) * float((apart**2).sum())
    left_out = left_upper / left_lower
    apart = np.log(left_out / ratio) if logarithm else left_out - ratio
    return (groups - 1) / groups * float((apart**2).sum())


def _root(users: Floats, more: Floats | None) -> Floats:
    """Return a matrix R with R·Rᵀ = users + the positive part of `more`, as seen from `users`: (names, names)."""
    ridge = np.eye(len(users)) * max(1e-12 * float(np.trace(users)), 1e-300)
    if more is None:
        return np.asarray(np.linalg.cholesky(users + ridge))
    # In coordinates in which `users` is the unit matrix each direction is measured by its own noise.
    values, vectors = eigh(more, users + ridge)
    return np.asarray(np.linalg.inv(vectors).T * np.sqrt(1 + np.maximum(values, 0.0)))
