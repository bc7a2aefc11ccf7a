"""Rules of the history's index: it saves reading, and what is shown is what refs and runs say, whatever it holds."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.tasks.report.history import keep_index, load_index, read_history, read_newest
from ctr_retrain.tasks.report.run_list import write_run_list
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.counts import draws
from tests.support.long_history import FIRST, decision_ref, night_ref, put_all, put_days, run_files, run_name

SHOWN = 7


class CountingStore(LocalStore):
    """A store that counts the documents which are read out of it."""

    reads = 0

    def read_ref(self, name):
        self.reads += 1
        return super().read_ref(name)

    def file(self, path, name):
        self.reads += name == layout.RUN_FILE
        return super().file(path, name)


@pytest.fixture
def store(tmp_path):
    return CountingStore(tmp_path / "root")


def day_of(number):
    return FIRST + timedelta(days=number)


def record(store, day, *numbers):
    """Note the runs of a day in its ref."""
    names = [run_name(day, number) for number in numbers]
    content = {"current": names[-1], "history": names}
    put_all(store, {f"refs/{layout.run_ref(day)}.json": json.dumps(content).encode()})


def seen(history):
    """All of a history that somebody is shown."""
    nights = {day: night.attempts for day, night in history.nights.items()}
    rejected = {day: (found.reason, found.docs) for day, found in history.rejected.items()}
    return history.runs, history.unreadable, nights, rejected, history.newest_landed


def without_index(store):
    """What is seen by whoever reads everything."""
    index = Path(store.root) / layout.HISTORY_FILE
    kept = index.read_bytes() if index.exists() else None
    index.unlink(missing_ok=True)
    found = seen(read_history(store)), seen(read_newest(store, SHOWN))
    if kept is not None:
        index.write_bytes(kept)
    return found


def assert_true(store):
    """Hold both looks by the index against those that read everything."""
    assert (seen(read_history(store)), seen(read_newest(store, SHOWN))) == without_index(store)


def test_a_look_reads_what_is_new_since_the_index_and_nothing_else(store):
    newest = put_days(store, 60)
    keep_index(store, read_history(store))
    assert read_history(store).read == 0
    store.reads = 0
    history = read_newest(store, SHOWN)
    assert [run.date for run in history.runs] == [newest - timedelta(days=age) for age in range(SHOWN)]
    assert store.reads == 0
    put_all(store, {**run_files(newest, 1), **decision_ref(newest, accepted=False)})
    record(store, newest, 0, 1)
    store.reads = 0
    history = read_newest(store, SHOWN)
    assert history.runs[0].run_id == run_name(newest, 1)
    assert list(history.rejected) == [newest]
    assert store.reads == history.read == 3  # the two refs and the run


def test_the_page_is_made_of_the_index_and_stores_it(store):
    put_days(store, 20)
    write_run_list(store, None)
    page = (Path(store.root) / layout.RUN_LIST_PAGE).read_bytes()
    assert len(load_index(store).runs) == 20
    store.reads = 0
    write_run_list(store, None)
    assert (Path(store.root) / layout.RUN_LIST_PAGE).read_bytes() == page
    assert store.reads == 2  # the recipe's name and the incidents


def test_runs_that_gc_removed_are_gone_from_both_looks(store):
    newest = put_days(store, 20)
    keep_index(store, read_history(store))
    shutil.rmtree(Path(store.root) / layout.run_object(run_name(newest)))
    assert read_newest(store, SHOWN).runs[0].date == newest - timedelta(days=1)
    assert_true(store)
    keep_index(store, read_history(store))
    assert len(load_index(store).runs) == 19


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 99}', b'{"format": 1}', b'{"runs": [{}]}', b'{"checksum": "0"}'],
)
def test_an_index_that_is_damaged_or_of_another_version_is_made_anew(store, text):
    put_days(store, 5)
    put_all(store, {layout.HISTORY_FILE: text})
    assert_true(store)
    write_run_list(store, None)
    assert len(load_index(store).runs) == 5


def test_an_index_with_a_changed_figure_is_not_believed(store):
    put_days(store, 5)
    keep_index(store, read_history(store))
    path = Path(store.root) / layout.HISTORY_FILE
    path.write_text(path.read_text(encoding="utf-8").replace('"decision": "promote"', '"decision": "reject"', 1))
    assert_true(store)


def test_another_roots_index_shows_nothing_of_that_root(store, tmp_path):
    put_days(store, 30)
    other = LocalStore(tmp_path / "other")
    put_days(other, 40, first=day_of(500))
    keep_index(other, read_history(other))
    shutil.copy(Path(other.root) / layout.HISTORY_FILE, store.root)
    assert_true(store)


# What happens to a root between two looks: each takes the store, a day's number, and a number of the run.
def _run(store, day, number):
    put_all(store, run_files(day, number))
    record(store, day, *range(number + 1))


def _remove(store, day, number):
    shutil.rmtree(Path(store.root) / layout.run_object(run_name(day, number)), ignore_errors=True)


def _unreadable(store, day, number):
    put_all(store, run_files(day, number + 10, format=9))


def _reject(store, day, number):
    put_all(store, decision_ref(day, accepted=bool(number % 2)))


def _fail(store, day, number):
    put_all(store, night_ref(day, end="failed", error=f"error {number}"))


def _forget(store, *_):
    (Path(store.root) / layout.HISTORY_FILE).unlink(missing_ok=True)


def _keep(store, *_):
    keep_index(store, read_history(store))


def _keep_a_look(store, *_):
    keep_index(store, read_newest(store, SHOWN))


EVENTS = (_run, _remove, _unreadable, _reject, _fail, _forget, _keep, _keep_a_look)


@settings(max_examples=draws(5, 400))
@given(events=st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 20), st.integers(0, 2)), max_size=8))
def test_whatever_happened_since_the_index_was_stored_both_looks_see_what_is_there(tmp_path_factory, events):
    store = CountingStore(tmp_path_factory.mktemp("history") / "root")
    put_days(store, 17)
    keep_index(store, read_history(store))
    for happen, day, number in events:
        happen(store, day_of(day), number)
    assert_true(store)
