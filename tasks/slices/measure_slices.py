"""Measure both models on parts of the validation rows, and check that the challenger harms none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.verdict_documents import SlicesDocument
from ctr_retrain.models.judged_slices.judge_slices import judge_slices, slice_checks
from ctr_retrain.tasks.slices.read_slices import read_slices
from ctr_retrain.tasks.store.layout import JUDGED_SLICES_FILE

if TYPE_CHECKING:
    from ctr_retrain.models.documents.verdict_documents import Check
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.tasks.plan.run import Run


def measure_slices(run: Run, rows: JudgedRows) -> list[Check]:
    """Write slices.json into the run's folder, and return the checks of its slices.

    rows: all scored ones, in the scores' order. Where a probability is broken nothing is written: the gate rejects the
    challenger for that alone.
    """
    probabilities = (rows.challenger, rows.baseline() if rows.champion is not None else rows.challenger)
    if not all(((each >= 0) & (each <= 1)).all() for each in probabilities):
        return []
    gated = np.isin(rows.channel, [name for name, channel in run.recipe.channels.items() if channel.gated])
    families, segments = ([one.where(gated) for one in group] for group in read_slices(run))
    part = judge_slices(rows.where(gated), families, segments, run.recipe)
    SlicesDocument(slices=part).write(run.folder / JUDGED_SLICES_FILE)
    return slice_checks(part, run.recipe.gate)
