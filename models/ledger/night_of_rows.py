"""A night's judged rows as the ledger adds them up: cells, and the rows that two models decide differently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.judging.changed_decisions import find_changed_decisions
from ctr_retrain.models.judging.judged_rows import COST_DELTA, champion_over, compared_cells, over
from ctr_retrain.models.ledger.pooled_nights import Night

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctr_retrain.models.judging.changed_decisions import ChangedDecisions
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.channel_section import Cost


def night_of(rows: JudgedRows, costs: Mapping[str, Cost]) -> Night:
    """Sum up what rows of gated channels add to the ledger."""
    pairs = {COST_DELTA: (rows.challenger, rows.baseline())}
    for role, probability in rows.earlier.items():
        pairs[over(role)] = (rows.challenger, probability)
        pairs[champion_over(role)] = (rows.baseline(), probability)
    changed: dict[str, list[tuple[int, ChangedDecisions]]] = {figure: [] for figure in pairs}
    for day in np.unique(rows.day):
        own = rows.day == day
        label, channel, value = rows.label[own], rows.channel[own], None if rows.value is None else rows.value[own]
        for figure, (ours, theirs) in pairs.items():
            groups = find_changed_decisions(label, ours[own], theirs[own], channel, costs, value)
            changed[figure] += [(int(day), group) for group in groups]
    return Night(compared_cells(rows, costs), changed)
