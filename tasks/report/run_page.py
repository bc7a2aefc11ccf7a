"""Stage 10, report: one run's page, whole and readable without a network.

All figures come from what the earlier stages wrote; nothing is judged here. The layout of pages is in
`tasks/pages/templates/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from ctr_retrain.models.charts import charts
from ctr_retrain.models.charts.evidence_chart import evidence_chart
from ctr_retrain.models.documents.day_documents import Finding
from ctr_retrain.models.documents.drift_documents import DayCounts, DriftDocument, DriftResult
from ctr_retrain.models.documents.evaluation_documents import EvaluationDocument, ModelName
from ctr_retrain.models.documents.maturity_documents import MaturityCurve
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.documents.training_documents import TrainingDocument
from ctr_retrain.models.incidents.incident import Incident
from ctr_retrain.models.judging.model_comparison import ComparedBlock, compare, send_everything_or_nothing
from ctr_retrain.models.ledger.evidence_words import evidence_words
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.alerts.incident_refs import load_incidents
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.ingest.quarantine_reasons import QuarantinedRows, quarantine_reasons
from ctr_retrain.tasks.pages.render_page import link_from_root, render_page
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.report.run_document import read_if_made
from ctr_retrain.tasks.store.layout import (
    DATA_DOCS,
    DRIFT_FILE,
    EVALUATION_FILE,
    REPORT_FILE,
    RUN_FILE,
    TRAINING_FILE,
)
from ctr_retrain.tasks.store.protocol import Store
from ctr_retrain.tasks.validate.validate_day import load_validated_day

SHOWN_NAMES: dict[ModelName, str] = {"challenger": "challenger", "champion": "champion", "constant": "constant rate"}


@dataclass(frozen=True)
class PlannedDay:
    """One day between the training window's first and the run's own, with its part in the run."""

    day: date
    role: str  # train, calibrate, validate, fresh, excluded, waiting
    message: str  # its part in a sentence, or why it has none
    rows: int | None = None  # impressions of the day; None where its labels were not read
    positives: int | None = None  # those of them with a positive label, as known on the run's day


@dataclass(frozen=True)
class RunPage:
    """All that report.html.j2 shows, under the names by which it reads it. Charts are SVG."""

    run: RunDocument
    recipe: Recipe
    recipe_json: str
    incidents: tuple[Incident, ...]  # that were open when the page was written, the gravest first
    training: TrainingDocument | None  # None where nothing was trained
    opponent: ModelName | None  # the model that the challenger was compared with
    champion_data_through: date | None  # the newest day that the scored champion has seen
    compared: list[ComparedBlock]  # empty where nothing was trained
    evidence: str | None  # a chart; None where nothing was judged
    evidence_words: tuple[str, ...]
    reliability: str | None
    cost_curves: Mapping[str, str]  # a chart a channel
    ratios: Mapping[str, str]  # a chart a channel
    drift: tuple[DriftResult, ...]
    weight: str | None  # a chart; None where nothing was weighed
    maturity: str | None  # a chart; None where labels are final at once
    loss: str | None  # a chart; None where nothing was trained
    calendar: list[PlannedDay]
    quarantine: list[QuarantinedRows]
    findings: tuple[Finding, ...]
    docs: str | None  # link to the day's data docs


def write_report(run: Run) -> None:
    """Write report.html into the run's folder from what the run wrote there; also where nothing was trained.

    Raises StorageError where a document is damaged or of a format that this version doesn't know.
    """
    page = render_page("report.html.j2", **vars(_describe(run)))
    (run.folder / REPORT_FILE).write_text(page, encoding="utf-8")


def _describe(run: Run) -> RunPage:
    """Gather the page's contents from the run's documents, and from the store what landed on its day."""
    document, drift = RunDocument.read(run.folder / RUN_FILE), DriftDocument.read(run.folder / DRIFT_FILE)
    # Neither evaluation nor training is there where too few positives or an alert ended the run before it trained.
    evaluation = read_if_made(run.folder / EVALUATION_FILE, EvaluationDocument)
    training = read_if_made(run.folder / TRAINING_FILE, TrainingDocument)
    findings, docs = _findings(run.store, document.date)
    landed_day = current_day_object(run.store, document.date)
    half_life_days = run.recipe.row_weights.half_life_days
    return RunPage(
        run=document,
        recipe=run.recipe,
        # The text of a network's own file travels with the recipe and is no part of what one wrote into it.
        recipe_json=run.recipe.model_dump_json(indent=2, exclude={"training": {"network_source"}}),
        incidents=load_incidents(run.store).open,
        training=training,
        opponent=evaluation.opponent if evaluation else None,
        champion_data_through=_champion_data_through(evaluation, run.plan),
        compared=compare(evaluation, run.recipe) if evaluation else [],
        evidence=evidence_chart(document.evidence) if document.evidence else None,
        evidence_words=evidence_words(document.evidence) if document.evidence else (),
        reliability=_reliability(evaluation) if evaluation else None,
        cost_curves=_cost_curves(evaluation, run.recipe) if evaluation else {},
        ratios={name: _ratios(name, days) for name, days in drift.history.items()},
        drift=drift.results,
        weight=_weight(document.weights.days, document.data_through, half_life_days) if document.weights else None,
        maturity=_maturity(document.maturity.curves) if document.maturity else None,
        loss=charts.loss_chart(training.training.history) if training else None,
        calendar=planned_days(run.plan),
        quarantine=quarantine_reasons(run.store, landed_day, run.folder) if landed_day else [],
        findings=findings,
        docs=docs,
    )


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


def _champion_data_through(evaluation: EvaluationDocument | None, plan: RunPlan) -> date | None:
    """Return the newest day that the scored champion has seen; where no evaluation tells, by the champion's record."""
    if evaluation and evaluation.champion_data_through:
        return evaluation.champion_data_through
    return plan.champion.data_through if plan.champion else None


