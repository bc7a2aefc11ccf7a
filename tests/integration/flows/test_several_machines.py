"""Rules of a day that several machines work on; processes of this machine stand for them.

Two train its model at once, or the workers of a Dask cluster elsewhere ingest and label its days and pieces.
"""

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest
from distributed import Client

from tests.support.counts import SOAK, draws
from tests.support.flow_answers import daily
from tests.support.free_ports import free_addresses
from tests.support.processes import children_with
from tests.support.repository import REPOSITORY
from tests.support.scheduler_elsewhere import scheduler_elsewhere
from tests.support.small_world import RUN_DAY, clean_environment, copy_days
from tests.support.waiting_machine import TOKEN, command_to, waiting_machine

# In each process of the run, so that the first machine writes a checkpoint after each step.
SAVING = """
from ctr_retrain.tasks.execution import worker_process
from ctr_retrain.tasks.train.checkpoints import FolderCheckpoints
FolderCheckpoints.due = lambda self: True
worker_process.MOST_SIGNS_MISSED = 5  # half a minute, where one is stopped
"""


# What is killed has to be the process itself, and no shell that waits for it.
IN_ITS_PLACE = """env MACHINE={host} bash -c 'eval "exec $0"'"""


def two_machines(command=IN_ITS_PLACE):
    """Settings for two machines, of which the second has another name and is reached by a command."""
    here, there = free_addresses(2)
    return {
        "CTR_RETRAIN_WORKERS": f"{here} {there.replace('127.0.0.1', 'localhost')}",
        "CTR_RETRAIN_WORKER_COMMAND": command,
    }


def daily_on_two(root, landing, recipe, **more):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**two_machines(), **more}.items():
            patch.setenv(name, value)
        return daily(RUN_DAY, recipe, str(root), str(landing))


def assert_same(document, one):
    assert document["run_id"] == one["run_id"]
    assert document["verdict"]["decision"] == one["verdict"]["decision"]
    checks, of_one = document["verdict"]["checks"], one["verdict"]["checks"]
    assert [(check["name"], check["passed"]) for check in checks] == [(of["name"], of["passed"]) for of in of_one]
    # Sums come in another order on two machines, so the last digits of float32 differ.
    assert [check["value"] for check in checks] == pytest.approx([of["value"] for of in of_one], rel=1e-3, abs=1e-3)
    for figure in ("log_loss", "auc", "normalized_entropy"):
        assert document["metrics"]["challenger"][figure] == pytest.approx(one["metrics"]["challenger"][figure], 1e-4)


def training(root, document):
    path = root / "runs" / document["run_id"] / "training.json"
    return json.loads(path.read_text(encoding="utf-8"))["training"]


def machines_of(run):
    """The processes of the first and of the second machine."""
    return sorted(children_with("host_worker", run.pid), key=lambda host: "MACHINE" in host.environ())


def test_a_day_trained_on_two_machines_comes_to_the_same_verdict(first_run, small_landing, recipe_file, tmp_path):
    """The second one waits for the run, as pods of a job do; commands that start it are tested by themselves."""
    root = copy_days(first_run, tmp_path / "root")
    with waiting_machine() as there:
        waits = {"CTR_RETRAIN_WORKER_COMMAND": command_to(there.port), "TRAINING_TOKEN": TOKEN}
        document = daily_on_two(root, small_landing, recipe_file, **waits)
    assert training(first_run.root, document)["replicas"] == 1
    assert training(root, document)["replicas"] == 2
    assert_same(document, first_run.document)
    assert not list((root / "checkpoints").iterdir())


@pytest.mark.skipif(not SOAK, reason="two more trainings on two machines: in `make soak`")
@pytest.mark.parametrize(
    ("victim", "how", "words"),
    [
        (0, signal.SIGKILL, "received SIGKILL"),
        (1, signal.SIGKILL, "on localhost:"),
        (1, signal.SIGSTOP, "on localhost:"),  # TensorFlow's heartbeats miss it, or ours do
    ],
)
def test_after_one_of_the_machines_died_the_next_run_goes_on_from_the_checkpoint_to_the_same_verdict(
    victim, how, words, first_run, small_landing, recipe_file, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text(SAVING, encoding="utf-8")
    root = copy_days(first_run, tmp_path / "root")
    options = ("--json", "--recipe", recipe_file, "--root", root, "--landing", small_landing)
    run = subprocess.Popen(
        [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, options), "daily", "--date", str(RUN_DAY)],
        cwd=REPOSITORY,
        env={**clean_environment(), **two_machines(), "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not list((root / "checkpoints").glob("*/*/state.json")):
        assert run.poll() is None
        time.sleep(0.05)
    machines = machines_of(run)
    machines[victim].send_signal(how)
    out, said = run.communicate()
    assert run.returncode == 4, said
    error = json.loads(out)["error"]
    assert error["type"] == "ProcessDiedError"
    assert words in error["message"]
    psutil.wait_procs(machines)
    document = daily_on_two(root, small_landing, recipe_file)
    assert training(root, document)["resumed_at"] > 0
    assert_same(document, first_run.document)


def has_imported(module):
    """Whether this process, a worker of the cluster, has worked with a module."""
    return module in sys.modules


def daily_on(cluster, root, landing, recipe):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTR_RETRAIN_TASK_RUNNER", "dask")
        patch.setenv("CTR_RETRAIN_DASK_ADDRESS", cluster)
        return daily(RUN_DAY, recipe, str(root), str(landing))


@pytest.mark.parametrize("pieces", draws([1], [1, 2]))
def test_a_day_on_an_existing_dask_cluster_comes_to_the_very_same_verdict(
    pieces, first_run, small_landing, recipe_file, tmp_path
):
    recipe, one = recipe_file, first_run.document
    if pieces > 1:
        recipe = tmp_path / "pieces.toml"
        recipe.write_text(f"{recipe_file.read_text(encoding='utf-8')}\n[landing]\nbuckets = {pieces}\n", "utf-8")
        one = daily(RUN_DAY, recipe, str(tmp_path / "one"), str(small_landing))
    with scheduler_elsewhere() as cluster:
        document = daily_on(cluster, tmp_path / "root", small_landing, recipe)
        with Client(cluster) as client:
            worked = client.run(has_imported, "ctr_retrain.tasks.ingest.ingest_day")
    assert len(worked) == 2
    assert all(worked.values())
    for same in ("run_id", "verdict", "metrics", "ingest", "days"):
        assert document[same] == one[same]
