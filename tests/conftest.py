"""Fixtures that several test files share. What phones home is turned off before anything is imported."""

import csv
import gc
import gzip
import io
import json
import os
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - before Prefect and its like, which read the environment when imported
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.store.local_store import LocalStore

pytest.register_assert_rewrite("tests.support")  # before the first import from there

from tests.support.counts import SOAK, draws  # noqa: E402
from tests.support.few_services import FEW_SERVICES  # noqa: E402
from tests.support.log_folder import LOG_FOLDER  # noqa: E402
from tests.support.patience import PATIENT  # noqa: E402

os.environ |= PATIENT | FEW_SERVICES
os.environ["CTR_RETRAIN_LOG_FOLDER"] = LOG_FOLDER
os.environ["CTR_RETRAIN_TRAINING_PROCESS"] = "flow"  # importing TensorFlow once a run would take minutes

# The same examples each time in `make test`, others in `make soak`; however slow the machine is.
settings.register_profile(
    "ours",
    deadline=None,
    derandomize=not SOAK,
    max_examples=draws(25, 500),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ours")

TINY = {
    "name": "tiny",
    "channels": {
        "ad": {
            "attribution_window_hours": 24,
            "positive_ratio": [0.0, 1.0],
            "cost": {"true_positive": -1, "false_positive": 0.02},
        },
        "push": {
            "attribution_window_hours": 72,
            "positive_ratio": [0.0, 1.0],
            "cost": {"true_positive": -1, "false_positive": 0.02},
        },
    },
    "features": [
        {"name": "user_id", "kind": "categorical", "buckets": 64},
        {"name": "device", "kind": "categorical", "buckets": 8},
        {"name": "bid", "kind": "numeric"},
        {"name": "hour", "kind": "hour"},
    ],
    "validation": {
        "min_rows": 1,
        "min_hours": 1,
        "max_hours_since_last_event": 24,
        "max_quarantined_share": 1,
        "max_duplicate_share": 1,
        "max_unreadable_files": 100,
        "max_mostly_quarantined_files": 100,
    },
    "gate": {"max_cost_delta_per_1000": 1, "max_channel_cost_delta_per_1000": 1},
}


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect without looking for garbage: there is hardly any, and to look took two thirds of each process's time.

    What is there by the end stays, so no later look goes through it.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure():
    gc.unfreeze()  # else DuckDB's binding tells at the end of what is never freed


def pytest_terminal_summary(terminalreporter):
    """Say how many inputs tests of generated ones have tried, also where they ran in processes of their own."""
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            if name == "tried":
                terminalreporter.write_line(f"{report.nodeid.split('::')[0]} tried {value}")


@pytest.fixture(scope="session")
def day():
    return date(2026, 3, 2)


@pytest.fixture(scope="session")
def now():
    return datetime(2026, 3, 3, 4, tzinfo=UTC)


@pytest.fixture(scope="session")
def tiny_recipe():
    """A recipe of ads and push with four features and hygiene that lets nearly everything pass.

    Changes come by section and are merged in; None takes a key away.
    """

    def make(**changes):
        return Recipe.model_validate(_merged(TINY, changes))

    return make


@pytest.fixture
def local_store(tmp_path):
    return LocalStore(tmp_path / "root")


@pytest.fixture
def store(local_store):
    return local_store


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


@pytest.fixture
def land_rows(landing):
    """Write rows, dicts of texts, below a landing day; the file's name says format and compression."""

    def write(stream, day, rows, name="part.jsonl"):
        path = landing / stream / f"dt={day}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_compressed(encoded(rows, name), name))
        return path

    return write


def _merged(base, changes):
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    merged = {key: _merged(base.get(key), changes[key]) if key in changes else base[key] for key in {**base, **changes}}
    return {key: value for key, value in merged.items() if value is not None}


def encoded(rows, name):
    names = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    if ".csv" in name:
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(rows)
    elif ".parquet" in name:
        data = io.BytesIO()
        pq.write_table(pa.table({key: pa.array([row.get(key) for row in rows], pa.string()) for key in names}), data)
        return data.getvalue()
    else:
        text.writelines(json.dumps(row) + "\n" for row in rows)
    return text.getvalue().encode()


def _compressed(content, name):
    if name.endswith(".gz"):
        return gzip.compress(content)
    if name.endswith(".zst"):
        return pa.compress(content, codec="zstd", asbytes=True)
    return content
