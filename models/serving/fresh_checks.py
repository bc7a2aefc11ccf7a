"""Checks of the fresh model, which went on through days with immature labels, against its evaluated twin.

They decide if it may serve in the place of the twin, which the gate judged. Both score the same rows of the calibration
slice, which neither was trained on and whose labels are final.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.serving.calibration import LOGIT_LIMIT

if TYPE_CHECKING:
    import numpy.typing as npt

    from ctr_retrain.models.recipe.gate_section import Gate
    from ctr_retrain.models.serving.calibration import Calibration, Floats


def check_fresh(
    twin: Floats, fresh: Floats, label: npt.NDArray[Any], calibration: Calibration, gate: Gate
) -> tuple[Check, Check]:
    """Check churn and calibration of logits (n,) of both networks under the twin's calibration layer. Fails closed.

    Churn is how far a score moves in the mean, on the log-odds scale; Milani Fard et al. 2016 (section 2) use the word
    for decisions that change. The twin's probabilities add up to the slice's positives, so a ratio away from 1 says
    that its layer no longer fits.
    """
    before, after = (np.clip(calibration.line(logit), -LOGIT_LIMIT, LOGIT_LIMIT) for logit in (twin, fresh))
    churn = float(np.abs(after - before).mean()) if len(label) else None
    churn_check = Check(
        name="fresh_churn",
        value=churn,
        bound=gate.max_churn,
        passed=churn is not None and bool(churn <= gate.max_churn),
        message=(
            f"Fresh model against its evaluated twin on {len(label):,} rows of the calibration slice: expected "
            f"log-odds to move by {gate.max_churn:g} at most in the mean, received {_number_text(churn)}."
        ),
    )
    positives = int(label.sum())
    ratio = float(calibration.apply(fresh).sum()) / positives if positives else None
    low, high = gate.calibration_ratio
    calibration_check = Check(
        name="fresh_calibration",
        value=ratio,
        bound=gate.calibration_ratio,
        passed=ratio is not None and bool(low <= ratio <= high),
        message=(
            f"Fresh model, predicted to seen positives on the calibration slice: expected {low:g} to {high:g}, "
            f"received {_number_text(ratio)} ({positives:,} positives)."
        ),
    )
    return churn_check, calibration_check


def _number_text(value: float | None) -> str:
    """Write a number for a message, where it may be missing or NaN."""
    return "no number" if value is None or not np.isfinite(value) else f"{value:.3g}"
