"""Sums of per-row values over cells of user bucket × campaign × day: all that an interval needs of the rows.

Rows of one user resemble each other, and so do rows of one campaign. Sums in cells of 256 user buckets × campaign × day
keep who they are of, and their number doesn't depend on that of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

USER_BUCKETS = 256  # groups of users by a hash: they stand for users, so that cells don't grow with the traffic


@dataclass(frozen=True, eq=False)
class Cells:
    """Sums of per-row values over each occupied cell of user bucket × campaign × day, ordered by campaign."""

    names: tuple[str, ...]  # of the summed values
    user_bucket: NDArray[np.int64]  # (cells,), 0 to 255
    campaign: NDArray[np.int64]  # (cells,), the code of the rows' campaign
    day: NDArray[np.int64]  # (cells,)
    sums: NDArray[np.float64]  # (cells, names)


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval."""

    estimate: float  # NaN where it is undefined
    low: float  # infinite, like `high`, where nothing is known of it
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
    return Cells(tuple(values), cell_bucket, campaigns[cell_campaign], days[cell_day], np.stack(sums, axis=1))
