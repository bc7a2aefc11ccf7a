"""The run's document, run.json: what `daily --json` answers and what report, `explain` and `status` read."""

from __future__ import annotations

import json
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ctr_retrain.models.documents.verdict_documents import Verdict
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.deploy.choose_served import describe_served
from ctr_retrain.tasks.ingest.ingest_day import IngestedDay
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.store.layout import (
    COLD_TWIN,
    DRIFT_FILE,
    EVALUATION_FILE,
    FRESH_FILE,
    MATURITY_FILE,
    REPORT_FILE,
    RUN_FILE,
    TRAINING_FILE,
    WEIGHTS_FILE,
)
from ctr_retrain.tasks.store.protocol import Store
from ctr_retrain.tasks.validate.detect_drift import DriftReport
from ctr_retrain.tasks.validate.validate_day import ValidatedDay

PACKAGES = ("ctr-retrain", "tensorflow", "keras", "duckdb", "prefect", "great-expectations", "pyarrow", "numpy")


def day_document(ingested: IngestedDay, validated: ValidatedDay, drift: DriftReport) -> dict[str, Any]:
    """The part that is known before anything is trained; all that a rejected day has."""
    return {
        "date": str(ingested.day),
        "run_id": None,
        "days": {"train": [], "calibrate": [], "validate": []},
        "ingest": {
            "impressions": ingested.impressions.to_json(),
            "outcomes": ingested.outcomes.to_json(),
            "unreadable": ingested.unreadable,
            "unknown_columns": list(ingested.unknown_columns),
        },
        "validation": validated.to_json(),
        "alerts": [alert.to_json() for alert in drift.alerts],
        "maturity": None,
        "weights": None,
        "warnings": [],
        "training": None,
        "metrics": {"challenger": None, "champion": None},
        "heads": {},
        "verdict": None,
        "serves": None,
        "fresh": None,
        "champion": None,
        "report": None,
    }


def write_document(
    store: Store,
    folder: Path,
    document: dict[str, Any],
    plan: RunPlan,
    drift: DriftReport,
    factors: Factors | None,
    verdict: Verdict,
) -> dict[str, Any]:
    """Complete the day's document with what the run made, write run.json and drift.json into the run's folder."""
    document = {
        **document,
        **plan.inputs.to_json(),
        "date": str(plan.day),
        "verdict": verdict.to_json(),
        "versions": {name: version(name) for name in PACKAGES},
    }
    if factors is not None:
        document["weights"] = {
            "rows": factors.rows,
            "rows_before_sampling": factors.rows_before_sampling,
            "mean_weight": factors.mean_weight,
            "negative_share": min(factors.negative_share),
            "positive_copies": factors.positive_copies,
            "effective_sample_size": factors.effective_sample_size,
            "effective_positives": factors.effective_positives,
            "class_weight": list(factors.class_weight),
            "class_shares": list(factors.class_shares),
            "days": {str(day): share for day, share in zip(factors.days, factors.day_shares, strict=True)},
        }
    if (folder / WEIGHTS_FILE).exists():
        document["warnings"] = _read(folder / WEIGHTS_FILE)["warnings"]
    document["serves"] = describe_served(store, plan, verdict, folder).to_json()
    if (folder / FRESH_FILE).exists():
        document["fresh"] = _read(folder / FRESH_FILE)
    if (folder / MATURITY_FILE).exists():
        found = _read(folder / MATURITY_FILE)
        curves = [{key: curve[key] for key in ("channel", "kind", "days", "overall")} for curve in found["curves"]]
        document["maturity"] = {**found, "curves": curves}
    if (folder / TRAINING_FILE).exists():
        trained = _read(folder / TRAINING_FILE)
        document["training"] = {
            **{key: trained["training"][key] for key in ("rows", "seconds", "rows_per_second", "device")},
            "calibration": trained["calibration"],
            "start": {**trained["start"], "cold_twin": _cold_twin(folder)},
        }
        figures = _read(folder / EVALUATION_FILE)
        document["metrics"] = {
            "challenger": figures["metrics"]["challenger"],
            "champion": figures["metrics"].get("champion"),
            "constant": figures["metrics"].get("constant"),
        }
        if figures.get("heads"):
            document["heads"] = _heads(figures["heads"], _read(folder / WEIGHTS_FILE)["heads"], trained)
    _write(folder / RUN_FILE, document)
    _write(folder / DRIFT_FILE, _drift_json(drift))
    return document


def load_document(store: Store, path: str) -> dict[str, Any]:
    """The document of a recorded run, with the paths where it lies."""
    file = store.file(path, RUN_FILE)
    assert file is not None
    return {**_read(file), "report": store.address(path, REPORT_FILE)}


def _cold_twin(folder: Path) -> dict[str, Any] | None:
    """How the run stands against its cold twin, or why that can't be said; None where it has none."""
    if not (folder / COLD_TWIN).is_dir():
        return None
    failure = _read(folder / COLD_TWIN / TRAINING_FILE).get("failure")
    if failure:
        return {"behind": None, "words": f"The cold twin came to nothing: {failure}"}
    found: dict[str, Any] = _read(folder / EVALUATION_FILE)["cold_twin"]
    return found


def _heads(figures: dict[str, Any], weights: dict[str, Any], trained: dict[str, Any]) -> dict[str, Any]:
    """Of each head its figures on V, on how many rows it was trained by which weights, and its calibration."""
    found = {}
    for kind, of_kind in figures.items():
        keys = ("rows", "effective_sample_size", "effective_positives", "class_weight")
        calibration = {key: trained["head_calibrations"][kind][key] for key in ("method", "rows", "positives")}
        found[kind] = {**of_kind, "weights": {k: weights[kind][k] for k in keys}, "calibration": calibration}
    return found


def _drift_json(drift: DriftReport) -> dict[str, Any]:
    history = {
        name: [{"day": str(r.day), "positives": r.positives, "rows": r.rows} for r in ratios]
        for name, ratios in drift.history.items()
    }
    return {"results": [result.to_json() for result in drift.results], "history": history}


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, default=_as_text), encoding="utf-8")


def _as_text(value: object) -> str:
    if isinstance(value, date):
        return str(value)
    msg = f"run document: expected JSON values, received {type(value).__name__}"
    raise TypeError(msg)
