"""Rules of the store through which a run or a person publishes, on a disk."""

import os
import pickle
import re
from pathlib import Path

import pytest

from ctr_retrain.models.documents.ref_documents import LeaseRef
from ctr_retrain.models.errors import BusyError, UsageError
from ctr_retrain.tasks.lease.guarded_store import GuardedStore
from ctr_retrain.tasks.lease.hold_root import Patience, holding
from ctr_retrain.tasks.lease.lease import Lease, Pace, is_held, raise_token, read_lease, try_lease
from ctr_retrain.tasks.lease.live_process import has_ended, this_holder
from ctr_retrain.tasks.lease.on_call import by_hand
from ctr_retrain.tasks.store.champion import roll_back
from ctr_retrain.tasks.store.protocol import Store, has_object
from tests.support.stored import stored_names

STILL = Pace(beat_seconds=3600, dead_seconds=3600)


@pytest.fixture
def held(store):
    with holding(store, "daily", pace=STILL) as held:
        yield held


def write(store, path):
    with store.writing(path, {}) as folder:
        (folder / "rows").write_bytes(b"abc")


def test_it_has_all_that_a_store_has():
    wanted = {name for name in vars(Store) if not name.startswith("_")}
    assert wanted <= set(vars(GuardedStore))


def test_what_it_publishes_is_stamped_with_the_run_s_token_and_notes_are_not(store, held):
    held.swap_ref("champion", {"current": "a"}, None)
    held.swap_ref("nights/2026-03-01", {"day": "2026-03-01"}, None)
    assert (store.read_ref("champion").token, store.read_ref("nights/2026-03-01").token) == (1, 0)


def test_a_worker_publishes_by_the_copy_that_came_out_of_its_pickle(store, held):
    worker = pickle.loads(pickle.dumps(held))  # noqa: S301 - our own
    worker.swap_ref("champion", {"current": "a"}, None)
    assert store.read_ref("champion").token == 1
    assert read_lease(store).intents == ()  # it leaves nothing to be closed
    held.swap_ref("champion", {"current": "b"}, store.read_ref("champion"))
    raise_token(store, "eva", "rollback", "now")
    with pytest.raises(BusyError, match="`rollback` of eva at now"):
        worker.swap_ref("champion", {"current": "c"}, store.read_ref("champion"))


@pytest.mark.parametrize(
    "publish",
    [
        lambda held: held.swap_ref("champion", {"current": "b"}, None),
        lambda held: write(held, "days/d/2"),
        lambda held: held.write_page("index.html", "new"),
        lambda held: held.remove(["days/d/1"]),
    ],
    ids=["ref", "object", "page", "removal"],
)
def test_nothing_of_a_run_that_lost_the_root_is_published_and_soon_it_reads_nothing_either(store, held, publish):
    write(store, "days/d/1")
    raise_token(store, "eva", "rollback", "now")
    before = stored_names(store)
    with pytest.raises(BusyError, match="Nothing more was published"):
        publish(held)
    assert stored_names(store) == before
    for read in (held.open, held.manifest, lambda path: held.file(path, "rows"), held.read_ref):
        with pytest.raises(BusyError):
            read("days/d/1")
    held.swap_ref("nights/2026-03-01", {"day": "2026-03-01"}, held.read_ref("nights/2026-03-01"))  # how it ended
    assert has_object(store, "days/d/1")


def test_what_a_person_types_in_vain_takes_nothing_from_anybody(store, now):
    with holding(store, "daily", pace=STILL) as held:
        with pytest.raises(UsageError, match="expected an earlier champion"):
            roll_back(by_hand(store, "rollback"), "why", now)
        held.swap_ref("champion", {"current": "a"}, None)
    assert (read_lease(store).token, read_lease(store).raised) == (1, None)


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "of a backup"])
def test_a_lease_whose_file_was_lost_or_is_of_a_backup_rises_above_what_refs_are_stamped_with(store, lost):
    file, backups = Path(store.root) / "refs" / "lease.json", []
    for number in range(5):
        with holding(store, "daily", pace=STILL) as held:
            held.swap_ref("champion", {"current": f"{number}"}, held.read_ref("champion"))
        backups.append(file.read_bytes())
    file.unlink() if lost else file.write_bytes(backups[0])
    hand = by_hand(store, "rollback", list)
    hand.swap_ref("champion", {"current": "by hand"}, hand.read_ref("champion"))
    assert store.read_ref("champion").token == read_lease(store).token == 6
    file.unlink() if lost else file.write_bytes(backups[0])
    with holding(store, "daily", pace=STILL) as held:
        held.swap_ref("champion", {"current": "a run"}, held.read_ref("champion"))
        held.swap_ref("runs/2026-03-01", {"current": "a run"}, None)
    assert [store.read_ref(name).token for name in ("champion", "runs/2026-03-01")] == [7, 7]


def test_a_note_on_an_incident_by_hand_raises_the_token_once_and_is_not_stamped(store, held):
    told = []
    hand = by_hand(store, "alerts ack", told.append)
    first = hand.swap_ref("incidents/all", {"incidents": []}, None)
    hand.swap_ref("incidents/all", {"incidents": [], "handled": []}, first)
    assert (read_lease(store).token, store.read_ref("incidents/all").token) == (2, 0)
    assert len(told) == 1
    assert re.fullmatch(r"note: `daily` of .* publishes nothing more and ends with exit status 5", told[0])
    with pytest.raises(BusyError):
        held.swap_ref("champion", {"current": "a"}, None)


def test_what_a_run_calls_goes_by_its_lease_and_the_lease_is_given_back_however_it_ends(store):
    def fail():
        with holding(store, "backfill", pace=STILL):
            with holding(store, "daily", pace=STILL) as inner:
                inner.swap_ref("champion", {"current": "a"}, None)
            assert read_lease(store).holder.command == "backfill"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (read_lease(store).holder, read_lease(store).token) == (None, 1)


def test_another_run_is_refused_with_who_has_the_root(store):
    lease = try_lease(store, this_holder("daily --date 2026-03-02"), STILL)
    words = rf"`daily --date 2026-03-02` of .* \(process {os.getpid()}\), which has the root since"
    with pytest.raises(BusyError, match=words), holding(store, "gc", Patience(0), STILL):
        pytest.fail("it has the root")
    lease.give_back()


def test_a_process_is_gone_only_where_machine_number_and_start_say_so():
    holder = this_holder("daily")
    assert not has_ended(holder)
    earlier = holder.model_copy(update={"started": "1"})  # one of the same number before
    assert has_ended(earlier)
    for elsewhere in ("", "0123456789abcdef"):  # of another machine, or one that doesn't say, nobody knows
        assert not has_ended(earlier.model_copy(update={"machine": elsewhere}))


def test_a_holder_elsewhere_counts_as_dead_once_its_last_sign_of_life_is_old(store):
    elsewhere = this_holder("daily").model_copy(update={"machine": "elsewhere"})
    assert isinstance(try_lease(store, elsewhere, STILL), Lease)
    lease = read_lease(store)
    assert is_held(store, lease, STILL)
    assert isinstance(try_lease(store, this_holder("next"), STILL), LeaseRef)
    impatient = Pace(beat_seconds=0, dead_seconds=0)
    assert not is_held(store, lease, impatient)
    assert try_lease(store, this_holder("next"), impatient).token == 2
