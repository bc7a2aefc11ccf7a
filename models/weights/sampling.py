"""Sampling of an epoch's rows: a share of each day's negatives, all positives, and these as often as the recipe says.

Rows are chosen by number, so that nothing is copied; with an exact count of each day, shares and offsets are exact too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    Ints = npt.NDArray[np.integer[Any]]

STREAM = 1  # tells this draw from the others that the recipe's seed decides


def kept_negatives(negatives: Ints, share: npt.NDArray[np.floating[Any]] | float) -> npt.NDArray[np.int64]:
    """Return how many of each day's negatives are streamed, (days,): the share of them, rounded, and at least one."""
    kept = np.rint(negatives * np.asarray(share)).astype(np.int64)
    return np.asarray(np.minimum(np.maximum(kept, 1), negatives))


def choose_rows(
    label: npt.NDArray[np.uint8], day_index: npt.NDArray[np.int16], shares: Sequence[float], copies: int, seed: int
) -> npt.NDArray[np.uint32]:
    """Choose the rows that an epoch streams: their numbers, rising, but for the repetitions of positives.

    shares: of each day's negatives that are kept, drawn without replacement. copies: how often each positive comes;
    the repetitions of one are spread over the epoch, far from each other.
    """
    rng = np.random.default_rng((seed, STREAM))
    positive = np.asarray(label) == 1
    taken = positive.copy()
    for day, share in enumerate(shares):
        negatives = np.flatnonzero((day_index == day) & ~positive)
        kept = int(kept_negatives(np.array([len(negatives)]), share)[0])
        drawn = rng.choice(len(negatives), kept, replace=False, shuffle=False) if kept < len(negatives) else slice(None)
        taken[negatives[drawn]] = True
    rows = np.flatnonzero(taken).astype(np.uint32)
    return rows if copies == 1 else _with_copies(rows, positive[rows], copies)


def _with_copies(rows: npt.NDArray[np.uint32], positive: npt.NDArray[np.bool_], copies: int) -> npt.NDArray[np.uint32]:
    """Put the positives again evenly between the rows, each time beginning further on in their order."""
    positives = rows[positive]
    shifted = [np.roll(positives, -(time * len(positives) // copies)) for time in range(1, copies)]
    repeated = np.stack(shifted, axis=1).ravel()
    positions = (np.arange(len(repeated)) + 1) * len(rows) // (len(repeated) + 1)
    return np.insert(rows, positions, repeated)
