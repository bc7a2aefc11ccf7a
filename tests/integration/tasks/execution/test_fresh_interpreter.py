"""Rules of a function that is called in a fresh process: what it finds there, and what becomes of its failures."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ctr_retrain.models.errors import ProcessDiedError
from ctr_retrain.tasks.execution import fresh_interpreter
from ctr_retrain.tasks.execution.fresh_interpreter import run_fresh
from tests.support import fresh_work
from tests.support.repository import REPOSITORY


@pytest.fixture(scope="module", autouse=True)
def _end_kept():
    """The kept process stays from test to test, as from night to night: it takes five seconds to start."""
    yield
    fresh_interpreter.end_kept()


@pytest.fixture(params=[False, True], ids=["started", "forked"])
def fresh(request):
    return lambda work, *arguments, timeout=600.0: run_fresh(
        work, *map(str, arguments), timeout=timeout, kept=request.param
    )


def test_each_call_has_a_process_of_its_own_in_which_nothing_is_left_of_earlier_ones(fresh, tmp_path):
    for number in range(2):
        assert fresh(fresh_work.note, tmp_path / str(number), "words and\ttabs") is None
    first, second = ((tmp_path / str(number)).read_text(encoding="utf-8").split("|") for number in range(2))
    assert {first[0], second[0]}.isdisjoint({str(os.getpid())})
    assert first[0] != second[0]
    imported = ["no layer of ours", "no scikit-learn"]
    assert first[1:] == second[1:] == ["words and\ttabs", "called for the first time", *imported]


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (fresh_work.refuse, "model x: expected another."),
        (fresh_work.fail, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_failure_is_told_by_its_last_words_and_the_next_call_goes_well(fresh, tmp_path, work, words):
    assert fresh(work) == words
    assert fresh(fresh_work.note, tmp_path / "after", "") is None


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (fresh_work.die, r"^die: expected an answer .*, received SIGKILL and no word of why\. Nearly always .* memory"),
        (fresh_work.crash, r"^crash: .*, received SIGSEGV and "),
        (fresh_work.leave, r"^leave: .*, received exit status 1 and no word of why\. The machine is at fault"),
        (fresh_work.find_no_room, r"No space left on device.* The machine is at fault"),
        (fresh_work.need_more_memory, r"MemoryError.* The machine is at fault"),
    ],
)
def test_what_the_machine_did_to_a_process_is_no_answer_of_the_function(fresh, tmp_path, work, words):
    with pytest.raises(ProcessDiedError, match=words) as died:
        fresh(work)
    assert "\n" not in str(died.value)
    assert fresh(fresh_work.note, tmp_path / "after", "") is None


def test_nothing_stays_in_the_temporary_folder(fresh, tmp_path, monkeypatch):
    fresh_interpreter.end_kept()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert fresh(fresh_work.put_aside) is None
    fresh_interpreter.end_kept()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kept", "stopped"), [(False, False), (False, True), (True, True)])
def test_a_call_under_way_ends_with_the_process_that_asked_for_it_and_so_do_its_files(tmp_path, kept, stopped):
    program = (
        "import sys, tempfile\nfrom ctr_retrain.tasks.execution.fresh_interpreter import run_fresh\n"
        "from tests.support import fresh_work\n"
        f"run_fresh(fresh_work.note_and_hang, sys.argv[1], timeout=600, kept={kept})\n"
    )
    noted, temporary = tmp_path / "noted", tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-c", program, str(noted)]
    asker = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "TMPDIR": str(temporary)})
    while not noted.exists() or not noted.read_text("utf-8").endswith("."):
        assert asker.poll() is None
        time.sleep(0.05)
    pid = int(noted.read_text("utf-8").rstrip("."))
    if stopped:
        os.kill(pid, signal.SIGSTOP)
    asker.kill()
    asker.wait()
    while Path("/proc", str(pid)).exists() or list(temporary.iterdir()):
        time.sleep(0.05)


def test_what_hangs_is_killed_and_the_next_call_goes_well(fresh, tmp_path):
    fresh_interpreter.end_kept()
    with pytest.raises(ProcessDiedError, match=r"^hang: expected .* within 1 s, received none, and killed it"):
        fresh(fresh_work.hang, timeout=1.0)
    assert not fresh_interpreter._KEPT
    assert fresh(fresh_work.note, tmp_path / "after", "") is None


def test_a_kept_process_that_was_killed_is_replaced(tmp_path):
    assert run_fresh(fresh_work.note, str(tmp_path / "before"), "", timeout=600, kept=True) is None
    kept = fresh_interpreter._KEPT[fresh_work.__name__]._process
    kept.kill()
    kept.wait()
    assert run_fresh(fresh_work.note, str(tmp_path / "after"), "", timeout=600, kept=True) is None


def test_the_kept_process_ends_with_the_one_that_started_it():
    program = (
        "from ctr_retrain.tasks.execution import fresh_interpreter as fresh\nfrom tests.support import fresh_work\n"
        "assert fresh.run_fresh(fresh_work.refuse, timeout=600, kept=True)\n"
        "print(fresh._KEPT[fresh_work.__name__]._process.pid)\n"
    )
    command = [sys.executable, "-c", program]
    pid = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.strip()
    while Path("/proc", pid).exists():
        time.sleep(0.05)
