"""Score the validation days of a night with models of other nights, in the process of the models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.tasks.evaluate.score_models import judged_model, score_rows
from ctr_retrain.tasks.store.layout import SCORES_FILE

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from ctr_retrain.tasks.execution.model_process import Models, ProgressOf
    from ctr_retrain.tasks.plan.run import Run


def score_versions(run: Run, models: Models, needed: Collection[str], wanted: Collection[str]) -> pa.Table:
    """Return the validation rows with a column of probabilities for each version, as the gate judges it.

    wanted: versions that are left out where they are gone or have seen the rows. Raises StorageError where a needed one
    is, DataRejectedError where a model answers with what is no probability.
    """
    first = run.plan.validate[0].day
    found = {version: judged_model(run.store, version, first) for version in sorted({*needed, *wanted})}
    if missing := sorted(version for version in needed if found[version] is None):
        msg = f"{run.store.root}: expected the models {', '.join(missing)}, received none that hasn't seen {first}"
        raise StorageError(msg)
    paths = {version: path for version, path in found.items() if path is not None}
    models.call(_score, run, paths)
    scored = pq.read_table(run.folder / SCORES_FILE)
    (run.folder / SCORES_FILE).unlink()
    for version in paths:
        values = scored[version].to_numpy()
        if not np.all((values >= 0) & (values <= 1)):
            msg = f"model {version}: expected probabilities of the rows of {first}, received other numbers"
            raise DataRejectedError(msg)
    return scored


def _score(progress_of: ProgressOf, run: Run, paths: dict[str, Path]) -> None:
    """Write the rows into the run's folder."""
    from ctr_retrain.models.serving.scorer import Scorer  # noqa: PLC0415 - TensorFlow: not for the flow

    scorers = {version: Scorer(path) for version, path in paths.items()}
    with progress_of(f"scoring {run.plan.validate[-1].day} by {len(paths)} models", "rows") as progress:
        scored = pa.Table.from_batches(score_rows(run, scorers, progress))
    pq.write_table(scored, run.folder / SCORES_FILE, compression="zstd")
