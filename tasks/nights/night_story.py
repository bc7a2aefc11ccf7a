"""The story of a night: a sentence for each stage that has something to tell, in the order in which it happens."""

from __future__ import annotations

from ctr_retrain.models.documents.drift_documents import Alert
from ctr_retrain.models.documents.verdict_documents import Check, Verdict
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.ingest.ingest_day import IngestedDay
from ctr_retrain.tasks.validate.check_outcomes import OutcomeCheck
from ctr_retrain.tasks.validate.detect_drift import DriftReport
from ctr_retrain.tasks.validate.validate_day import ValidatedDay


def sentence_of(stage: str, result: object) -> str:  # noqa: PLR0911 - a kind of result each
    """Return what a stage found, in a sentence; where its result tells nothing, only that it is done."""
    match result:
        case IngestedDay():
            return _of_rows(result)
        case ValidatedDay():
            return _of_validation(result)
        case OutcomeCheck():
            return _of_outcomes(result)
        case DriftReport():
            return _of_alerts(result.alerts)
        case Factors():
            return f"{result.rows_before_sampling:,} training rows were weighed."
        case Verdict():
            return f"Verdict: {result.decision}. {result.reason}"
        case Check(passed=False) | Check(name="serving"):
            return f"{result.name}: {result.message}"
    return f"{stage.replace('_', ' ').capitalize()}: done."


def _of_rows(day: IngestedDay) -> str:
    bad = f" {len(day.unreadable)} files can't be read." if day.unreadable else ""
    return (
        f"{day.impressions.received:,} impressions and {day.outcomes.received:,} outcomes landed on {day.day}; "
        f"{day.impressions.kept:,} and {day.outcomes.kept:,} are kept.{bad}"
    )


def _of_validation(day: ValidatedDay) -> str:
    if day.passed:
        return f"The day passed all {len(day.findings)} expectations."
    fate = f"accepted by {day.by}" if day.accepted else "rejected"
    failed = ", ".join(finding.name for finding in day.findings if not finding.passed)
    return f"The day is {fate}: it failed {failed}." if failed else f"The day is {fate}."


def _of_outcomes(check: OutcomeCheck) -> str:
    if not check.incomplete:
        return "No outcomes are missing."
    return " ".join(day.message for day in check.incomplete)


def _of_alerts(alerts: tuple[Alert, ...]) -> str:
    return " ".join(alert.cause for alert in alerts) or "Drift: no alerts."
