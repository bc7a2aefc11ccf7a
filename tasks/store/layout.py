"""Every path under the root, and nothing else. DESIGN's storage table in code."""

from __future__ import annotations

from datetime import date
from pathlib import Path

CHAMPION_REF = "champion"
RUNS = "runs"
MODELS = "models"
COMPARISONS = "comparisons"
SHARDS = "pieces"
ENCODED = "encoded"
RUN_LIST_PAGE = "index.html"

# Below what landed on a day.
IMPRESSIONS = "impressions"
OUTCOMES = "outcomes"
QUARANTINE = "quarantine"
PROFILE_FILE = "profile.parquet"
VALUES_FILE = "values.parquet"

# Below labels.
ARRIVALS_FILE = "arrivals.parquet"

# Below what landed and below labels.
SUMMARY_FILE = "summary.json"

# Below encoded days.
IDS_FILE = "ids.npy"
NUMERIC_FILE = "numeric.npy"

# Below a run.
RUN_FILE = "run.json"
WEIGHTS_FILE = "weights.json"
TRAINING_FILE = "training.json"
SCORES_FILE = "scores.parquet"
MATURITY_FILE = "maturity.json"
EVALUATION_FILE = "evaluation.json"
VERDICT_FILE = "verdict.json"
DRIFT_FILE = "drift.json"
REPORT_FILE = "report.html"
FRESH_FILE = "fresh.json"
FRESH_SCORES_FILE = "fresh_scores.parquet"
CHALLENGER = "challenger"  # the bundle
COLD_TWIN = "cold_twin"  # the same run started from nothing: a bundle, weights and training of its own
FRESH = "fresh"  # another one, until it has taken the challenger's place or was given up

# Below a comparison, beside its report.
COMPARISON_FILE = "comparison.json"

# Below a bundle.
SERVING = "serving"  # the SavedModel that serves
EVALUATED = "evaluated/serving"  # the one that was judged, where another serves that has seen more days
EVALUATED_THROUGH = "evaluated_data_through"  # in bundle.json and the manifest of such a bundle
BUNDLE_FILE = "bundle.json"
TRAINABLE = "trainable"  # variables of network and optimizer, from which training can go on; stays with the run
TRAINABLE_LIST = "variables.json"  # of it


def day_object(landing_day: date, identity: str) -> str:
    """What landed on a day: impressions, outcomes, quarantine, profile."""
    return f"days/{landing_day}/{identity}"


def day_ref(landing_day: date) -> str:
    """Names the current object of a landing day."""
    return f"days/{landing_day}"


def part_file(event_day: date, number: int) -> str:
    """One part of the rows of an event day, by its number."""
    return f"{event_day}-{number:04d}.parquet"


def part_pattern(event_day: date) -> str:
    """All parts of an event day."""
    return f"{event_day}-*.parquet"


def event_day_of(part: Path) -> date:
    """The event day of a part, by its name."""
    return date.fromisoformat(part.name[:10])


def label_object(event_day: date, key: str) -> str:
    """Impressions of an event day with their labels."""
    return f"labels/{event_day}/{key}"


def encoded_object(event_day: date, key: str) -> str:
    """Impressions of an event day as ids and numbers, without labels."""
    return f"{ENCODED}/{event_day}/{key}"


def shard_object(path: str, number: int, of: int) -> str:
    """One of the pieces in which the rows of a landed or labelled day lie."""
    return f"{SHARDS}/{path}/{number:04d}-of-{of:04d}"


def validation_object(day: date, key: str) -> str:
    """The expectations that were evaluated over a day, with data docs."""
    return f"validations/{day}/{key}"


def accepted_ref(day: date) -> str:
    """Whether a day may enter training, and why."""
    return f"accepted/{day}"


def alerted_ref(day: date) -> str:
    """The alerts of a day that people were told of."""
    return f"alerted/{day}"


def name_ref() -> str:
    """The recipe name that this root serves."""
    return "recipe-name"


def probe_object(name: str) -> str:
    """What `doctor` writes and removes again."""
    return f"probe/{name}"


def run_object(run_id: str) -> str:
    """All that a run made."""
    return f"{RUNS}/{run_id}"


def run_ref(day: date) -> str:
    """The runs that were made for a day, newest last."""
    return f"runs/{day}"


def comparison_object(comparison_id: str) -> str:
    """Strategies that were judged side by side."""
    return f"{COMPARISONS}/{comparison_id}"


def scores_file(name: str, seed: int, run: int) -> str:
    """Probabilities of one fit of a comparison while it is made, by its seed and the place of its run day."""
    return f"{name}-{seed}-{run}.npy"


def model_object(version: str) -> str:
    """A bundle in service, or once in service."""
    return f"{MODELS}/{version}"
