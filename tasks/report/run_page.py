"""Stage 10, report: one run's page, whole and readable without a network, and the list page over all runs.

All figures come from what the earlier stages wrote; nothing is judged here. The layout of pages is in `templates/`.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ctr_retrain.models.charts import charts
from ctr_retrain.models.data.drift import DayRatio, detect
from ctr_retrain.models.documents.day_documents import Finding
from ctr_retrain.models.documents.evaluation_documents import ReliabilityBin
from ctr_retrain.models.documents.ref_documents import AcceptedRef, RecipeNameRef, RunsRef
from ctr_retrain.models.judging.model_comparison import compare, opponent_of, send_everything_or_nothing
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.report.render_page import render_page
from ctr_retrain.tasks.report.run_document import load_document
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import DRIFT_FILE, EVALUATION_FILE, QUARANTINE, REPORT_FILE, RUN_FILE, TRAINING_FILE
from ctr_retrain.tasks.store.protocol import Store, load_ref, load_refs
from ctr_retrain.tasks.store.shards import open_shards
from ctr_retrain.tasks.validate.validate_day import load_validated_day

DATA_DOCS = "data_docs/index.html"
READERS = 16  # runs read at once, each of which a bucket answers in its own time
QUARANTINE_REASONS = 12  # shown; there are hardly more


@dataclass(frozen=True)
class PlannedDay:
    """One day between the training window's first and the run's own, with its part in the run."""

    day: date
    role: str  # train, calibrate, validate, fresh, excluded, waiting
    message: str  # its part in a sentence, or why it has none
    rows: int | None = None  # impressions of the day; None where its labels were not read
    positives: int | None = None  # those of them with a positive label, as known on the run's day


def write_report(store: Store, recipe: Recipe, plan: RunPlan, folder: Path) -> None:
    """Write report.html into the run's folder from what the run wrote there; also where nothing was trained."""
    # Neither evaluation nor training is there where too few positives or an alert ended the run before it trained.
    run, drift = _read(folder / RUN_FILE), _read(folder / DRIFT_FILE)
    evaluation = _read(folder / EVALUATION_FILE) if (folder / EVALUATION_FILE).exists() else None
    training = _read(folder / TRAINING_FILE) if (folder / TRAINING_FILE).exists() else None
    findings, docs = _findings(store, plan.day)
    page = render_page(
        "report.html.j2",
        run=run,
        verdict=run["verdict"],
        plan=plan,
        recipe=recipe,
        # The text of a network's own file travels with the recipe and is no part of what one wrote into it.
        recipe_json=recipe.model_dump_json(indent=2, exclude={"training": {"network_source"}}),
        opponent=opponent_of(evaluation) if evaluation else None,
        champion_data_through=evaluation.get("champion_data_through") if evaluation else None,
        compared=compare(evaluation, recipe) if evaluation else [],
        reliability=_reliability(evaluation) if evaluation else None,
        cost_curves=_cost_curves(evaluation, recipe) if evaluation else {},
        ratios=_ratios(drift["history"], recipe),
        drift=drift["results"],
        weight=_weight(run["weights"], plan, recipe) if run["weights"] else None,
        maturity=_maturity(run["maturity"]) if run["maturity"] else None,
        loss=charts.loss_chart(training["training"]["history"]) if training else None,
        training=training,
        calendar=planned_days(plan),
        quarantine=_quarantine(store, plan.day, folder),
        findings=findings,
        docs=docs,
    )
    (folder / REPORT_FILE).write_text(page, encoding="utf-8")


def write_run_list(store: Store, champion: str | None) -> None:
    """Write the list page over all runs, newest first, into the root; readers see the old page or the new one.

    Raises StorageError where the disk is full or can't be written.
    """
    runs = list_runs(store)
    name = load_ref(store, layout.name_ref(), RecipeNameRef)
    page = render_page(
        "runs.html.j2",
        recipe_name=name.content.current if name else None,
        runs=runs,
        champion=champion,
        rejected=_rejected_days(store),
        chart=_trend(runs[::-1]),
    )
    store.write_page(layout.RUN_LIST_PAGE, page)


