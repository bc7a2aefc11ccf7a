"""Rules of a daily run whose training has a process of its own, and of one that is killed while it trains."""

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.errors import ProcessDiedError
from ctr_retrain.tasks.deploy import publish_model
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support import fresh_work
from tests.support.counts import SOAK, draws
from tests.support.flow_answers import daily
from tests.support.repository import REPOSITORY
from tests.support.small_world import RUN_DAY, clean_environment, copy_days

KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from ctr_retrain.tasks.train.checkpoints import FolderCheckpoints
FolderCheckpoints.due = lambda self: True
save = FolderCheckpoints.save
def save_and_die(self, state):
    save(self, state)
    if state.batch > 40:
        os.kill(os.getpid(), signal.SIGKILL)
FolderCheckpoints.save = save_and_die
from ctr_retrain.flows.daily import daily
daily(date.fromisoformat(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
"""
# Seconds after which a run is stopped, from where it has begun its first process.
MOMENTS = np.random.default_rng(7).uniform(0, 6, draws(0, 100)).round(3)


def scores(root, document):
    return pq.read_table(root / "runs" / document["run_id"] / "scores.parquet")["challenger"].to_numpy()


def training(root, document):
    path = root / "runs" / document["run_id"] / "training.json"
    return json.loads(path.read_text(encoding="utf-8"))["training"]


def test_in_a_process_of_its_own_training_gives_the_very_same_model(first_run, small_landing, recipe_file, tmp_path):
    root = tmp_path / "root"  # whose days come in anew, and are the very same too
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CTR_RETRAIN_TRAINING_PROCESS", "own")
        environment.setenv("CTR_RETRAIN_DEVICE", "cpu")
        document = daily(RUN_DAY, recipe_file, str(root), str(small_landing))
    assert document["run_id"] == first_run.document["run_id"]
    assert np.array_equal(scores(root, document), scores(first_run.root, document))
    assert training(root, document)["device"] == "cpu"


def test_a_daily_run_killed_in_training_goes_on_at_its_checkpoint(
    great_expectations, first_run, small_landing, recipe_file, tmp_path
):
    root = copy_days(first_run, tmp_path / "root")
    arguments = [str(RUN_DAY), str(recipe_file), str(root), str(small_landing)]
    environment = clean_environment() | {"PREFECT_LOGGING_LEVEL": "CRITICAL"}
    command = [sys.executable, "-c", KILLED, *arguments]
    killed = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list((root / "staging").iterdir())
    assert list((root / "checkpoints").glob("*/*/state.json"))
    document = daily(RUN_DAY, recipe_file, str(root), str(small_landing))
    assert training(root, document)["resumed_at"] > 40 * 128
    assert np.array_equal(scores(root, document), scores(first_run.root, document))
    assert not list((root / "staging").iterdir())
    assert not list((root / "checkpoints").iterdir())


@pytest.mark.parametrize("work", [fresh_work.die, fresh_work.find_no_room] if SOAK else [fresh_work.die])
def test_what_the_machine_does_to_the_serving_check_is_no_verdict_and_the_next_run_comes_to_the_undisturbed_one(
    work, first_run, small_landing, recipe_file, tmp_path
):
    root = copy_days(first_run, tmp_path / "a *[x] ?root")  # which TensorFlow and DuckDB take for a pattern
    places = (recipe_file, str(root), str(small_landing))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish_model, "score_sample", work)
        with pytest.raises(ProcessDiedError, match=r"Nothing was recorded: run again\."):
            daily(RUN_DAY, *places)
    store = LocalStore(root)
    assert (store.list_objects("runs"), store.list_refs("runs"), store.list_refs("models")) == ([], [], [])
    document = daily(RUN_DAY, *places)
    assert document["verdict"] == first_run.document["verdict"]
    assert document["metrics"] == first_run.document["metrics"]


@pytest.mark.parametrize(
    ("end", "seconds"),
    [(signal.SIGTERM, 0), (signal.SIGKILL, 0), *((signal.SIGTERM, moment) for moment in MOMENTS)],
)
def test_nothing_of_a_run_outlives_it_and_nothing_stays_aside(
    end, seconds, first_run, small_landing, recipe_file, tmp_path
):
    root, aside = copy_days(first_run, tmp_path / "root"), tmp_path / "aside"
    aside.mkdir()
    options = ("--recipe", recipe_file, "--root", root, "--landing", small_landing, "daily", "--date", RUN_DAY)
    own = {"CTR_RETRAIN_TRAINING_PROCESS": "own", "TMPDIR": str(aside)}
    command = [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, options)]
    run = subprocess.Popen(
        command, cwd=REPOSITORY, env={**clean_environment(), **own}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not (children := psutil.Process(run.pid).children(recursive=True)):
        assert run.poll() is None
        time.sleep(0.05)
    with suppress(subprocess.TimeoutExpired):
        run.wait(seconds)
    run.send_signal(end)
    _, said = run.communicate()  # whose end comes when nobody holds the pipes any more
    if seconds and run.returncode == 0:
        return  # it was faster
    assert run.returncode == (130 if end == signal.SIGTERM else -signal.SIGKILL), said
    assert b"alert" not in said
    assert b"Traceback" not in said
    psutil.wait_procs(children)
    while list(aside.iterdir()):
        time.sleep(0.05)


def test_several_epochs_stop_by_a_slice_of_their_own(first_run, small_landing, recipe_file, tmp_path):
    text = recipe_file.read_text(encoding="utf-8").replace("[training]", "[training]\nepochs = 2\nstopping_share = 0.2")
    (tmp_path / "two.toml").write_text(text, encoding="utf-8")
    root = copy_days(first_run, tmp_path / "root")
    document = daily(RUN_DAY, tmp_path / "two.toml", str(root), str(small_landing))
    trained = training(root, document)
    assert trained["epochs"] == len(trained["stopping_losses"]) == 2
    assert trained["best_epoch"] == 1 + int(np.argmin(trained["stopping_losses"]))
    assert trained["history"][-1][0] == 2 * document["training"]["rows"]
