"""A campaign with nearly all rows: of how campaigns differ nothing can be known then, and that is to be said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.judging.clustered_ratio import MIN_EFFECTIVE_CAMPAIGNS
from ctr_retrain.models.number_format import percent

if TYPE_CHECKING:
    from numpy.typing import NDArray


def describe_dominant(campaign: NDArray[Any]) -> str | None:
    """Say which campaign has nearly all rows, by their names (rows,); None where several tell of each other.

    Intervals take campaigns as fixed then: they speak of these campaigns and of no others.
    """
    names, rows = np.unique(campaign.astype(str), return_counts=True)
    # One campaign alone is a recipe without campaigns, or a root for one of them: whoever made it knows.
    if len(names) < 2 or rows.sum() ** 2 >= MIN_EFFECTIVE_CAMPAIGNS * np.square(rows, dtype=np.float64).sum():
        return None
    name, share = str(names[rows.argmax()]), percent(rows.max() / rows.sum())
    return (
        f"Campaign {name!r} has {share} of the rows: how campaigns differ can't be told from these, so intervals speak "
        "of these campaigns alone."
    )
