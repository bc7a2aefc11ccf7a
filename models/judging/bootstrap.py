"""Intervals of sums and ratios: the product-Poisson bootstrap over users × campaigns.

Rows of one user resemble each other, and so do rows of one campaign; an interval that treats them as independent, or
that resamples users alone, is far too narrow. Owen and Eckles 2012, "Bootstrapping data arrays of arbitrary order",
give user u and campaign c independent Poisson(1) weights and each of their rows the product W_u·W_c. A draw is a
weighted sum, so sums in cells of 256 user buckets × campaign × day are all that it needs: its time doesn't depend on
the number of rows.

Two properties to know. The noise of single rows counts 2² − 1 = 3 times in the variance, as Var(W_u·W_c) = 3: where
neither users nor campaigns differ the interval is up to √3 too wide, never too narrow. And days are fixed, not
resampled: the interval speaks of the days in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

USER_BUCKETS = 256  # groups of users by a hash: they stand for users, so that cells don't grow with the traffic
# Below this many campaigns their own spread can't be estimated, and they are taken as fixed.
MIN_RANDOM_CAMPAIGNS = 20
# Campaigns whose draws are held at once: 2,000 draws take 4 MB.
_CAMPAIGNS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Cells:
    """Sums of per-row values over each occupied cell of user bucket × campaign × day, ordered by campaign."""

    names: tuple[str, ...]  # of the summed values
    user_bucket: NDArray[np.int64]  # (cells,), 0 to 255
    campaign: NDArray[np.int64]  # (cells,), numbered from 0
    day: NDArray[np.int64]  # (cells,)
    sums: NDArray[np.float64]  # (cells, names)

    @property
    def campaigns(self) -> int:
        """Return the number of campaigns."""
        return int(self.campaign.max(initial=-1)) + 1


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval."""

    estimate: float  # NaN where it is undefined
    low: float  # infinite, like `high`, where the draws leave the estimate undefined too often
    high: float

    @property
    def bounded(self) -> bool:
        """Return True if estimate and bounds are finite numbers."""
        return isfinite(self.estimate) and isfinite(self.low) and isfinite(self.high)


def gather(
    user_bucket: NDArray[Any], campaign: NDArray[Any], day: NDArray[Any], values: Mapping[str, NDArray[Any]]
) -> Cells:
    """Sum each per-row value over its cell.

    user_bucket (rows,) in 0..255, campaign (rows,) any integers, day (rows,) any integers, values: name to (rows,).
    Raises ValueError for a user bucket outside 0..255.
    """
    if len(user_bucket) and (user_bucket.min() < 0 or user_bucket.max() >= USER_BUCKETS):
        msg = f"user bucket: expected 0 to {USER_BUCKETS - 1}, received {user_bucket.min()} to {user_bucket.max()}"
        raise ValueError(msg)
    days, day_index = np.unique(day, return_inverse=True)
    campaigns, campaign_index = np.unique(campaign, return_inverse=True)
    shape = (max(len(campaigns), 1), USER_BUCKETS, max(len(days), 1))
    code = np.ravel_multi_index((campaign_index, user_bucket.astype(np.int64), day_index), shape)
    occupied, cell = np.unique(code, return_inverse=True)
    cell_campaign, cell_bucket, cell_day = np.unravel_index(occupied, shape)
    sums = [np.bincount(cell, weights=value, minlength=len(occupied)) for value in values.values()]
    return Cells(tuple(values), cell_bucket, cell_campaign, days[cell_day], np.stack(sums, axis=1))


def resample(cells: Cells, draws: int, seed: int) -> NDArray[np.float64]:
    """Draw all totals jointly: (draws, names). Equal seeds give equal draws, whatever the names."""
    rng = np.random.default_rng(seed)
    user_weight = rng.poisson(1.0, (draws, USER_BUCKETS)).astype(np.float64)
    if cells.campaigns < MIN_RANDOM_CAMPAIGNS:
        return user_weight @ _sums_by_index(cells.user_bucket, cells.sums, USER_BUCKETS)
    totals = np.zeros((draws, len(cells.names)))
    for start in range(0, cells.campaigns, _CAMPAIGNS_AT_ONCE):
        width = min(_CAMPAIGNS_AT_ONCE, cells.campaigns - start)
        campaign_weight = rng.poisson(1.0, (draws, width)).astype(np.float64)
        first, last = np.searchsorted(cells.campaign, (start, start + width))
        index = cells.user_bucket[first:last] * width + cells.campaign[first:last] - start
        sums = _sums_by_index(index, cells.sums[first:last], USER_BUCKETS * width).reshape(USER_BUCKETS, width, -1)
        for column in range(len(cells.names)):
            by_campaign = user_weight @ sums[:, :, column]  # (draws, width)
            totals[:, column] += np.einsum("dc,dc->d", by_campaign, campaign_weight)
    return totals


def ratio_interval(
    cells: Cells, numerator: str, denominator: str, *, draws: int, confidence: float, seed: int
) -> Interval:
    """Return the percentile interval of total(numerator) / total(denominator)."""
    return ratio_intervals(cells, [(numerator, denominator)], draws=draws, confidence=confidence, seed=seed)[0]


def ratio_intervals(
    cells: Cells, ratios: Sequence[tuple[str, str]], *, draws: int, confidence: float, seed: int
) -> list[Interval]:
    """Return the percentile intervals of several (numerator, denominator) from the same draws.

    A draw whose denominator is 0 counts as −∞ for the lower bound and as +∞ for the upper one: it can only widen.
    """
    totals = cells.sums.sum(axis=0)
    drawn = resample(cells, draws, seed)
    intervals = []
    for numerator, denominator in ratios:
        top, bottom = cells.names.index(numerator), cells.names.index(denominator)
        estimate = float(totals[top] / totals[bottom]) if totals[bottom] else float("nan")
        low, high = _percentiles(drawn[:, top], drawn[:, bottom], confidence)
        intervals.append(Interval(estimate, low, high))
    return intervals


def _percentiles(top: NDArray[np.float64], bottom: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Return the outer order statistics that hold `confidence` of the drawn ratios between them."""
    defined = bottom != 0
    ratio = np.divide(top, bottom, out=np.zeros_like(top), where=defined)
    rank = (1 - confidence) / 2 * (len(ratio) - 1)
    low = np.sort(np.where(defined, ratio, -np.inf))[floor(rank)]
    high = np.sort(np.where(defined, ratio, np.inf))[ceil(len(ratio) - 1 - rank)]
    return float(low), float(high)


def _sums_by_index(index: NDArray[np.int64], sums: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Add up the cells that share an index, with zeros where none has it: (size, names)."""
    return np.stack([np.bincount(index, weights=column, minlength=size) for column in sums.T], axis=1)
