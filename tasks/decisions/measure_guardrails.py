"""Measure guarded kinds of outcomes on what each model would send, with the nights of the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.verdict_documents import GuardrailsDocument
from ctr_retrain.models.gate.guardrails import KindOfRows, guarded_sums, judge_guardrails
from ctr_retrain.models.judging.judged_rows import compared_cells
from ctr_retrain.models.ledger.pooled_nights import Night, each_day_once
from ctr_retrain.models.serving.output_names import head_column
from ctr_retrain.tasks.store.layout import GUARDRAILS_FILE
from ctr_retrain.tasks.train.row_roles import GUARD_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from ctr_retrain.models.documents.verdict_documents import Check
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.plan.run import Run


def with_guarded_sums(rows: JudgedRows, scored: pa.Table, recipe: Recipe) -> JudgedRows:
    """Return the rows with what each model's sends bring of the guarded kinds, which the ledger then adds up."""
    kinds = {kind: _kind(scored, kind) for kind in recipe.gate.guardrails}
    costs = {name: channel.cost for name, channel in recipe.channels.items()}
    return replace(rows, sums=guarded_sums(rows, kinds, costs)) if kinds else rows


def measure_guardrails(run: Run, rows: JudgedRows, earlier: Sequence[Night]) -> list[Check]:
    """Write guardrails.json into the run's folder, and return its checks; none without guardrails or a champion.

    rows: with the sums of `with_guarded_sums`. earlier: nights that asked the same, oldest first.
    """
    if not rows.sums:
        return []
    gated = {name: channel.cost for name, channel in run.recipe.channels.items() if channel.gated}
    tonight = Night(compared_cells(rows.of_channels(gated), gated), {})
    nights = [night.cells for night in each_day_once([*earlier, tonight])]
    part, checks = judge_guardrails(nights, run.recipe.gate)
    GuardrailsDocument(guardrails=part).write(run.folder / GUARDRAILS_FILE)
    return checks


def _kind(scored: pa.Table, kind: str) -> KindOfRows:
    """Read a kind's outcomes, and the mean probability of the models that have a head for it."""
    outcome = scored[f"{GUARD_LABEL}{kind}"].to_numpy(zero_copy_only=False).astype(np.float64)
    columns = [head_column(model, kind) for model in ("challenger", "champion")]
    heads = [scored[column].to_numpy().astype(np.float64) for column in columns if column in scored.column_names]
    # The same numbers for both models' sends: each by its own head would let a model flatter itself.
    return KindOfRows(outcome, np.mean(heads, axis=0) if heads else None)