def planned_days(plan: RunPlan) -> list[PlannedDay]:
    """List the part of each day in the run, oldest first."""
    final = plan.days.maturity_days
    labelled = {day.day: day for day in (*plan.fresh, *plan.train, *plan.validate)}
    result = []
    for day in plan.days.all_days:
        if str(day) in plan.excluded:
            result.append(PlannedDay(day, "excluded", plan.excluded[str(day)]))
        elif day not in labelled:
            message = f"labels are final at the end of {day + timedelta(days=final)}"
            result.append(PlannedDay(day, "waiting", message))
        else:
            rows, positives = labelled[day].rows, labelled[day].positives
            role, message = "train", "trains"
            # Before the fresh pass, of which the validation days are a part too.
            if day in plan.days.validate:
                role, message = "validate", "judges both models" + (", then trains the fresh one" if plan.fresh else "")
            elif day in plan.days.fresh:
                role, message = "fresh", "trains the fresh model with the labels that have landed so far"
            elif day in plan.days.calibrate:
                role, message = "calibrate", "trains; a share of its users is kept for calibration"
            result.append(PlannedDay(day, role, message, rows, positives))
    return result


def list_runs(store: Store) -> list[dict[str, Any]]:
    """Return the documents of all runs, newest day first; of one day's runs the newest first."""
    # The id of a run holds its day and no time: the day's history knows which run came later.
    order = {}
    for _, ref in load_refs(store, layout.RUNS, RunsRef):
        order.update({run_id: place for place, run_id in enumerate(ref.history)})

    def read(path: str) -> list[dict[str, Any]]:
        run = load_document(store, path)
        return [{**run.to_json(), "page": _link(store, path, REPORT_FILE)}]

    with ThreadPoolExecutor(READERS) as pool:
        runs = [run for found in pool.map(read, store.list_objects(layout.RUNS)) for run in found]
    return sorted(runs, key=lambda run: (run["date"], order.get(run["run_id"], -1)), reverse=True)


def _rejected_days(store: Store) -> list[dict[str, str]]:
    """List the days whose data was rejected and that nobody accepted, newest first: they have no run."""
    found = []
    for day, decision in load_refs(store, layout.ACCEPTED_REFS, AcceptedRef):
        if not decision.accepted:
            docs = _link(store, decision.validation, DATA_DOCS)
            found.append({"date": day, "reason": decision.reason, "docs": docs})
    return found[::-1]


def _findings(store: Store, day: date) -> tuple[tuple[Finding, ...], str | None]:
    """Return the expectations that were evaluated over the day, and the run folder's link to their data docs."""
    validated = load_validated_day(store, day)
    if validated is None:
        return (), None
    return validated.findings, f"../../{_link(store, validated.path, DATA_DOCS)}"


def _link(store: Store, path: str, name: str) -> str:
    """Return the link to an object's file from the root's own page; relative, so that it holds in a copied root too."""
    return store.address(path, name).removeprefix(f"{store.root}/")


def _quarantine(store: Store, day: date, scratch: Path) -> list[dict[str, Any]]:
    """List why rows that landed on the day can't be used: stream, reason, rows and one example each."""
    path = current_day_object(store, day)
    folders = open_shards(store, path) if path else []
    found: list[dict[str, Any]] = []
    if not folders:
        return found
    with duck.connect(scratch) as connection:
        for stream in ("impressions", "outcomes"):
            files = duck.parquet(*(folder / QUARANTINE / f"{stream}-*.parquet" for folder in folders))
            # The example of a reason is the first by file and row, so that a page made again shows the same one.
            rows = connection.sql(
                "SELECT split_part(reason, ':', 1) AS kind, count(*), min_by(reason, (file, row)), "
                "min_by(file, (file, row)), min_by(row, (file, row)), left(min_by(raw, (file, row)), 160) "
                f"FROM {files} GROUP BY kind ORDER BY 2 DESC, 1 LIMIT {QUARANTINE_REASONS}"
            ).fetchall()
            names = ("kind", "rows", "reason", "file", "row", "raw")
            found += [{"stream": stream, **dict(zip(names, row, strict=True))} for row in rows]
    return found


