"""Rules of the process in which models are trained and scored: what passes through, and what its death does."""

import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ctr_retrain.models.errors import ProcessDiedError, StorageError, UsageError
from ctr_retrain.tasks.execution import worker_process
from ctr_retrain.tasks.execution.model_process import Compute, models_on
from tests.support import model_work
from tests.support.repository import REPOSITORY


def compute(process="own"):
    return Compute("cpu", process, Path("unused"))


@pytest.fixture
def models():
    with models_on(compute(), preload=()) as own:
        yield own


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def wait_until_gone(pid):
    while alive(pid):
        time.sleep(0.05)


def test_arguments_and_results_pass_through_as_often_as_one_likes(models):
    assert [models.call(model_work.double, number) for number in (1, 2, 3)] == [2, 4, 6]


def test_logs_and_what_is_written_pass_through_and_what_is_printed_disturbs_nobody(models, caplog, capsys):
    with caplog.at_level(logging.INFO):
        pid = models.call(model_work.say, "hello")
    assert pid != os.getpid()
    assert ("ctr_retrain.tasks.train.fit_challenger", logging.INFO, "logged hello") in caplog.record_tuples
    models._worker._process.stdin.close()
    models._worker._listeners[0].join()
    said = capsys.readouterr()
    assert "written hello" in said.err
    assert said.out == ""


def test_an_error_is_raised_as_itself_with_its_details(models):
    with pytest.raises(UsageError, match="expected something else") as refused:
        models.call(model_work.refuse)
    assert refused.value.details == {"what": "details"}
    with pytest.raises(KeyError, match="no such key") as stumbled:
        models.call(model_work.stumble)
    assert "in stumble" in stumbled.value.__notes__[0]
    assert models.call(model_work.double, 1) == 2  # it lives on


def test_what_the_machine_does_to_the_work_is_told_as_its_own_fault(models):
    with pytest.raises(
        StorageError,
        match=r"expected room, memory and a device that works, received OSError: .*No space left on device",
    ):
        models.call(model_work.find_no_room)
    assert models.call(model_work.double, 1) == 2


def test_a_process_that_gives_no_sign_of_life_is_killed_and_told(models, monkeypatch, caplog):
    pid = models.call(model_work.say, "hello")
    monkeypatch.setattr(worker_process, "SECONDS_BETWEEN_SIGNS", -0.8)  # each fifth of a second
    with pytest.raises(ProcessDiedError, match=r"^stop: expected a sign of life from its process, received none"):
        models.call(model_work.stop)
    assert "stop: waiting for its process, which has given no sign of life" in caplog.text
    wait_until_gone(pid)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            "SIGKILL",
            r"received SIGKILL after 120,000 of 500,000 rows, at [\d,]+ MB at most\. Nearly always the kernel was",
        ),
        ("SIGABRT", r"received SIGABRT after 120,000 of 500,000 rows.* TensorFlow or a driver crashed.*_DEVICE=cpu"),
        (3, r"received exit status 3 after 120,000 of 500,000 rows.*Its last words: something about a tensor"),
    ],
)
def test_its_death_leaves_the_flow_alive_with_the_last_progress_and_what_to_try(models, how, words):
    with pytest.raises(ProcessDiedError, match=rf"^training on cpu: expected its process to answer, {words}") as died:
        models.call(model_work.die, how)
    assert died.value.exit_code == 4
    assert died.value.details["progress"] == pytest.approx({"done": 120_000, "of": 500_000, "unit": "rows"} | PEAK)
    assert "last checkpoint" in str(died.value)
    with pytest.raises(ProcessDiedError):
        models.call(model_work.double, 1)  # nor is anybody waited for in vain


PEAK = {"peak_mb": pytest.approx(50, abs=1_000)}


def test_a_module_that_can_not_be_imported_is_told_with_its_words():
    with (
        models_on(compute(), preload=("tests.no_such_module",)) as models,
        pytest.raises(ProcessDiedError, match=r"exit status 1 .*No module named 'tests.no_such_module'"),
    ):
        models.call(model_work.double, 1)


def test_it_ends_with_the_run_even_in_the_middle_of_work():
    with models_on(compute(), preload=()) as models:
        pid = models.call(model_work.say, "hello")
        assert alive(pid)
    wait_until_gone(pid)


def test_it_ends_when_the_flow_is_killed():
    program = (
        "import sys\nfrom pathlib import Path\nfrom ctr_retrain.tasks.execution.model_process import *\n"
        "from tests.support.model_work import never_end, say\n"
        "with models_on(Compute('cpu', 'own', Path('unused')), preload=()) as models:\n"
        "    print(models.call(say, 'hello'), flush=True)\n"
        "    models.call(never_end)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as flow:
        pid = int(flow.stdout.readline())
        assert alive(pid)
        flow.send_signal(signal.SIGKILL)
    wait_until_gone(pid)


def test_in_the_flows_own_process_the_same_work_gives_the_same():
    with models_on(compute("flow")) as models:
        assert models.call(model_work.double, 4) == 8
        assert models.call(model_work.say, "hello") == os.getpid()


def test_the_flows_can_be_imported_without_tensorflow():
    flows = sorted(f"ctr_retrain.flows.{path.stem}" for path in (REPOSITORY / "flows").glob("[a-z]*.py"))
    program = f"import sys, {', '.join(flows)}; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == "[]", "import what needs TensorFlow in the body of the function that needs it"


def test_what_is_no_modules_function_can_not_be_sent(models):
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        models.call(lambda progress_of: 1)


def test_a_recipe_is_read_without_tensorflow():
    script = (
        "import sys\n"
        "from ctr_retrain.models.recipe.recipe import Recipe\n"
        "print(sorted({'tensorflow', 'keras'} & sys.modules.keys()))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
