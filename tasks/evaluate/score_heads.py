"""The heads' part of stage 7: how good their probabilities are on the rows of V whose label of their kind is final."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.judging.head_metrics import measure_label
from ctr_retrain.models.recipe.head_section import final_from_age
from ctr_retrain.models.serving.output_names import probability_column
from ctr_retrain.tasks.train.row_roles import HEAD_LABEL

if TYPE_CHECKING:
    import pyarrow as pa

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.plan.plan_run import RunPlan


def head_column(model: str, kind: str) -> str:
    """The column of scores.parquet with what a model answers for a head."""
    return f"{model}_{probability_column(kind)}"


def measure_heads(scored: pa.Table, recipe: Recipe, plan: RunPlan) -> dict[str, Any]:
    """A block for each head and each model that has it, and in words which rows of V it rests on.

    The gate doesn't read them: it stays with the label's own probability.
    """
    found: dict[str, Any] = {}
    for head in recipe.training.heads:
        label = scored[f"{HEAD_LABEL}{head.kind}"].to_numpy(zero_copy_only=False).astype(np.float64)
        known = int((~np.isnan(label)).sum())
        blocks = {
            model: measure_label(label, scored[column].to_numpy()).to_json()
            for model in ("challenger", "champion")
            if (column := head_column(model, head.kind)) in scored.column_names
        }
        age = final_from_age(head, recipe.final_ages)
        words = f"{known:,} of {len(label):,} rows of V have a final label of this kind."
        if not known:
            first = plan.validate[0].day + timedelta(days=age)
            words = (
                f"No row of V has a final label of this kind as of {plan.day}: it is final at an age of {age} days, "
                f"the first of these from {first} on. Nothing is measured."
            )
        found[head.kind] = {"after": head.after, "rows": known, "words": words, "metrics": blocks if known else {}}
    return found
