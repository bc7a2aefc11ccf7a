"""Rules of a run that is stopped before any one of its requests, and wakes up once another has the root."""

from itertools import count, product

import pytest

from ctr_retrain.models.documents.ref_documents import LeaseRef
from ctr_retrain.models.errors import BusyError
from ctr_retrain.tasks.lease import lease as leases
from ctr_retrain.tasks.lease.guarded_store import GuardedStore
from ctr_retrain.tasks.lease.lease import Lease, Pace, read_lease, try_lease
from ctr_retrain.tasks.lease.live_process import this_holder
from ctr_retrain.tasks.lease.on_call import by_hand
from tests.support.stepped_store import Actor, Disk, SteppedStore, append

PACE = Pace(beat_seconds=10, dead_seconds=60)
OLD, NEW = "champion", "runs/2026-03-01"  # a ref that is there, and one that isn't


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(leases, "LONGEST_PAUSE", 0)


@pytest.fixture
def disk():
    disk = Disk()
    append(SteppedStore(disk), OLD, "before")
    return disk


def entries(disk, name):
    found = disk.refs.get(name)
    return found[0].value["entries"] if found else []


def run(disk, names, who):
    """A run that publishes an entry into each ref, as an actor; None where another has the root."""

    def work(actor):
        store = SteppedStore(disk, actor)
        lease = try_lease(store, this_holder(who), PACE)
        if isinstance(lease, LeaseRef):
            return None
        actor.token = lease.token
        for name in names:
            append(GuardedStore(store, lease), name, who)
        lease.give_back()
        return lease.token

    return Actor(work)


def taken_over(disk, way, name):
    """Another gets the root, or takes it away by hand, and publishes into a ref."""
    disk.now += 61
    store = SteppedStore(disk)
    if way == "by hand":
        append(by_hand(store, "rollback"), name, "next")
        return
    lease = try_lease(store, this_holder("next"), PACE)
    assert isinstance(lease, Lease)
    append(GuardedStore(store, lease), name, "next")
    lease.give_back()


@pytest.mark.parametrize(("way", "own", "others"), [*product(["in its turn", "by hand"], [OLD, NEW], [OLD, NEW])])
def test_what_it_had_not_published_by_then_it_never_publishes(way, own, others):
    for steps in count(1):
        disk = Disk()
        append(SteppedStore(disk), OLD, "before")
        stopped = run(disk, [own], "stopped")
        stopped.step(steps)
        if stopped.over:
            break
        taken_over(disk, way, others)
        seen = {name: entries(disk, name) for name in (OLD, NEW)}
        held = hasattr(stopped, "token")
        stopped.finish()
        if held:
            assert seen[others][-1] == "next"
            assert {name: entries(disk, name) for name in (OLD, NEW)} == seen, f"after {steps} requests"
            assert stopped.error is None or isinstance(stopped.error, BusyError)
            assert stopped.answer is None or "stopped" in seen[own]  # it is told so only where it is
    assert steps > 5


def test_two_that_are_stopped_one_after_the_other_publish_nothing_either():
    """The second is stopped amid whatever it does to keep the first from publishing."""
    tried = 0
    for first, second in product(range(3, 10), range(1, 30)):
        disk = Disk()
        append(SteppedStore(disk), OLD, "before")
        actors = [run(disk, [OLD, NEW], "first"), run(disk, [NEW, OLD], "second")]
        actors[0].step(first)
        disk.now += 61
        actors[1].step(second)
        if read_lease(SteppedStore(disk)).token == 2:  # both have had the root
            taken_over(disk, "in its turn", OLD)
            seen = {name: entries(disk, name) for name in (OLD, NEW)}
            for actor in actors:
                actor.finish()
            assert {name: entries(disk, name) for name in (OLD, NEW)} == seen, f"after {first} and {second} requests"
            tried += 1
        for actor in actors:
            actor.kill()
    assert tried > 100


def test_a_swap_that_was_announced_and_not_made_is_made_by_whoever_comes_where_there_was_no_ref():
    disk = Disk()
    stopped = run(disk, [NEW], "stopped")
    stopped.step_until(lambda request: request == ("swap", NEW))
    taken_over(disk, "by hand", OLD)
    assert entries(disk, NEW) == ["stopped"]
    assert read_lease(SteppedStore(disk)).raised.command == "rollback"
    stopped.finish()
    assert isinstance(stopped.error, BusyError)
    assert "`rollback` of" in str(stopped.error)
    assert "Nothing more was published" in str(stopped.error)


def test_a_run_that_finds_another_one_alive_gets_nothing_and_disturbs_nobody(disk):
    holder = run(disk, [OLD], "holder")
    holder.step_until(lambda request: request == ("swap", OLD))
    disk.now += 59
    second = run(disk, [NEW], "second")
    second.finish()
    assert (second.answer, second.error) == (None, None)
    holder.finish()
    assert holder.answer == 1
    assert (entries(disk, OLD), entries(disk, NEW)) == (["before", "holder"], [])