def _names(evaluation: dict[str, Any]) -> dict[str, str]:
    """Return the models that were scored and their names in charts, the challenger first."""
    names = {"challenger": "challenger", "champion": "champion", "constant": "constant rate"}
    return {name: word for name, word in names.items() if name in evaluation["metrics"]}


def _reliability(evaluation: dict[str, Any]) -> str:
    bins = evaluation["reliability"]
    return charts.reliability_chart(
        {word: [ReliabilityBin(**b) for b in bins[name]] for name, word in _names(evaluation).items()}
    )


def _cost_curves(evaluation: dict[str, Any], recipe: Recipe) -> dict[str, str]:
    """Draw the cost curves: one chart a channel that has rows."""
    names, metrics = _names(evaluation), evaluation["metrics"]
    result = {}
    for channel, curve in evaluation["cost_curves"].items():
        block = metrics["challenger"]["by_channel"][channel]
        send_all, send_none = send_everything_or_nothing(block, recipe, channel)
        assert send_all is not None  # a channel with a curve has rows
        assert send_none is not None
        at = {word: metrics[name]["by_channel"][channel]["cost_per_1000"] for name, word in names.items()}
        curves = {word: curve[name] for name, word in names.items()}
        drawn = charts.CostCurve(curve["thresholds"], curves, curve["threshold"], at, send_all, send_none)
        result[channel] = charts.cost_chart(channel, drawn)
    return result


def _ratios(history: dict[str, list[dict[str, Any]]], recipe: Recipe) -> dict[str, str]:
    """Draw the positive ratios: one chart a channel; each day's band comes from the days shown before it."""
    result = {}
    for channel, rows in history.items():
        ratios = [DayRatio(date.fromisoformat(row["day"]), row["positives"], row["rows"]) for row in rows]
        compared = [detect(channel, ratio, ratios[:i], recipe.drift) for i, ratio in enumerate(ratios)]
        days = [
            charts.RatioDay(ratio.day, r.received, r.low, r.high, r.alert)
            for ratio, r in zip(ratios, compared, strict=True)
        ]
        result[channel] = charts.ratio_chart(channel, days)
    return result


def _maturity(maturity: dict[str, Any]) -> str | None:
    """Draw the maturity of labels by age in days, for each channel and kind that has mature days."""
    curves = {f"{curve['channel']} {curve['kind']}": curve["overall"] for curve in maturity["curves"]}
    return charts.maturity_chart(curves) if curves else None


def _weight(weights: dict[str, Any], plan: RunPlan, recipe: Recipe) -> str:
    ages = [(plan.data_through - date.fromisoformat(day)).days for day in weights["days"]]
    # Recency alone, drawn as a line: bars off it are due to the days' sizes, classes and confidence.
    recency = [2.0 ** (-age / recipe.weights.half_life_days) for age in ages]
    return charts.weight_chart(ages, list(weights["days"].values()), recency)


def _trend(runs: list[dict[str, Any]]) -> str | None:
    """Draw the costs of the runs, oldest first; None where none is known."""
    days = [date.fromisoformat(run["date"]) for run in runs]
    costs = {name: [_cost(run["metrics"], name) for run in runs] for name in ("challenger", "champion")}
    return charts.trend_chart(days, costs) if any(c is not None for c in costs["challenger"]) else None


def _cost(metrics: dict[str, Any], name: str) -> float | None:
    block = metrics.get(name)
    return block["cost_per_1000"] if block else None


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