def _findings(store: Store, day: date) -> tuple[tuple[Finding, ...], str | None]:
    """Return the expectations that were evaluated over the day, and the run folder's link to their data docs."""
    validated = load_validated_day(store, day)
    if validated is None:
        return (), None
    return validated.findings, f"../../{link_from_root(store, validated.path, DATA_DOCS)}"


def _scored(evaluation: EvaluationDocument) -> dict[ModelName, str]:
    """Return the models that were scored and their names in charts, the challenger first."""
    return {name: shown for name, shown in SHOWN_NAMES.items() if name in evaluation.metrics}


def _reliability(evaluation: EvaluationDocument) -> str:
    """Draw predicted against seen ratios of the models that were scored."""
    return charts.reliability_chart(
        {shown: evaluation.reliability[name] for name, shown in _scored(evaluation).items()}
    )


def _cost_curves(evaluation: EvaluationDocument, recipe: Recipe) -> dict[str, str]:
    """Draw the cost curves: one chart a channel that has rows."""
    names, metrics = _scored(evaluation), evaluation.metrics
    result = {}
    for channel, curve in evaluation.cost_curves.items():
        send_all, send_none = send_everything_or_nothing(evaluation, recipe, channel)
        assert send_all is not None  # a channel with a curve has rows
        assert send_none is not None
        at = {shown: metrics[name].by_channel[channel].cost_per_1000 for name, shown in names.items()}
        curves = {names[name]: costs for name, costs in curve.by_model().items()}
        drawn = charts.CostCurve(curve.thresholds, curves, curve.threshold, at, send_all, send_none)
        result[channel] = charts.cost_chart(channel, drawn)
    return result


def _ratios(channel: str, history: tuple[DayCounts, ...]) -> str:
    """Draw a channel's positive ratios; each day's band comes from the days before it."""
    days = [
        charts.RatioDay(day.day, day.positives / day.rows if day.rows else None, day.low, day.high, day.alert)
        for day in history
    ]
    return charts.ratio_chart(channel, days)


def _maturity(curves: tuple[MaturityCurve, ...]) -> str | None:
    """Draw the maturity of labels by age in days, for each channel and kind that has mature days."""
    shares = {f"{curve.channel} {curve.kind}": curve.overall for curve in curves}
    return charts.maturity_chart(shares) if shares else None


def _weight(shares: Mapping[date, float], data_through: date, half_life_days: float) -> str:
    """Draw each training day's share of the weight by its age."""
    ages = [(data_through - day).days for day in shares]
    # Recency alone, drawn as a line: bars off it are due to the days' sizes, classes and confidence.
    recency = [2.0 ** (-age / half_life_days) for age in ages]
    return charts.weight_chart(ages, list(shares.values()), recency)
