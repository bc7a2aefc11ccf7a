"""The run's document, run.json: what `daily --json` answers and what report, `explain` and `status` read."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.comparison_documents import YardstickDocument
from ctr_retrain.models.documents.drift_documents import DriftDocument, FeatureWorthDocument, NumbersDocument
from ctr_retrain.models.documents.evaluation_documents import (
    EvaluationDocument,
    FeatureByItself,
    FeaturesDocument,
    TwinComparison,
)
from ctr_retrain.models.documents.maturity_documents import MaturityCurve, MaturityDocument, MaturityPart
from ctr_retrain.models.documents.run_documents import DayDocument, HeadPart, RunDocument, RunMetrics
from ctr_retrain.models.documents.training_documents import (
    CalibrationRows,
    FailedTrainingDocument,
    RunStart,
    SeedTwinsDocument,
    TrainingDocument,
    TrainingPart,
    UnseenShare,
)
from ctr_retrain.models.documents.verdict_documents import (
    FreshPass,
    FreshPassDocument,
    GuardrailsDocument,
    LogReachDocument,
    MoneyDocument,
    Recalibration,
    RecalibrationDocument,
    SlicesDocument,
    Verdict,
)
from ctr_retrain.models.documents.weights_documents import (
    HeadWeights,
    TrainingWarning,
    WeightsDocument,
    WeightsPart,
)
from ctr_retrain.models.features.number_drift import number_warnings
from ctr_retrain.models.judging.learning_curve import cut_short
from ctr_retrain.models.leaks.leak_signs import name_warning
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.deploy.choose_served import describe_served
from ctr_retrain.tasks.ingest.ingest_day import IngestedDay
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import (
    CHALLENGER,
    COLD_TWIN,
    DRIFT_FILE,
    EVALUATION_FILE,
    FEATURE_WORTH_FILE,
    FEATURES_FILE,
    FRESH_FILE,
    GUARDRAILS_FILE,
    JUDGED_SLICES_FILE,
    LOG_REACH_FILE,
    MATURITY_FILE,
    MONEY_FILE,
    NUMBERS_FILE,
    RECALIBRATION_FILE,
    RUN_FILE,
    SEED_TWINS_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
    YARDSTICK_FILE,
)
from ctr_retrain.tasks.validate.check_outcomes import OutcomeCheck
from ctr_retrain.tasks.validate.detect_drift import DriftReport
from ctr_retrain.tasks.validate.validate_day import ValidatedDay

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctr_retrain.models.documents.document import Stored

YARDSTICK_FAILED = "The network could not be measured against simple models"
FEATURES_FAILED = "What each feature brings could not be measured"
TWIN_FAILED = "The network could not be trained with another seed"
# Their versions are kept with each run: figures may change with any of them.
PACKAGES = (
    "ctr-retrain",
    "tensorflow",
    "keras",
    "duckdb",
    "prefect",
    "great-expectations",
    "pyarrow",
    "numpy",
    "scikit-learn",
)


def day_document(
    ingested: IngestedDay, validated: ValidatedDay, drift: DriftReport, outcomes: OutcomeCheck
) -> DayDocument:
    """Describe the day before anything is trained: all that a rejected day has."""
    return DayDocument(
        date=ingested.day,
        ingest=ingested.landed,
        validation=validated.validation,
        alerts=drift.alerts,
        incomplete_outcomes=outcomes.incomplete,
    )


def write_document(
    run: Run, day: DayDocument, drift: DriftReport, factors: Factors | None, verdict: Verdict
) -> RunDocument:
    """Complete the day's document with what the run made, write run.json and drift.json into the run's folder."""
    evaluation = read_if_made(run.folder / EVALUATION_FILE, EvaluationDocument)
    trained = read_if_made(run.folder / TRAINING_FILE, TrainingDocument)
    weights = read_if_made(run.folder / WEIGHTS_FILE, WeightsDocument)
    maturity = read_if_made(run.folder / MATURITY_FILE, MaturityDocument)
    fresh = read_if_made(run.folder / FRESH_FILE, FreshPassDocument)
    recalibrated = read_if_made(run.folder / RECALIBRATION_FILE, RecalibrationDocument)
    by_themselves = read_if_made(run.folder / FEATURES_FILE, FeaturesDocument)
    features = by_themselves.features if by_themselves else ()
    yardstick = read_if_made(run.folder / YARDSTICK_FILE, YardstickDocument)
    twins = read_if_made(run.folder / SEED_TWINS_FILE, SeedTwinsDocument)
    moved = read_if_made(run.folder / NUMBERS_FILE, NumbersDocument)
    numbers = moved.numbers if moved else ()
    slices = read_if_made(run.folder / JUDGED_SLICES_FILE, SlicesDocument)
    money = read_if_made(run.folder / MONEY_FILE, MoneyDocument)
    reach = read_if_made(run.folder / LOG_REACH_FILE, LogReachDocument)
    guarded = read_if_made(run.folder / GUARDRAILS_FILE, GuardrailsDocument)
    measured = read_if_made(run.folder / FEATURE_WORTH_FILE, FeatureWorthDocument)
    document = RunDocument(
        **dict(run.plan.inputs),
        date=run.plan.day,
        ingest=day.ingest,
        validation=day.validation,
        alerts=day.alerts,
        incomplete_outcomes=day.incomplete_outcomes,
        maturity=_describe_maturity(maturity) if maturity else None,
        weights=_describe_weights(factors) if factors else None,
        warnings=(
            *(weights.warnings if weights else ()),
            *_warn_of_names(features),
            *_warn_of_failure("yardstick", YARDSTICK_FAILED, yardstick.failure if yardstick else ""),
            *_warn_of_failure("feature_worth", FEATURES_FAILED, measured.failure if measured else ""),
            *_warn_of_failure("seed_twin", TWIN_FAILED, twins.failure if twins else ""),
            *_warn_of_level(recalibrated),
            *(TrainingWarning(name="prices", message=text) for text in (money.money.warnings if money else ())),
            *number_warnings(numbers),
        ),
        features=features,
        numbers=numbers,
        feature_worth=measured.feature_worth if measured else None,
        training=_describe_training(run.folder, trained, evaluation) if trained else None,
        metrics=_describe_models(evaluation) if evaluation else RunMetrics(),
        slices=slices.slices if slices else None,
        money=money.money if money else None,
        guardrails=guarded.guardrails if guarded else None,
        log_reach=reach.log_reach if reach else None,
        yardstick=yardstick.yardstick if yardstick else None,
        seed_noise=twins.noise if twins else None,
        heads=_describe_heads(evaluation, weights, trained) if evaluation and weights and trained else {},
        verdict=verdict,
        evidence=verdict.evidence,
        not_known=tuple(check.name for check in verdict.checks if not check.settled),
        tested={check.name: check.tested for check in verdict.checks if check.tested is not None},
        serves=describe_served(run.store, run.plan, verdict, run.folder),
        fresh=FreshPass.of(fresh) if fresh else None,
        recalibration=Recalibration.of(recalibrated) if recalibrated else None,
        versions={name: version(name) for name in PACKAGES},
    )
    document.write(run.folder / RUN_FILE)
    # The history that drift was detected in only fills charts: it has a file of its own beside the run's document.
    _describe_drift(drift).write(run.folder / DRIFT_FILE)
    return document


def _warn_of_names(features: Iterable[FeatureByItself]) -> tuple[TrainingWarning, ...]:
    """Warn of features whose names alone sound as if they were known only afterwards; figures hold a run."""
    named = [feature for feature in features if feature.signs == ("name",) and not feature.confirmed]
    return tuple(TrainingWarning(name="known_before", message=name_warning(one.name, one.message)) for one in named)


def _warn_of_failure(name: str, what: str, why: str) -> tuple[TrainingWarning, ...]:
    """Warn that something could not be measured, and why; of nothing where there is no reason."""
    return (TrainingWarning(name=name, message=f"{what}, which the next run tries again. {why}"),) if why else ()


def _warn_of_level(recalibrated: RecalibrationDocument | None) -> tuple[TrainingWarning, ...]:
    """Warn that the level of what serves does not follow the newest labels, and why."""
    failed = [check.message for check in recalibrated.checks if not check.passed] if recalibrated else []
    if not failed:
        return ()
    message = f"The level of the promoted model stays as it was judged. {' '.join(failed)}"
    return (TrainingWarning(name="recalibration", message=message),)


def _describe_maturity(maturity: MaturityDocument) -> MaturityPart:
    """Leave out the curves by hour, which fill a page and which only the fresh pass reads."""
    curves = tuple(MaturityCurve.of(curve) for curve in maturity.curves)
    return MaturityPart(curves=curves, immature=maturity.immature, outcomes=maturity.outcomes)


def _describe_weights(factors: Factors) -> WeightsPart:
    """Sum up the weights: rows, effective sample sizes, and shares of classes and days."""
    return WeightsPart(
        rows=factors.rows,
        rows_before_sampling=factors.rows_before_sampling,
        mean_weight=factors.mean_weight,
        negative_share=min(factors.negative_share),
        positive_copies=factors.positive_copies,
        effective_sample_size=factors.effective_sample_size,
        effective_positives=factors.effective_positives,
        class_weight=factors.class_weight,
        class_shares=factors.class_shares,
        days=dict(zip(factors.days, factors.day_shares, strict=True)),
    )


def _describe_training(folder: Path, trained: TrainingDocument, evaluation: EvaluationDocument | None) -> TrainingPart:
    """Sum up training: its rows, time and device, where it started, and how it compares with a cold twin."""
    result, served = trained.training, evaluation.unseen if evaluation else {}
    twin = _compare_with_twin(folder, evaluation)
    return TrainingPart(
        rows=result.rows,
        seconds=result.seconds,
        rows_per_second=result.rows_per_second,
        device=result.device,
        steps=result.steps,
        solution=result.solution,
        companion=result.companion,
        intercepts=result.intercepts,
        cut_short=cut_short(result),
        calibration=trained.calibration,
        start=RunStart(message=trained.start.message, transferred=trained.start.transferred, cold_twin=twin),
        values=trained.values,
        unseen=tuple(
            UnseenShare(name=name, calibration=share, validation=served[name])
            for name, share in trained.calibration_unseen.items()
            if name in served
        ),
    )


def _compare_with_twin(folder: Path, evaluation: EvaluationDocument | None) -> TwinComparison | None:
    """Return the comparison with the run's cold twin, or a message of its failure; None where the run has no twin."""
    twin = folder / COLD_TWIN
    if not twin.is_dir():
        return None
    if (twin / CHALLENGER).is_dir():
        return evaluation.cold_twin if evaluation else None
    failure = FailedTrainingDocument.read(twin / TRAINING_FILE).failure
    return TwinComparison(behind=None, message=f"The cold twin came to nothing: {failure}")


def _describe_models(evaluation: EvaluationDocument) -> RunMetrics:
    """Return the figures of the models that were scored."""
    scored = evaluation.metrics
    return RunMetrics(
        challenger=scored.get("challenger"), champion=scored.get("champion"), constant=scored.get("constant")
    )


def _describe_heads(
    evaluation: EvaluationDocument, weights: WeightsDocument, trained: TrainingDocument
) -> dict[str, HeadPart]:
    """Put each head's figures beside the weights of its rows and its calibration."""
    return {
        kind: HeadPart(
            **dict(head),
            weights=HeadWeights.of(weights.heads[kind]),
            calibration=CalibrationRows.of(trained.head_calibrations[kind]),
        )
        for kind, head in evaluation.heads.items()
    }


def _describe_drift(drift: DriftReport) -> DriftDocument:
    """Return the results of drift detection, with the history that the day was compared with."""
    return DriftDocument(results=drift.results, history=drift.history)


def read_if_made(path: Path, kind: type[Stored]) -> Stored | None:
    """Read a document that an earlier stage wrote; None where that stage had nothing to write."""
    return kind.read(path) if path.exists() else None
