"""A world and a recipe small enough that a whole daily run takes seconds; for tests of flows and the command line."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from types import SimpleNamespace

import pytest

from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from tests.support.flow_answers import daily
from tests.support.log_folder import LOG_FOLDER
from tests.support.patience import PATIENT
from tests.support.repository import REPOSITORY

SMALL_WORLD = World(seed=3, rows_per_day=4000, ad_ctr=0.06, push_ctr=0.05)
FIRST_DAY, DAYS = date(2026, 3, 2), 8
RUN_DAY, NEXT_DAY, LAST_DAY = date(2026, 3, 7), date(2026, 3, 8), date(2026, 3, 9)

RECIPE = """
name = "small"
currency = "EUR"
[channels.ad]
attribution_window_hours = 24
positive_ratio = [0.005, 0.2]
cost = { true_positive = -0.95, false_positive = 0.05 }
[channels.push]
attribution_window_hours = 24
positive_ratio = [0.003, 0.2]
cost = { true_positive = -0.96, false_positive = 0.04 }
[[features]]
name = "segment"
kind = "categorical"
[[features]]
name = "category"
kind = "categorical"
[[features]]
name = "position"
kind = "categorical"
[[features]]
name = "hour"
kind = "hour"
[[features]]
name = "recent_sends"
kind = "numeric"
transform = "log"
[training]
window_days = 3
calibration_days = 2
network = "logistic_regression"
embedding_dim = 2
batch_rows = 128
learning_rate = 0.02
embedding_learning_rate = 0.2
seed_twin_every = 0
min_positives = 50
[weights]
half_life_days = 3
[validation]
min_rows = 1000
[drift]
min_history_days = 3
min_effect = 0.4
[gate]
max_cost_delta_per_1000 = 15
max_channel_cost_delta_per_1000 = 40
max_log_loss_delta = 0.02
calibration_ratio = [0.5, 2.0]
min_rows = 1000
min_positives = 50
bootstrap_draws = 400
"""

# Bounds by which models are told apart, of two days' training: for `write_recipe`.
STRICT = {
    "window_days": 2,
    "batch_rows": 512,
    "max_cost_delta_per_1000": 0.5,
    "max_channel_cost_delta_per_1000": 2,
    "max_log_loss_delta": 0.002,
    "calibration_ratio": [0.8, 1.25],
}

ALL_BUT_DAYS = ("runs", "models", "champion.*", "*.html")  # of a root: what runs made, and what shows it


def write_recipe(folder, **changes):
    """The small recipe as a file; each change names a line's key and its new value, or None to leave the line out."""
    lines = []
    for line in RECIPE.splitlines():
        key = line.split(" = ")[0]
        value = changes.get(key, ...)
        lines += [line] if value is ... else [] if value is None else [f"{key} = {json.dumps(value)}"]
    path = folder / "small.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def start_command(*arguments, own_group=False):
    """Start the command line in a process that nobody listens to, as the head of a group of its own where asked."""
    return subprocess.Popen(
        [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, arguments)],
        cwd=REPOSITORY,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=own_group,
    )


def command(*arguments, **environment):
    """Run the command line in a process of its own; answers its exit status, stdout, stderr and parsed JSON."""
    finished = subprocess.run(
        [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, arguments)],
        cwd=REPOSITORY,
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(finished.stdout) if "--json" in arguments else None
    return SimpleNamespace(
        status=finished.returncode, stdout=finished.stdout, stderr=finished.stderr, document=document
    )


def clean_environment():
    """This process's environment without what names a Prefect server or changes it, and without our own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "CTR_RETRAIN_"))}
    ours = {"CTR_RETRAIN_TRAINING_PROCESS": "flow", "CTR_RETRAIN_LOG_FOLDER": LOG_FOLDER}
    return {**kept, **PATIENT, **ours}  # TensorFlow is imported once a process


@pytest.fixture(scope="session")
def small_landing(tmp_path_factory):
    """Eight simulated days, about 4,000 impressions each; click ratios of 5 to 6 %, so that small days suffice."""
    folder = tmp_path_factory.mktemp("world")
    simulate(SMALL_WORLD, FIRST_DAY, DAYS, folder)
    return folder / "landing"


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory):
    return write_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="session")
def first_run(great_expectations, small_landing, recipe_file, tmp_path_factory):
    """The first daily run: its document, and the root that it left behind."""
    root = tmp_path_factory.mktemp("first") / "root"
    document = daily(RUN_DAY, recipe_file, str(root), str(small_landing))
    return SimpleNamespace(document=document, root=root)


def copy_days(first_run, root):
    """Copy the first run's root without the run and what it put into service: its days need not come in again."""
    return shutil.copytree(first_run.root, root, ignore=shutil.ignore_patterns(*ALL_BUT_DAYS))


@pytest.fixture
def root(first_run, tmp_path):
    """A copy of the root after the first run, to do with as one likes."""
    return shutil.copytree(first_run.root, tmp_path / "root")
