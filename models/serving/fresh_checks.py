"""Whether a model that went on through young labels may serve in the place of its twin, which was judged.

Both answer the same rows of C, which neither saw, with final labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.judging.gate import Check
from ctr_retrain.models.serving.calibration import LOGIT_LIMIT

if TYPE_CHECKING:
    import numpy.typing as npt

    from ctr_retrain.models.recipe.recipe import Gate
    from ctr_retrain.models.serving.calibration import Calibration, Floats


def check_fresh(
    twin: Floats, fresh: Floats, label: npt.NDArray[Any], calibration: Calibration, gate: Gate
) -> tuple[Check, Check]:
    """Churn and calibration of logits (n,) of both networks under the twin's calibration layer.

    Churn is how far a score moves in the mean, on the log-odds scale; of decisions, it is what Milani Fard et al. 2016
    (section 2) call so. The twin's probabilities add up to the positives of C, so the ratio says where its layer no
    longer fits. Fails closed.
    """
    before, after = (np.clip(calibration.line(logit), -LOGIT_LIMIT, LOGIT_LIMIT) for logit in (twin, fresh))
    churn = float(np.abs(after - before).mean()) if len(label) else None
    moved = Check(
        "fresh_churn",
        churn,
        gate.max_churn,
        passed=churn is not None and bool(churn <= gate.max_churn),
        words=(
            f"Fresh model against its evaluated twin on {len(label):,} rows of C: expected log-odds to move by "
            f"{gate.max_churn:g} at most in the mean, received {_shown(churn)}."
        ),
    )
    positives = int(label.sum())
    ratio = float(calibration.apply(fresh).sum()) / positives if positives else None
    low, high = gate.calibration_ratio
    calibrated = Check(
        "fresh_calibration",
        ratio,
        gate.calibration_ratio,
        passed=ratio is not None and bool(low <= ratio <= high),
        words=(
            f"Fresh model, predicted to seen positives on C: expected {low:g} to {high:g}, received {_shown(ratio)} "
            f"({positives:,} positives)."
        ),
    )
    return moved, calibrated


def _shown(value: float | None) -> str:
    return "no number" if value is None or not np.isfinite(value) else f"{value:.3g}"
