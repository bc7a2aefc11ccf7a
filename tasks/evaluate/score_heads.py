"""Heads in stage 7: how good their probabilities are on the rows of the validation days whose label is final.

A head is an output of the network for one more kind of outcome.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.evaluation_documents import HeadEvaluation, ModelName
from ctr_retrain.models.judging.head_metrics import measure_label
from ctr_retrain.models.recipe.head_section import final_from_age
from ctr_retrain.models.serving.output_names import head_column
from ctr_retrain.tasks.train.row_roles import HEAD_LABEL

if TYPE_CHECKING:
    import pyarrow as pa

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.plan.plan_run import RunPlan


def measure_heads(scored: pa.Table, recipe: Recipe, plan: RunPlan) -> dict[str, HeadEvaluation]:
    """Measure each head of each model that has it, and say on which rows of the validation days that rests.

    The gate doesn't read them: it stays with the label's own probability.
    """
    found: dict[str, HeadEvaluation] = {}
    models: tuple[ModelName, ...] = ("challenger", "champion")
    for head in recipe.training.heads:
        label = scored[f"{HEAD_LABEL}{head.kind}"].to_numpy(zero_copy_only=False).astype(np.float64)
        known = int((~np.isnan(label)).sum())  # NULL, which comes as NaN, where the label is unknown or not final
        blocks = {
            model: measure_label(label, scored[column].to_numpy())
            for model in models  # a champion may come from a recipe that lacked this head
            if (column := head_column(model, head.kind)) in scored.column_names
        }
        age = final_from_age(head, recipe.final_ages)
        message = f"{known:,} of {len(label):,} rows of the validation days have a final label of this kind."
        if not known:
            first = plan.validate[0].day + timedelta(days=age)
            message = (
                f"No row of the validation days has a final label of this kind as of {plan.day}: it is final at an age "
                f"of {age} days, the first of these from {first} on. Nothing is measured."
            )
        metrics = blocks if known else {}
        found[head.kind] = HeadEvaluation(after=head.after, rows=known, message=message, metrics=metrics)
    return found
