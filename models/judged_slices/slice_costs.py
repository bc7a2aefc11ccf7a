"""Cost differences of many slices: each from its own rows, robust to users and campaigns, with exact count limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.judging.changed_decisions import widen
from ctr_retrain.models.judging.clustered_ratio import Clusters
from ctr_retrain.models.judging.judged_rows import changed_decisions_of, decision_cost_deltas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctr_retrain.models.judged_slices.slice_rows import Family
    from ctr_retrain.models.judging.cells import Interval
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.channel_section import Cost


def cost_deltas(
    rows: JudgedRows, family: Family, codes: Sequence[int], costs: Mapping[str, Cost], confidence: float
) -> list[Interval]:
    """Return the challenger's cost per 1,000 less the baseline's on the rows of each of some slices of a family."""
    # Sorted once: a mask of all rows for each slice would take as many passes as there are slices.
    order = np.argsort(family.code, kind="stable")
    first, end = (np.searchsorted(family.code[order], codes, side=side) for side in ("left", "right"))
    return [_delta(rows.where(order[a:b]), costs, confidence) for a, b in zip(first, end, strict=True)]


def _delta(own: JudgedRows, costs: Mapping[str, Cost], confidence: float) -> Interval:
    """Return the difference on these rows."""
    each = np.ones(len(own.label))
    interval = Clusters(own.user_bucket, own.campaign, each).mean(
        1000 * decision_cost_deltas(own, costs), each, confidence
    )
    return widen(interval, changed_decisions_of(own, costs), len(own.label), confidence)
