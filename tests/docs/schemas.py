"""The JSON schemas of all documents, made from the types that the code writes and reads."""

import json
from functools import cache
from typing import Any

from ctr_retrain.models.documents.bundle_documents import BundleDocument, ModelsAnswer, ScoreAnswer
from ctr_retrain.models.documents.command_documents import (
    BackfillAnswer,
    BackfillPlan,
    DemoAnswer,
    DoctorAnswer,
    FailedAnswer,
    GarbageAnswer,
    InitAnswer,
    LandAnswer,
    PromoteAnswer,
    RollbackAnswer,
    SimulateAnswer,
    VerifyAnswer,
    VersionAnswer,
)
from ctr_retrain.models.documents.comparison_documents import (
    ComparisonAnswer,
    ComparisonDocument,
    YardstickDocument,
)
from ctr_retrain.models.documents.day_documents import DaySummary, FindingsDocument, IngestAnswer, ValidationAnswer
from ctr_retrain.models.documents.drift_documents import DriftDocument, FeatureWorthDocument
from ctr_retrain.models.documents.evaluation_documents import EvaluationDocument
from ctr_retrain.models.documents.maturity_documents import MaturityDocument
from ctr_retrain.models.documents.ref_documents import (
    AcceptedRef,
    AlertedRef,
    ChampionRef,
    DayRef,
    LeaseRef,
    RecipeNameRef,
    RunsRef,
)
from ctr_retrain.models.documents.run_documents import DailyAnswer, RunDocument
from ctr_retrain.models.documents.training_documents import SeedTwinsDocument, TrainingDocument
from ctr_retrain.models.documents.verdict_documents import (
    FreshPassDocument,
    GuardrailsDocument,
    LogReachDocument,
    MoneyDocument,
    RecalibrationDocument,
    SlicesDocument,
    VerdictDocument,
)
from ctr_retrain.models.documents.weights_documents import WeightsDocument
from ctr_retrain.models.feature_kinds.kinds import KINDS
from ctr_retrain.models.incidents.alert_answers import AlertsAnswer, AlertsTestAnswer, HandledAnswer, WatchAnswer
from ctr_retrain.models.incidents.history_index import HistoryIndex
from ctr_retrain.models.incidents.incident import IncidentsRef
from ctr_retrain.models.incidents.message import OutboxRef
from ctr_retrain.models.incidents.night_ref import NightRef
from ctr_retrain.models.incidents.status_answer import StatusAnswer
from ctr_retrain.models.ledger.ledger_documents import LedgerNightDocument, LedgerRef
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.label.label_summary import LabelSummary

# By the command that prints a document with --json. Another one may print the same.
ANSWERS = {
    "alerts-list": AlertsAnswer,
    "alerts-watch": WatchAnswer,
    "alerts-ack": HandledAnswer,
    "alerts-test": AlertsTestAnswer,
    "backfill": BackfillAnswer,
    "backfill-plan": BackfillPlan,
    "compare": ComparisonAnswer,
    "daily": DailyAnswer,
    "demo": DemoAnswer,
    "doctor": DoctorAnswer,
    "error": FailedAnswer,
    "explain": RunDocument,
    "gc": GarbageAnswer,
    "ingest": IngestAnswer,
    "init": InitAnswer,
    "land": LandAnswer,
    "models": ModelsAnswer,
    "promote": PromoteAnswer,
    "rollback": RollbackAnswer,
    "score": ScoreAnswer,
    "simulate": SimulateAnswer,
    "status": StatusAnswer,
    "validate": ValidationAnswer,
    "verify": VerifyAnswer,
    "version": VersionAnswer,
}
# By the file in which a document lies.
FILES = {
    "bundle.json": BundleDocument,
    "comparison.json": ComparisonDocument,
    "drift.json": DriftDocument,
    "evaluation.json": EvaluationDocument,
    "feature_worth.json": FeatureWorthDocument,
    "findings.json": FindingsDocument,
    "fresh.json": FreshPassDocument,
    "guardrails.json": GuardrailsDocument,
    "history.json": HistoryIndex,
    "label_summary.json": LabelSummary,  # summary.json too, beside labels
    "log_reach.json": LogReachDocument,
    "maturity.json": MaturityDocument,
    "money.json": MoneyDocument,
    "recalibration.json": RecalibrationDocument,
    "ledger_night.json": LedgerNightDocument,
    "run.json": RunDocument,
    "seed_twins.json": SeedTwinsDocument,
    "slices.json": SlicesDocument,
    "summary.json": DaySummary,
    "training.json": TrainingDocument,
    "verdict.json": VerdictDocument,
    "weights.json": WeightsDocument,
    "yardstick.json": YardstickDocument,
}
# By the folder or the name of the refs that hold it.
REFS = {
    "refs-accepted": AcceptedRef,
    "refs-alerted": AlertedRef,
    "refs-champion": ChampionRef,
    "refs-days": DayRef,
    "refs-incidents": IncidentsRef,
    "refs-lease": LeaseRef,
    "refs-ledger": LedgerRef,
    "refs-nights": NightRef,
    "refs-outbox": OutboxRef,
    "refs-recipe-name": RecipeNameRef,
    "refs-runs": RunsRef,
}
DRAFT = "https://json-schema.org/draft/2020-12/schema"


@cache
def schema_of(kind):
    """The schema of a document as it is written."""
    return {"$schema": DRAFT, **kind.model_json_schema(mode="serialization")}


def recipe_schema() -> dict[str, Any]:
    """The schema of a recipe as it is read: of a feature, each kind has its own keys."""
    schema = {"$schema": DRAFT, **Recipe.model_json_schema()}
    schema["properties"]["features"]["items"] = {"anyOf": [_kind_schema(name) for name in KINDS]}
    del schema["$defs"]["Feature"]
    return schema


def _kind_schema(name: str) -> dict[str, Any]:
    schema = KINDS[name].model_json_schema()
    return {**schema, "required": ["kind", *schema["required"]]}


def schemas() -> dict[str, str]:
    """Each schema's file under docs/, and its text."""
    made = {name: schema_of(kind) for name, kind in {**ANSWERS, **FILES, **REFS}.items()} | {"recipe": recipe_schema()}
    return {
        f"schemas/{name}.schema.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        for name, schema in made.items()
    }
