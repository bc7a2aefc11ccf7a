"""Comparison of a warm-started model with its cold twin, the same run trained from nothing, on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.evaluation_documents import TwinComparison
from ctr_retrain.models.judging.cells import gather
from ctr_retrain.models.judging.clustered_ratio import ratio_intervals
from ctr_retrain.models.judging.metrics import log_losses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.gate_section import Gate


def compare_with_twin(rows: JudgedRows, twin: NDArray[Any], gate: Gate) -> TwinComparison:
    """Compare the rows' log losses in pairs, with the gate's own interval and confidence.

    twin: (rows,) probabilities of the cold twin on the rows that the gate judges.
    """
    warm, cold = log_losses(rows.label, rows.challenger), log_losses(rows.label, twin)
    values = {"difference": warm - cold, "rows": np.ones(len(warm))}
    cells = gather(rows.user_bucket, rows.campaign, rows.day, values)
    (interval,) = ratio_intervals(cells, [("difference", "rows")], gate.confidence)
    behind = bool(interval.low > 0)
    verdict = "is no worse than the cold one as far as these rows can tell"
    if behind:
        verdict = "has fallen behind: train once from nothing, with warm_start.enabled = false"
    elif interval.high < 0:
        verdict = "is ahead of the cold one"
    message = (
        f"A cold twin, trained from nothing on all days of the window, has a log loss of {cold.mean():.5f} on the same "
        f"{len(warm):,} impressions, the warm model {warm.mean():.5f}: a difference of {interval.estimate:+.5f} "
        f"({interval.low:+.5f} to {interval.high:+.5f}). The warm model {verdict}."
    )
    return TwinComparison(
        rows=len(warm),
        log_loss=float(warm.mean()),
        twin_log_loss=float(cold.mean()),
        difference=interval.estimate,
        low=interval.low,
        high=interval.high,
        behind=behind,
        message=message,
    )
