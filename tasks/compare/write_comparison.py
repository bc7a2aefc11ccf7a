"""The page of a comparison: recommendation first, then the strategies' differences, then what a day of age costs."""

from __future__ import annotations

import json
from math import inf
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.charts.charts import freshness_chart
from ctr_retrain.models.charts.forest_plot import ForestRow, forest_chart
from ctr_retrain.models.documents.comparison_documents import COLUMNS, CRITERIA
from ctr_retrain.models.documents.evaluation_documents import METRICS
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.trials.recommendation import CRITERION_NAMES
from ctr_retrain.tasks.report.render_page import render_page
from ctr_retrain.tasks.store.layout import COMPARISON_FILE, REPORT_FILE

if TYPE_CHECKING:
    from pathlib import Path


def write_comparison_report(recipe: Recipe, folder: Path) -> None:
    """Write report.html into the comparison's folder from its comparison.json."""
    comparison: dict[str, Any] = json.loads((folder / COMPARISON_FILE).read_text(encoding="utf-8"))
    compared = [entry for entry in comparison["strategies"] if entry["delta"]]
    curve = comparison["freshness_curve"]
    page = render_page(
        "compare.html.j2",
        comparison=comparison,
        recipe=recipe,
        recipe_json=recipe.model_dump_json(indent=2, exclude={"training": {"network_source"}}),
        baseline=comparison["strategies"][0]["name"],
        criteria=[comparison["criterion"], *(name for name in CRITERIA if name != comparison["criterion"])],
        criterion_words=CRITERION_NAMES,
        digits={name: METRICS[name].digits for name in COLUMNS},
        columns={name: METRICS[name].column for name in COLUMNS},
        positives=sum(day["positives"] for day in comparison["days"]),
        rows=sum(day["rows"] for day in comparison["days"]),
        forests={criterion: _forest(criterion, compared, comparison) for criterion in CRITERIA} if compared else {},
        curve_chart=freshness_chart(curve) if curve else None,
    )
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def verdict_of(delta: dict[str, Any], confidence: float) -> str:
    """Judge a difference, corrected for the number of comparisons: surely better, surely worse, or open."""
    if delta["p_holm"] > 1 - confidence:
        return "open"
    return "better" if delta["value"] < 0 else "worse"


def _forest(criterion: str, compared: list[dict[str, Any]], comparison: dict[str, Any]) -> str:
    rows = []
    for entry in compared:
        delta = entry["delta"][criterion]
        # JSON has no infinity: a bound that is null has no end.
        low, high = (inf * sign if delta[end] is None else delta[end] for end, sign in (("low", -1), ("high", 1)))
        message = f"{entry['name']}: {delta['value']:+.{METRICS[criterion].digits}f}, corrected p {delta['p_holm']:.3g}"
        name = f"{entry['name']} (own)" if entry["own"] and entry["name"] != "own" else entry["name"]
        rows.append(ForestRow(name, delta["value"], low, high, verdict_of(delta, comparison["confidence"]), message))
    baseline = comparison["strategies"][0]["name"]
    loss = CRITERION_NAMES[criterion]
    return forest_chart(f"Differences in {loss}", f"{loss}, less {baseline}'s", rows)
