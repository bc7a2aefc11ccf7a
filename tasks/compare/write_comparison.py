"""The page of a comparison: recommendation first, then the strategies' differences, then what a day of age costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ctr_retrain.models.charts.charts import freshness_chart
from ctr_retrain.models.charts.forest_plot import ForestRow, forest_chart
from ctr_retrain.models.documents.comparison_documents import (
    COLUMNS,
    CRITERIA,
    ComparisonDocument,
    CorrectedDifference,
    Criterion,
)
from ctr_retrain.models.documents.evaluation_documents import METRICS
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.trials.recommendation import CRITERION_NAMES
from ctr_retrain.tasks.pages.render_page import render_page
from ctr_retrain.tasks.store.layout import COMPARISON_FILE, REPORT_FILE

if TYPE_CHECKING:
    from pathlib import Path


def write_comparison_report(recipe: Recipe, folder: Path) -> None:
    """Write report.html into the comparison's folder from its comparison.json."""
    comparison = ComparisonDocument.read(folder / COMPARISON_FILE)
    compared = any(strategy.delta for strategy in comparison.strategies)
    curve = comparison.freshness_curve
    page = render_page(
        "compare.html.j2",
        comparison=comparison,
        recipe=recipe,
        recipe_json=recipe.model_dump_json(indent=2, exclude={"training": {"network_source"}}),
        baseline=comparison.strategies[0].name,
        criteria=[comparison.criterion, *(name for name in CRITERIA if name != comparison.criterion)],
        criterion_words=CRITERION_NAMES,
        digits={name: METRICS[name].digits for name in COLUMNS},
        columns={name: METRICS[name].column for name in COLUMNS},
        positives=sum(day.positives for day in comparison.days),
        rows=sum(day.rows for day in comparison.days),
        forests={criterion: _forest(criterion, comparison) for criterion in CRITERIA} if compared else {},
        curve_chart=freshness_chart(curve) if curve else None,
    )
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def _verdict_of(delta: CorrectedDifference, confidence: float) -> Literal["open", "better", "worse"]:
    """Judge a difference, corrected for the number of comparisons: surely better, surely worse, or open."""
    if delta.p_holm > 1 - confidence:
        return "open"
    return "better" if delta.value < 0 else "worse"


def _forest(criterion: Criterion, comparison: ComparisonDocument) -> str:
    """Draw each strategy's difference from the first by one criterion."""
    rows = []
    for strategy in comparison.strategies:
        if strategy.delta is None:
            continue
        delta = strategy.delta[criterion]
        message = f"{strategy.name}: {delta.value:+.{METRICS[criterion].digits}f}, corrected p {delta.p_holm:.3g}"
        name = f"{strategy.name} (own)" if strategy.own and strategy.name != "own" else strategy.name
        verdict = _verdict_of(delta, comparison.confidence)
        rows.append(ForestRow(name, delta.value, *delta.limits, verdict, message))
    baseline, loss = comparison.strategies[0].name, CRITERION_NAMES[criterion]
    return forest_chart(f"Differences in {loss}", f"{loss}, less {baseline}'s", rows)
