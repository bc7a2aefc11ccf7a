"""Rules of functions called on several machines at once; processes of this one stand for them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ctr_retrain.models.error_origins import is_machine_fault
from ctr_retrain.models.errors import ProcessDiedError, UsageError
from ctr_retrain.tasks.execution.model_process import Compute
from ctr_retrain.tasks.machines import call_together as together
from ctr_retrain.tasks.machines import host_process
from ctr_retrain.tasks.machines.call_together import call_together
from ctr_retrain.tasks.machines.host_process import host_of, start_command
from tests.support import model_work
from tests.support.processes import children_with
from tests.support.repository import REPOSITORY

# Its name is another than the first machine's, so that it is started by the command; nobody listens at these ports.
WORKERS = ("127.0.0.1:1", "localhost:2")
COMMAND = "env STARTED_ON={host} sh -c"


@pytest.fixture
def compute():
    return Compute("cpu", "own", Path("unused"), WORKERS, COMMAND)


def left():
    """Processes of the machines, as children of this one."""
    return children_with("host_worker")


def test_the_first_machines_answer_counts_and_none_of_them_is_left(compute):
    assert call_together(compute, (model_work.double, (2,)), (model_work.never_end, ())) == 4
    assert left() == []


def test_each_machine_knows_the_cluster_and_its_place_in_it(compute):
    given = json.loads(call_together(compute, (model_work.environment, ("TF_CONFIG",)), (model_work.never_end, ())))
    assert given == {"cluster": {"worker": list(WORKERS)}, "task": {"type": "worker", "index": 0}}


def test_another_machine_is_reached_by_the_command_with_its_name(compute, tmp_path):
    mark = tmp_path / "mark"
    second = (model_work.write_environment, (str(mark), "STARTED_ON", "TF_CONFIG"))
    call_together(compute, (model_work.wait_for, (str(mark),)), second)
    host, cluster = mark.read_text(encoding="utf-8").split("\n", 1)
    assert host == "localhost"
    assert json.loads(cluster)["task"]["index"] == 1


@pytest.mark.parametrize(
    ("work", "error", "words"),
    [
        (model_work.refuse, UsageError, "expected something else"),
        (model_work.die_at_once, ProcessDiedError, r"^die at once on localhost:2: expected its process to answer, rec"),
    ],
)
def test_what_fails_on_one_machine_ends_all_of_them_and_names_it(compute, work, error, words):
    with pytest.raises(error, match=words):
        call_together(compute, (model_work.never_end, ()), (work, ()))
    assert left() == []


UNHEARD = "The following tasks are unhealthy (stopped sending heartbeats):\n/job:worker/replica:0/task:1"


@pytest.mark.parametrize("words", [UNHEARD, "failed to connect to all addresses"])
def test_a_machine_that_the_others_lost_is_named_and_it_is_no_mistake_of_ours(compute, words, monkeypatch):
    monkeypatch.setattr(together, "SECONDS_TO_END", 0.1)
    with pytest.raises(ProcessDiedError, match=r"^training on localhost:2: .* signs of life \(\w") as failed:
        call_together(compute, (model_work.lose, (words,)), (model_work.never_end, ()))
    assert (type(failed.value), left()) == (ProcessDiedError, [])
    assert is_machine_fault(failed.value)


def test_a_machine_that_the_others_lost_may_say_itself_what_became_of_it(compute):
    with pytest.raises(ProcessDiedError, match=r"^die at once on localhost:2: expected its process to "):
        call_together(compute, (model_work.lose, (UNHEARD,)), (model_work.die_at_once, ()))


def test_a_machine_that_can_not_be_reached_is_told_with_the_commands_words(compute):
    nowhere = Compute("cpu", "own", Path("unused"), WORKERS, "sh -c 'echo no route to {host} >&2; exit 255'")
    with pytest.raises(ProcessDiedError, match=r"on localhost:2: .*exit status 255.*no route to localhost"):
        call_together(nowhere, (model_work.never_end, ()), (model_work.never_end, ()))


def test_a_machine_with_other_code_is_refused_before_it_does_anything(compute, monkeypatch):
    monkeypatch.setattr(host_process, "code_digest", lambda: "0.0+other")
    with pytest.raises(UsageError, match=r"CTR_RETRAIN_WORKERS: expected the code 0\.0\+other on each machine"):
        call_together(compute, (model_work.never_end, ()), (model_work.never_end, ()))


def test_they_end_with_whoever_started_them_also_where_that_is_killed():
    program = (
        "from pathlib import Path\n"
        "from ctr_retrain.tasks.execution.model_process import Compute\n"
        "from ctr_retrain.tasks.machines.call_together import call_together\n"
        "from tests.support.model_work import never_end\n"
        f"compute = Compute('cpu', 'own', Path('unused'), {WORKERS}, {COMMAND!r})\n"
        "call_together(compute, (never_end, ()), (never_end, ()))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, env=os.environ) as run:
        while len(left()) < 2:
            assert run.poll() is None
            time.sleep(0.05)
        hosts = left()
        run.kill()
    psutil.wait_procs(hosts)


def test_only_another_machine_needs_the_command_and_an_address_may_be_one_of_version_6():
    assert start_command("night-1:2222", "ssh {host}", here=True)[0] == sys.executable
    assert start_command("night-2:2222", "ssh -p 22 {host}", here=False)[:4] == ["ssh", "-p", "22", "night-2"]
    assert len(start_command("night-2:2222", "ssh {host}", here=False)) == 3
    assert host_of("[fe80::1]:2222") == "fe80::1"
