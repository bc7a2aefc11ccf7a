"""Rules of the lease among real processes that are killed, stopped and woken at random moments, on a disk and on S3.

A round in `make test`, 50 a store in `make soak`.
"""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from ctr_retrain.models.errors import BusyError, StorageError
from ctr_retrain.tasks.lease import hold_root
from ctr_retrain.tasks.lease.hold_root import Patience, holding
from ctr_retrain.tasks.lease.lease import Pace, read_lease
from ctr_retrain.tasks.lease.on_call import by_hand
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.counts import draws
from tests.support.forked import Forked
from tests.support.landed_twice import s3_store_in
from tests.support.stepped_store import append

ROUNDS = draws(1, 50)
AT_ONCE = draws(1, 5)  # rounds, which mostly wait
PACE = Pace(beat_seconds=0.3, dead_seconds=4)
LONG = Patience(minutes=10, tell=print)
REFS = ("champion", "runs/2026-03-01", "runs/2026-03-02")
RUNS = 4


@pytest.fixture(params=["local", "s3"])
def new_store(request, tmp_path, s3_server, s3_environment):
    count = iter(range(1000))

    def make():
        folder = tmp_path / str(next(count))
        return LocalStore(folder / "root") if request.param == "local" else s3_store_in(s3_server, folder)

    return make


def run(store, number, patience, gate, mark):
    """A run that writes what it is into each ref, twice, with pauses, once the file `gate` is there."""
    told = []
    hold_root.FIRST_LOOK_SECONDS = 0.2  # in this process alone
    try:
        with holding(store, f"daily {number}", patience, PACE) as held:
            mark("holds")
            while gate and not gate.exists():
                time.sleep(0.05)
            for name in (*REFS, *REFS):
                time.sleep(0.05)
                append(held, name, f"{number} {len(told)}")
                told.append(name)
            mark("done")
    except BusyError as error:
        return told, str(error)
    return told, ""


def rollback(store):
    append(by_hand(store, "rollback"), "champion", "by hand")


def entries(store, name):
    ref = store.read_ref(name)
    return ref.value["entries"] if ref else []


def signal_to(process, number):
    with suppress(ProcessLookupError):
        os.killpg(process._process.pid, number)


def check_one_history(store, answers):
    """Each run that was told it is done is there, whole; of no run does anything follow what a later one wrote."""
    for name in REFS:
        written = [entry.split(" ")[0] for entry in entries(store, name)]
        runs = [number for place, number in enumerate(written) if place == 0 or written[place - 1] != number]
        assert len(set(runs)) == len(runs), f"{name}: {written}"
        assert len(set(entries(store, name))) == len(written)
    for number, (told, error) in answers.items():
        for place, name in enumerate(told):
            assert f"{number} {place}" in entries(store, name)
        assert error or told == [*REFS, *REFS]


def in_rounds(new_store, one_round):
    """So many rounds, each with a store and moments of its own."""
    stores = [new_store() for _ in range(ROUNDS)]
    chances = [random.Random(seed) for seed in range(ROUNDS)]  # noqa: S311 - moments, no secrets
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one_round, stores, chances))


def test_all_that_wait_are_done_one_after_the_other_whoever_is_killed_or_stopped_meanwhile(new_store):
    def one_round(store, chance):
        processes = [Forked(run, store, one, LONG, None, marked=True) for one in range(RUNS)]
        for process in processes:
            process.go()
        victim, sleeper = chance.sample(processes, 2)
        time.sleep(chance.uniform(0, 1.5))
        signal_to(sleeper, signal.SIGSTOP)
        time.sleep(chance.uniform(0, 1.5))
        victim.kill()
        time.sleep(chance.choice([0, PACE.dead_seconds + 2]))
        signal_to(sleeper, signal.SIGCONT)
        answers = {one: process.answer() for one, process in enumerate(processes) if process is not victim}
        check_one_history(store, answers)
        for one, (_, error) in answers.items():
            # Only whoever was stopped may have lost the root; it says so, and is not told that it is held.
            lost = processes[one] is sleeper and "Nothing more was published" in error
            assert not error or lost, error
        with holding(store, "the next", pace=PACE):
            pass
        assert (read_lease(store).holder, read_lease(store).intents) == (None, ())

    in_rounds(new_store, one_round)


def test_of_all_that_do_not_wait_one_runs_and_the_others_are_told_who_it_is(new_store, tmp_path):
    def one_round(store, chance):
        gate = tmp_path / f"{chance.random()}"
        processes = [Forked(run, store, one, Patience(), gate, marked=True) for one in range(RUNS)]
        for process in processes:
            process.go()
        assert [process.wait_for("holds") for process in processes].count(True) == 1
        gate.touch()
        answers = dict(enumerate(process.answer() for process in processes))
        check_one_history(store, answers)
        refused = [error for told, error in answers.values() if not told]
        assert len(refused) == RUNS - 1
        assert all("received `daily " in error and "with --wait" in error for error in refused)

    in_rounds(new_store, one_round)


def test_a_person_takes_the_root_at_any_moment_and_the_run_under_way_publishes_nothing_more(new_store):
    def one_round(store, chance):
        process = Forked(run, store, 0, LONG, None, marked=True).go()
        process.wait_for("holds")
        time.sleep(chance.uniform(0, 0.4))
        if stopped := chance.random() < 0.5:
            signal_to(process, signal.SIGSTOP)
        # Where the run changed it between the person's look and the swap, or was stopped with the disk's lock in hand.
        with suppress(BusyError, StorageError):
            rollback(store)
        seen = {name: entries(store, name) for name in REFS}
        lost = read_lease(store).raised is not None
        if stopped:
            signal_to(process, signal.SIGCONT)
        told, error = process.answer()
        if lost:
            assert {name: entries(store, name) for name in REFS} == seen
            assert "`rollback` of" in error or len(told) == 2 * len(REFS)

    in_rounds(new_store, one_round)


def test_a_run_that_was_killed_is_followed_at_once_on_its_machine(new_store):
    store = new_store()
    process = Forked(run, store, 0, LONG, None, marked=True).go()
    process.wait_for("holds")
    process.kill()
    with holding(store, "the next", pace=Pace(beat_seconds=10, dead_seconds=3600)) as held:
        append(held, "champion", "1 0")
    assert entries(store, "champion")[-1] == "1 0"
