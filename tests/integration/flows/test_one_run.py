"""Rules of one run at a time, through the command line: who is refused, who waits, who never does."""

import re
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from ctr_retrain.tasks.lease.lease import read_lease, try_lease
from ctr_retrain.tasks.lease.live_process import this_holder
from ctr_retrain.tasks.operate.registry import recorded_run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions, take_over
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import at
from tests.support.counts import SOAK
from tests.support.repository import REPOSITORY
from tests.support.small_world import NEXT_DAY, RUN_DAY, clean_environment, write_recipe

OTHER = "backfill --start 2026-01-01 --end 2026-03-01 --retrain last"
BY_HAND = (
    ("accept", "--date", RUN_DAY, "--reason", "seen"),
    ("rollback", "--reason", "complaints"),
)


@pytest.fixture
def recipe(tmp_path):
    """A recipe that asks for so many positives that a run which goes on is held without training: seconds saved."""
    return write_recipe(tmp_path, min_positives=1_000_000)


@pytest.fixture
def there(root, small_landing, recipe):
    return at(root, small_landing, recipe)


@pytest.fixture
def store(root):
    return LocalStore(root)


@pytest.fixture
def other_run(store):
    """Another run that has the root, and gives no sign of life for as long as a test takes."""
    lease = try_lease(store, this_holder(OTHER))
    yield lease
    lease.give_back()


def published(store):
    refs = {name: store.read_ref(name) for folder in ("days", "accepted", "runs") for name in store.list_refs(folder)}
    return refs, read_champions(store).ref, store.ages().keys()


@pytest.mark.parametrize(
    "arguments",
    [
        ("daily", "--date", NEXT_DAY),
        ("backfill", "--start", RUN_DAY, "--end", NEXT_DAY),
        ("ingest", "--date", NEXT_DAY),
        ("validate", "--date", RUN_DAY),
        ("gc",),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_second_run_is_refused_before_it_does_anything_and_told_who_has_the_root(there, store, other_run, arguments):
    before = published(store)
    answer = there(*arguments, "--json")
    error = answer.document["error"]
    assert (answer.status, error["type"], error["holder"]["command"]) == (5, "BusyError", OTHER)
    for words in (f"received `{OTHER}` of", "which has the root since", "last sign of life", "with --wait"):
        assert words in error["message"]
    assert published(store) == before
    assert read_lease(store).holder == other_run.holder


def test_a_reader_never_waits(there, other_run):
    for command in ("status", "models", f"explain {RUN_DAY}", "alerts list", "gc --dry-run", "verify"):
        assert there(*command.split(), "--json").status == 0, command


def test_whoever_waits_is_told_for_whom_and_runs_once_the_other_is_done(there, store, other_run, monkeypatch):
    monkeypatch.setattr("ctr_retrain.tasks.lease.hold_root.FIRST_LOOK_SECONDS", 0.2)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(there("validate", "--date", RUN_DAY, "--wait")))
    waiting.start()
    waiting.join(2)
    assert waiting.is_alive()
    other_run.give_back()
    waiting.join()
    assert answers[0].status == 0
    assert f"waits, for 720 minutes at most, until the root {store.root} is free: `{OTHER}` of" in answers[0].stderr


def test_whoever_waited_long_enough_gives_up(there, other_run, monkeypatch):
    monkeypatch.setenv("CTR_RETRAIN_WAIT_MINUTES", "0.01")
    answer = there("validate", "--date", RUN_DAY, "--wait", "--json")
    assert answer.status == 5
    assert "raise CTR_RETRAIN_WAIT_MINUTES: this one waited" in answer.document["error"]["message"]


@pytest.mark.parametrize("by_hand", BY_HAND, ids=lambda arguments: arguments[0])
def test_a_person_by_hand_is_not_kept_waiting_and_the_run_under_way_publishes_nothing_more(
    there, store, monkeypatch, by_hand
):
    """The person comes once the day is judged and before its run is made."""
    from ctr_retrain.flows import daily as flow  # noqa: PLC0415 - Prefect

    newer = {"run_day": RUN_DAY + timedelta(days=1), "version": "2026-03-08-newer", "reason": "first"}
    current = read_champions(store).current
    take_over(store, current.model_copy(update=newer), met=current.version)
    plan_run, seen = flow.plan_run, []

    def come_between(*arguments, **named):
        plan = plan_run(*arguments, **named)
        # As in a process of its own: a thread knows nothing of the run's lease.
        person = threading.Thread(target=lambda: seen.append(there(*by_hand).status))
        person.start()
        person.join()
        seen.append(published(store))
        return plan

    monkeypatch.setattr(flow, "plan_run", come_between)
    answer = there("daily", "--date", NEXT_DAY, "--json")
    assert (seen[0], answer.status) == (0, 5)
    message = answer.document["error"]["message"]
    assert message.startswith(f"`daily --date {NEXT_DAY}` on root {store.root}: expected to have the root to itself")
    assert re.search(f"received `{by_hand[0]}[^`]*` of", message)
    assert "Nothing more was published" in message
    assert published(store) == seen[1]
    assert recorded_run(store, NEXT_DAY) is None
    attempt = store.read_ref(layout.night_ref(NEXT_DAY)).value["attempts"][-1]
    assert attempt["end"] == "left"  # it says how it ended all the same
    monkeypatch.undo()
    assert there("daily", "--date", NEXT_DAY, "--json").status == 0


@pytest.mark.skipif(not SOAK, reason="four whole days at once take minutes: make soak")
@pytest.mark.parametrize("wait", [True, False])
def test_of_four_days_at_once_all_are_run_one_after_the_other_or_one_alone(small_landing, recipe, tmp_path, wait):
    store = LocalStore(tmp_path / "root")
    days = [RUN_DAY + timedelta(days=number) for number in range(-1, 3)]
    command = [sys.executable, "-m", "ctr_retrain.flows.cli", "--recipe", recipe, "--root", store.root]
    command += ["--landing", small_landing, "daily", *(["--wait"] if wait else []), "--date"]
    running = [
        subprocess.Popen(
            [*map(str, command), str(day)],
            cwd=REPOSITORY,
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for day in days
    ]
    said = [process.communicate()[1] for process in running]
    statuses = [process.returncode for process in running]
    assert sorted(statuses) == ([0, 0, 0, 0] if wait else [0, 5, 5, 5]), said
    made = [day for day in days if recorded_run(store, day)]
    assert made == [day for day, status in zip(days, statuses, strict=True) if status == 0]
