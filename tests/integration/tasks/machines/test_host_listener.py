"""Rules of machines that wait for a run to train with them: whoever has the token is worked for, nobody else."""

import json
import socket
import time
from pathlib import Path

import psutil
import pytest

from ctr_retrain.models.errors import ProcessDiedError
from ctr_retrain.tasks.execution.model_process import Compute
from ctr_retrain.tasks.machines.call_together import call_together
from tests.support import model_work
from tests.support.processes import children_with
from tests.support.waiting_machine import TOKEN, command_to, waiting_machine

# The second one's name is another than the first's, so that it is reached by the command.
WORKERS = ("127.0.0.1:1", "localhost:2")


@pytest.fixture(scope="module")
def machine():
    with waiting_machine() as there:
        yield there


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("TRAINING_TOKEN", TOKEN)


def compute(port):
    return Compute("cpu", "own", Path("unused"), WORKERS, command_to(port))


def works_on(machine):
    return children_with("host_worker", machine.process.pid)


def test_a_machine_that_waits_works_for_a_run_and_waits_for_the_next_one(machine, tmp_path):
    for number in range(2):
        mark = tmp_path / f"mark{number}"
        second = (model_work.write_environment, (str(mark), "TF_CONFIG"))
        call_together(compute(machine.port), (model_work.wait_for, (str(mark),)), second)
        assert json.loads(mark.read_text(encoding="utf-8"))["task"]["index"] == 1
        psutil.wait_procs(works_on(machine))
    assert machine.process.poll() is None


def test_without_the_token_it_works_for_nobody(machine, monkeypatch):
    monkeypatch.setenv("TRAINING_TOKEN", "another " * 4)
    with pytest.raises(
        ProcessDiedError, match=r"the connection to localhost:\d+ ended: is its TRAINING_TOKEN the same"
    ):
        call_together(compute(machine.port), (model_work.never_end, ()), (model_work.never_end, ()))
    assert not works_on(machine)


def test_its_process_ends_with_the_connection(machine):
    with socket.create_connection(("127.0.0.1", machine.port)) as connection:
        connection.sendall(f"{TOKEN}\n".encode())
        while not (begun := works_on(machine)):
            time.sleep(0.05)
    psutil.wait_procs(begun)
