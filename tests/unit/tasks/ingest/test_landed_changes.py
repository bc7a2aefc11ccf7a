"""Rules of restated days: other files of an ingested day are noticed unread; a cleaned up zone is no change."""

import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.documents.ref_documents import DayRef
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.ingest.landed_changes import landed_anew
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.protocol import load_ref, replace_ref
from tests.conftest import encoded
from tests.support.counts import draws
from tests.support.good_day import good_day


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_recipe, day, now):
    """A good day, landed and ingested: copied for each test, with the files' times."""
    folder = tmp_path_factory.mktemp("made")
    for stream, rows in zip(("impressions", "outcomes"), good_day(day), strict=True):
        file = folder / "landing" / stream / f"dt={day}" / "part.jsonl"
        file.parent.mkdir(parents=True)
        file.write_bytes(encoded(rows, file.name))
    ingest_day(LocalStore(folder / "root"), LocalLandingZone(folder / "landing"), tiny_recipe(), day, now)
    return folder


@pytest.fixture
def ingested(made, store, landing, tiny_recipe, day, now):
    """A good day, landed and ingested; answers what notices a change of it, and what ingests it again."""
    shutil.copytree(made / "landing", landing, dirs_exist_ok=True)
    shutil.copytree(made / "root", store.root)
    zone, recipe = LocalLandingZone(landing), tiny_recipe()
    return lambda: landed_anew(store, zone, recipe, day), lambda: ingest_day(store, zone, recipe, day, now)


def file_of(landing, stream, day):
    return next((landing / stream / f"dt={day}").iterdir())


def replace(landing, stream, day):
    file = file_of(landing, stream, day)
    file.write_bytes(file.read_bytes() + b"\n")


def add(landing, stream, day):
    file = file_of(landing, stream, day)
    shutil.copy(file, file.with_name(f"more-{file.name}"))


def keep_the_size(landing, stream, day):
    """Restate a file by another one of the same size, as a corrected digit does."""
    file = file_of(landing, stream, day)
    aside = file.with_name(".aside")
    aside.write_bytes(file.read_bytes())
    stat = file.stat()
    os.utime(aside, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    aside.rename(file)


@pytest.mark.parametrize("stream", ["impressions", "outcomes"])
@pytest.mark.parametrize("change", [replace, add, keep_the_size])
def test_a_file_that_was_added_or_replaced_is_noticed_until_the_day_is_ingested_again(
    ingested, landing, day, stream, change
):
    changed, again = ingested
    assert not changed()
    change(landing, stream, day)
    assert changed()
    again()
    assert not changed()


def test_a_file_that_was_only_touched_makes_no_new_object_and_is_read_once(ingested, store, landing, day):
    changed, again = ingested
    before = load_ref(store, layout.day_ref(day), DayRef).content
    os.utime(file_of(landing, "impressions", day), ns=(0, 0))
    assert changed()
    again()
    after = load_ref(store, layout.day_ref(day), DayRef).content
    assert (after.current, after.history) == (before.current, before.history)
    assert not changed()


@pytest.mark.parametrize("gone", [["impressions"], ["outcomes"], ["impressions", "outcomes"]])
def test_a_stream_that_was_cleaned_up_is_no_change(ingested, landing, day, gone):
    changed, _ = ingested
    for stream in gone:
        shutil.rmtree(landing / stream / f"dt={day}")
    assert not changed()


def test_a_day_of_an_older_version_is_read_once_more(ingested, store, day):
    changed, again = ingested
    ref = load_ref(store, layout.day_ref(day), DayRef)
    replace_ref(store, layout.day_ref(day), ref.content.model_copy(update={"marks": {}}), ref)
    assert changed()
    again()
    assert not changed()


NAMES = st.dictionaries(st.sampled_from("abcd"), st.binary(max_size=2), max_size=4)


def test_files_are_told_from_others_by_name_size_and_time(tmp_path_factory, day):
    @given(before=NAMES, after=NAMES)
    def rule(before, after):
        stamps = []
        for files in (before, after):
            zone = tmp_path_factory.mktemp("zone")
            folder = zone / "impressions" / f"dt={day}"
            folder.mkdir(parents=True)
            for name, content in files.items():
                (folder / name).write_bytes(content)
                os.utime(folder / name, ns=(0, 0))
            stamps.append(LocalLandingZone(zone).stamps("impressions", day))
        sizes = [{name: len(content) for name, content in files.items()} for files in (before, after)]
        assert (stamps[0] == stamps[1]) == (sizes[0] == sizes[1])

    settings(max_examples=draws(20, 500))(rule)()
