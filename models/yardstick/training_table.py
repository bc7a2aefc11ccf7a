"""The rows that simple models are trained on: of a window's days, each by what the days before it tell.

Counting goes over all rows. Of these so many are drawn that time and memory stay bounded, however large the window is:
all positives where they are no more than half, and negatives, which then weigh more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.yardstick.earlier_days import stretches
from ctr_retrain.models.yardstick.simple_models import SimpleRows, kept_shares, sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ctr_retrain.models.features.encoder import Coded
    from ctr_retrain.models.yardstick.earlier_days import History

LEAST_ROWS, SHARE_OF_ROWS, MOST_ROWS = 30_000, 20, 1_000_000  # one in 20 of a window's rows, between the two bounds
MOST_NUMBERS = 20_000_000  # in all columns of the rows: 160 MB while trees are grown


def training_table(
    history: History, days: Sequence[Coded], labels: Sequence[npt.NDArray[np.integer]], seed: int
) -> SimpleRows:
    """Draw rows of all days but the first, each by the days before it; afterwards the history holds all of them."""
    parts = list(zip(days, labels, strict=True))
    if len(parts) == 1:
        parts = stretches(*parts[0])
    later = [label for _, label in parts[1:]]
    positives, rows = sum(int(np.count_nonzero(label)) for label in later), sum(map(len, later))
    shares = kept_shares(positives, rows - positives, most_rows(rows, history.columns))
    chance, tables = np.random.default_rng(seed), []
    for number, (day, label) in enumerate(parts):
        if number:
            chosen, weight = sample(label, shares, chance)
            tables.append((history.read(day, chosen), label[chosen], weight))
        history.add(day, label)
    return SimpleRows(*map(np.concatenate, zip(*tables, strict=True)))


def most_rows(rows: int, columns: int) -> int:
    """Return how many rows simple models are trained on, so that their time is a small part of a night's."""
    wanted = min(MOST_ROWS, max(LEAST_ROWS, rows // SHARE_OF_ROWS))
    return min(wanted, MOST_NUMBERS // max(1, columns))
