"""Reach of a log below the threshold of what chose it, told from the density of its rows on both sides.

What a model doesn't send isn't in the log, unless something else sends it too. In a log of all traffic the density of
scores doesn't jump at the threshold; where the log holds only what was sent it falls to nothing there (McCrary 2008,
"Manipulation of the running variable in the regression discontinuity design"). Scores are taken relative to the
threshold, on the logarithm; just above it two bands of rows say how many the next one below should have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BAND = 1.25  # ratio of a band's ends: as wide as keeps a log-linear density a fair guess
MOST_SLOPE = 2.0  # to which the density may change from band to band: of few rows it seems to change more
FEWEST = 50  # rows in the band above the threshold, and different scores near it, below which nothing is said


@dataclass(frozen=True)
class LogReach:
    """Rows of a log around the threshold of the policy that wrote it."""

    rows: int  # with a score
    below: int  # rows under the threshold
    just_below: int  # of them, in the band next to it
    expected: float | None  # rows of that band, by those above the threshold; None where too few say so
    lowest: float | None  # score of the lowest hundredth of rows, as a share of the threshold

    @property
    def share(self) -> float | None:
        """Return the share of what was just below the threshold that the log holds; None where it can't be told."""
        return None if self.expected is None else min(1.0, self.just_below / self.expected)


def measure_reach(relative: NDArray[Any]) -> LogReach:
    """Measure the reach of a log; relative: (rows,) score as a share of its threshold, NaN where there is none."""
    scored = np.asarray(relative, dtype=np.float64)
    scored = scored[np.isfinite(scored)]
    edges = (1 / BAND, 1.0, BAND, BAND**2)
    just_below, above, beyond = np.histogram(scored, edges)[0].tolist()
    expected = None
    near = scored[(scored >= edges[0]) & (scored < edges[-1])]
    # A model of few features, or a calibration of few steps, gives the same score to many rows and has no density.
    if above >= FEWEST and len(np.unique(near)) >= FEWEST:
        expected = above * float(np.clip(above / max(beyond, 1), 1 / MOST_SLOPE, MOST_SLOPE))
    return LogReach(
        rows=len(scored),
        below=int((scored < 1).sum()),
        just_below=just_below,
        expected=expected,
        lowest=float(np.quantile(scored, 0.01)) if len(scored) else None,
    )
