"""Measure what the log of the validation days can't show, and what propensities show all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.decisions.log_limits import LoggedChoice, describe_log
from ctr_retrain.models.documents.verdict_documents import LogReachDocument
from ctr_retrain.tasks.store.layout import LOG_REACH_FILE

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from ctr_retrain.models.documents.verdict_documents import Check
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.tasks.plan.run import Run

EXPLORED = frozenset({"1", "true", "t", "yes", "y"})  # whatever the case; all else, and nothing, is no


def measure_log(run: Run, scored: pa.Table, rows: JudgedRows) -> list[Check]:
    """Write log_reach.json into the run's folder, and return its check.

    scored: the scores of the very rows, which are those of gated channels with probabilities that were checked.
    """
    part, checks = describe_log(rows, logged_choice(scored), run.recipe)
    LogReachDocument(log_reach=part).write(run.folder / LOG_REACH_FILE)
    return checks


def logged_choice(scored: pa.Table) -> LoggedChoice:
    """Return what the logger wrote of how each scored row was chosen."""
    explored = None
    if "explore" in scored.column_names:
        # Loggers write yes and no in many ways, and the column is read as a text.
        texts = scored["explore"].to_pylist()
        explored = np.array([str(text).strip().lower() in EXPLORED for text in texts], dtype=bool)
    return LoggedChoice(
        propensity=_numbers(scored, "propensity"), explored=explored, served=_numbers(scored, "served_probability")
    )


def _numbers(scored: pa.Table, name: str) -> NDArray[np.float64] | None:
    """Return a column as numbers, NaN where missing; None where there is no such column."""
    if name not in scored.column_names:
        return None
    column: NDArray[Any] = scored[name].to_numpy(zero_copy_only=False)
    return column.astype(np.float64)
