"""Hours of a day that are not there: files of single hours are missing, and not a part of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.number_format import fixed

if TYPE_CHECKING:
    from collections.abc import Sequence

LEFT = 0.1  # of an hour's usual impressions, at most: what is late of the hours beside it
FEWEST = 10.0  # impressions that an hour must usually have: of fewer one may have none by chance


def hours_sentence(today: Sequence[int], history: Sequence[Sequence[int]]) -> str:
    """Name the hours that a day lacks and their usual share of it, or say that none does.

    today: impressions by hour, 24 of them; history: those of the days before.
    """
    usual = np.mean(history, axis=0)
    missing = np.flatnonzero((usual >= FEWEST) & (np.array(today) <= LEFT * usual)).tolist()
    if not missing:
        return "No whole hour is missing: look for files that hold a part of each."
    share = fixed(100 * float(usual[missing].sum() / usual.sum()), 0)
    are = "hour is" if len(missing) == 1 else "hours are"
    return f"{len(missing)} {are} missing, {_ranges(missing)} UTC, which usually have {share} % of the impressions."


def _ranges(hours: Sequence[int]) -> str:
    """Write hours in order as clock times from one to the end of another."""
    first = [hour for hour in hours if hour - 1 not in hours]
    last = [hour for hour in hours if hour + 1 not in hours]
    return ", ".join(f"{begun:02d}:00 to {ended + 1:02d}:00" for begun, ended in zip(first, last, strict=True))
