"""Train a run's network with another seed and predict for its validation days, where models live."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctr_retrain.models.training.device import prepare_device
from ctr_retrain.models.training.stacked_arrays import Stacked
from ctr_retrain.tasks.train.calibrate_network import logits_of
from ctr_retrain.tasks.train.encode_days import encode_days
from ctr_retrain.tasks.train.fit_challenger import fit_rows, rows_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ctr_retrain.models.weights.row_weights import Factors
    from ctr_retrain.tasks.execution.model_process import Compute, ProgressOf
    from ctr_retrain.tasks.plan.run import Run

ANOTHER = 1  # added to the recipe's seed


def predict_by_twin(progress_of: ProgressOf, run: Run, factors: Factors, compute: Compute) -> NDArray[np.float64]:
    """Return the twin's calibrated probabilities, (rows,) of the validation days in the encoded rows' order.

    It is the challenger but for the seed: its rows, its start, its calibration slice. Raises what training raises.
    """
    device = prepare_device(compute.device)
    training = run.recipe.training.model_copy(update={"seed": run.recipe.training.seed + ANOTHER})
    twin = replace(run, recipe=run.recipe.model_copy(update={"training": training}))
    # Without checkpoints, whose key names the run and not the seed: the twin would go on from the challenger's.
    with rows_of(twin) as rows, progress_of(f"training a seed twin on {device}", "rows") as progress:
        fitted = fit_rows(rows, twin, factors, progress)
    # Of encoded rows rather than through a served graph, whose export alone takes a third of a small run's time.
    days = encode_days(run.store, run.recipe, run.plan.validate)
    tables = [day.dictionary.table_rows(fitted.recipe.features) for day in days]
    ids, numeric = Stacked([day.codes for day in days], None, tables), Stacked([day.numeric for day in days])
    return fitted.calibration.apply(logits_of(fitted.network, ids, numeric))
