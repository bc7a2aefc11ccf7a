"""Measure what the models decide, where their probabilities are sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ctr_retrain.tasks.decisions.measure_log import measure_log
from ctr_retrain.tasks.decisions.measure_money import measure_money

if TYPE_CHECKING:
    from ctr_retrain.models.documents.verdict_documents import Check
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.tasks.plan.run import Run


def measure_decisions(run: Run, scored: pa.Table, rows: JudgedRows, *, refresh: bool) -> list[Check]:
    """Write what the decisions on the validation rows come to into the run's folder, and return the gate's checks.

    scored: the scores as they are; rows: the same as the gate reads them. Where a probability is broken nothing is
    written: the gate rejects the challenger for that alone. refresh: whether champion and challenger were trained by
    the same recipe.
    """
    # Without a champion there is the constant rate, which is sound, or a failed check that says why there is nothing.
    baseline = rows.challenger if rows.champion is None else rows.champion
    if not all(((each >= 0) & (each <= 1)).all() for each in (rows.challenger, baseline)):
        return []
    gated = np.isin(rows.channel, [name for name, channel in run.recipe.channels.items() if channel.gated])
    own = rows.where(gated)
    measure_money(run, own, refresh=refresh and not rows.bootstrap)
    return measure_log(run, scored.filter(pa.array(gated)), own)
