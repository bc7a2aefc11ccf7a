"""Rules of a function that is called in a fresh process: what it finds there, and what becomes of its failures."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
    assert first[1:] == second[1:] == ["words and\ttabs", "called for the first time", "no layer of ours"]


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (fresh_work.refuse, "model x: expected another."),
        (fresh_work.fail, "ZeroDivisionError: division by zero"),
        (fresh_work.die, "exit status -9 and no word of why"),
    ],
)
def test_a_failure_is_told_by_its_last_words_and_the_next_call_goes_well(fresh, tmp_path, work, words):
    assert fresh(work) == words
    assert fresh(fresh_work.note, tmp_path / "after", "") is None


def test_what_hangs_is_killed_and_the_next_call_goes_well(fresh, tmp_path):
    fresh_interpreter.end_kept()
    with pytest.raises(TimeoutError):
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
