"""Every path under the root, and nothing else: the table of stored things, in code."""

from __future__ import annotations

from datetime import date
from pathlib import Path

CHAMPION_REF = "champion"
DAY_REFS = "days"
ACCEPTED_REFS = "accepted"
ALERTED_REFS = "alerted"
INCIDENTS_REF = "incidents/all"
OUTBOX_REF = "outbox/messages"
LEASE_REF = "lease"
LEDGER_REF = "ledger/nights"
NIGHT_REFS = "nights"
RUNS = "runs"
MODELS = "models"
COMPARISONS = "comparisons"
LEDGER = "ledger"
SHARDS = "pieces"  # the folder's name in every root: shards were called pieces when the first were written
ENCODED = "encoded"
RUN_LIST_PAGE = "index.html"
HISTORY_FILE = "history.json"  # the index of runs, nights and decisions, beside the page that is made of it

# Below what landed on a day.
IMPRESSIONS = "impressions"
OUTCOMES = "outcomes"
QUARANTINE = "quarantine"
PROFILE_FILE = "profile.parquet"
VALUES_FILE = "values.parquet"
SLICES_FILE = "slices.parquet"

# Below labels.
ARRIVALS_FILE = "arrivals.parquet"

# Below a validation.
FINDINGS_FILE = "findings.json"
DATA_DOCS = "data_docs/index.html"  # Great Expectations' own in older roots: links hold for both

# Below what landed and below labels.
SUMMARY_FILE = "summary.json"

# Below encoded days.
CODES_FILE = "codes.npy"
DICTIONARY_FILE = "values.npy"
NUMERIC_FILE = "numeric.npy"

# Below a run.
RUN_FILE = "run.json"
WEIGHTS_FILE = "weights.json"
TRAINING_FILE = "training.json"
SCORES_FILE = "scores.parquet"
MATURITY_FILE = "maturity.json"
EVALUATION_FILE = "evaluation.json"
FEATURES_FILE = "features.json"
YARDSTICK_FILE = "yardstick.json"
SEED_TWINS_FILE = "seed_twins.json"
JUDGED_SLICES_FILE = "slices.json"
MONEY_FILE = "money.json"
GUARDRAILS_FILE = "guardrails.json"
LOG_REACH_FILE = "log_reach.json"
NUMBERS_FILE = "numbers.json"
FEATURE_WORTH_FILE = "feature_worth.json"
LEDGER_NIGHT_FILE = "ledger_night.json"  # what the run adds to the ledger, and beside it the cells
CELLS_FILE = "cells.parquet"
VERDICT_FILE = "verdict.json"
DRIFT_FILE = "drift.json"
REPORT_FILE = "report.html"
FRESH_FILE = "fresh.json"
FRESH_SCORES_FILE = "fresh_scores.parquet"
RECALIBRATION_FILE = "recalibration.json"
RECALIBRATED_SCORES_FILE = "recalibrated_scores.parquet"
CHALLENGER = "challenger"  # the bundle
COLD_TWIN = "cold_twin"  # the same run started from nothing: a bundle, weights and training of its own
FRESH = "fresh"  # another one, until it has taken the challenger's place or was given up
RECALIBRATED = "recalibrated"  # likewise

# Below a comparison, beside its report.
COMPARISON_FILE = "comparison.json"

# Below a bundle.
SERVING = "serving"  # the SavedModel that serves
EVALUATED = "evaluated/serving"  # the one that was judged, where another serves that has seen more days
EVALUATED_THROUGH = "evaluated_data_through"  # in bundle.json and the manifest of such a bundle
RECALIBRATION = "recalibration"  # there too, where the level of what serves has moved
BUNDLE_FILE = "bundle.json"
TRAINABLE = "trainable"  # variables of network and optimizer, from which training can go on; stays with the run
TRAINABLE_LIST = "variables.json"  # in that folder


def day_object(landing_day: date, identity: str) -> str:
    """Path of a landed day: impressions, outcomes, quarantine, profile."""
    return f"days/{landing_day}/{identity}"


def day_ref(landing_day: date) -> str:
    """Ref that names the current object of a landing day."""
    return f"{DAY_REFS}/{landing_day}"


def part_file(event_day: date, number: int) -> str:
    """Name of the file with one part of an event day's rows, by the part's number."""
    return f"{event_day}-{number:04d}.parquet"


def part_pattern(event_day: date) -> str:
    """Pattern of the names of an event day's parts."""
    return f"{event_day}-*.parquet"


def event_day_of(part: Path) -> date:
    """Event day of a part, by its name."""
    return date.fromisoformat(part.name[:10])


def label_object(event_day: date, key: str) -> str:
    """Path of an event day's labels."""
    return f"labels/{event_day}/{key}"


def encoded_object(event_day: date, key: str) -> str:
    """Path of an event day's impressions as ids and numbers, without labels."""
    return f"{ENCODED}/{event_day}/{key}"


def shard_object(path: str, number: int, of: int) -> str:
    """Path of one of the shards in which the rows of a landed or labelled day lie."""
    return f"{SHARDS}/{path}/{number:04d}-of-{of:04d}"


def validation_object(day: date, key: str) -> str:
    """Path of the expectations that were evaluated over a day, with the page about them."""
    return f"validations/{day}/{key}"


def accepted_ref(day: date) -> str:
    """Ref that says if a day may enter training, and why."""
    return f"{ACCEPTED_REFS}/{day}"


def alerted_ref(day: date) -> str:
    """Ref that lists the alerts of a day that people were told of."""
    return f"{ALERTED_REFS}/{day}"


def night_ref(day: date) -> str:
    """Ref that lists the attempts to make a day's run."""
    return f"{NIGHT_REFS}/{day}"


def name_ref() -> str:
    """Ref that holds the recipe name that this root serves."""
    return "recipe-name"


def probe_object(name: str) -> str:
    """Path of an object that `doctor` writes and removes again."""
    return f"probe/{name}"


def run_object(run_id: str) -> str:
    """Path of all that a run made."""
    return f"{RUNS}/{run_id}"


def run_ref(day: date) -> str:
    """Ref that lists the runs that were made for a day, newest last."""
    return f"runs/{day}"


def ledger_object(run_id: str) -> str:
    """Path of the cells that a run added to the ledger, which outlive the run."""
    return f"{LEDGER}/{run_id}"


def comparison_object(comparison_id: str) -> str:
    """Path of strategies that were judged side by side."""
    return f"{COMPARISONS}/{comparison_id}"


def scores_file(name: str, seed: int, run: int) -> str:
    """Name of the file with one fit's probabilities while a comparison is made; run: the number of its run day."""
    return f"{name}-{seed}-{run}.npy"


def model_object(version: str) -> str:
    """Path of a bundle in service, or once in service."""
    return f"{MODELS}/{version}"
