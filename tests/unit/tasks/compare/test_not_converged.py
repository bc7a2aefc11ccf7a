"""The warning of a comparison whose networks were still learning, and its place: the first line."""

from ctr_retrain.tasks.compare.compare_strategies import _not_converged
from ctr_retrain.tasks.compare.plan_comparison import FitResult

SHORT = "training was cut short: after 31 steps the loss still fell by 2 % a step"


def test_strategies_that_were_still_learning_are_named_with_the_reason():
    results = [FitResult("unweighted", 7, 0, 1.0, cut_short=SHORT), FitResult("recency", 7, 0, 1.0)]
    found = _not_converged(results)
    assert found.startswith("Networks have not converged (unweighted)")
    assert SHORT in found


def test_nothing_is_said_where_all_have_settled():
    assert _not_converged([FitResult("unweighted", 7, 0, 1.0)]) == ""
