"""Simple rules by which a challenger takes over, as many pipelines have them; the gate's own need a ledger.

Each sees the validation rows of gated channels, with the policy's own champion in the champion's place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.judging.costs import cost_per_1000
from ctr_retrain.models.judging.judged_rows import decision_cost_deltas
from ctr_retrain.models.judging.metrics import roc_auc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctr_retrain.models.documents.comparison_documents import PolicyName
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.recipe import Recipe

    Rule = Callable[[JudgedRows, Recipe], bool]


def _better_auc(rows: JudgedRows, _: Recipe) -> bool:
    # Of days without a click no AUC is known: who can't show a better one doesn't take over.
    ours, theirs = roc_auc(rows.label, rows.challenger), roc_auc(rows.label, rows.baseline())
    return ours is not None and theirs is not None and ours > theirs


def _within_margin(rows: JudgedRows, recipe: Recipe) -> bool:
    """Return True if the estimate lies within the margin, however unsure it is: TensorFlow Extended's validator."""
    costs = {name: channel.cost for name, channel in recipe.channels.items() if channel.gated}
    delta = cost_per_1000(decision_cost_deltas(rows, costs))
    return delta is not None and delta <= recipe.gate.max_cost_delta_per_1000


RULES: Mapping[PolicyName, Rule] = {
    "never_retrain": lambda rows, recipe: False,  # noqa: ARG005 - whatever the rows say
    "always_promote": lambda rows, recipe: True,  # noqa: ARG005 - likewise
    "best_auc": _better_auc,
    "estimate_within_margin": _within_margin,
}
