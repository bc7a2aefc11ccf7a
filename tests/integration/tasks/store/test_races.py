"""Rules of two processes that do the same at once: one wins, the other uses it or does it anew; never half of each.

A few rounds in `make test`, more in `make soak`; each begins at another moment of the other's work.
"""

import random
import time
from functools import cache

import pytest

from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.models.errors import BusyError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.deploy.publish_model import deploy_challenger
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions, take_over
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.conftest import TINY
from tests.support.counts import draws
from tests.support.forked import Forked
from tests.support.landed_day import ingest
from tests.support.landed_twice import DAY, NOW, Place, contents, land, make_run, s3_store_in
from tests.support.stored import stored_names

BOTH = ("outcomes", "impressions")
ROUNDS = draws(2, 20)  # a rule and store


@pytest.fixture(params=["local", "s3"])
def new_place(request, tmp_path, tiny_recipe, s3_server, s3_environment):
    """Places with a store and a landing zone of their own; a day is in one piece or in two, by turns."""
    count = iter(range(1000))

    def make():
        number = next(count)
        folder = tmp_path / str(number)
        store = LocalStore(folder / "root") if request.param == "local" else s3_store_in(s3_server, folder)
        return Place(store, folder / "landing", tiny_recipe(landing={"buckets": 1 + number % 2}))

    return make


@pytest.fixture
def chance():
    return random.Random(11)  # noqa: S311 - moments, no secrets


def run_ingest(place):
    found = ingest(place.store, place.landing, place.recipe, DAY, NOW)
    return found.path, found.impressions


def run_label(place):
    return label_day(place.store, place.recipe, DAY, DAY)


def run_deploy(place, version):
    try:
        return deploy_challenger(place.store, version, "promote", "because", NOW) or "won"
    except BusyError:
        return "busy"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What one process alone makes of one landing after another: all objects, and the day's path after each."""

    @cache
    def made(buckets, *landings):
        folder = tmp_path_factory.mktemp("alone")
        recipe = Recipe.model_validate({**TINY, "landing": {"buckets": buckets}})
        alone, paths = Place(LocalStore(folder / "root"), folder / "landing", recipe), []
        for part, streams in landings:
            land(alone.landing, part, streams)
            paths.append(run_ingest(alone)[0])
            run_label(alone)
        return contents(alone.store), paths

    return lambda place, *landings: made(place.recipe.landing.buckets, *landings)


def check_whole(place, expected):
    """Each object is one that a process alone makes, and beside them and the refs nothing is stored."""
    seen = contents(place.store)
    assert seen == {path: expected[path] for path in seen}
    stored = [name for name in stored_names(place.store) if not name.startswith("refs/")]
    assert len(stored) == sum(1 + len(said["files"]) for said in seen.values())
    for path in seen:
        assert place.store.open(path) is not None  # on S3: fetched, and verified


def test_two_ingests_of_a_day_at_once_publish_it_once_and_both_return_it(new_place, chance, undisturbed):
    for _ in range(ROUNDS):
        place = new_place()
        land(place.landing, 0)
        expected, (path,) = undisturbed(place, (0, BOTH))
        first, second = Forked(run_ingest, place), Forked(run_ingest, place)
        first.go()
        time.sleep(chance.uniform(0, 0.1))
        second.go()
        assert first.answer() == second.answer()
        assert first.answer()[0] == path
        ref = place.store.read_ref(layout.day_ref(DAY)).value
        assert [entry["current"] for entry in ref["history"]] == [ref["current"]] == [path.rsplit("/", maxsplit=1)[-1]]
        check_whole(place, expected)


def test_ingest_that_began_before_a_file_landed_never_overrules_one_that_saw_it(new_place, chance, undisturbed):
    for _ in range(ROUNDS):
        place = new_place()
        land(place.landing, 0)
        landings = (0, BOTH), (1, ("impressions",))
        expected, (early, full) = undisturbed(place, *landings)
        first, second = Forked(run_ingest, place), Forked(run_ingest, place)
        first.go()
        time.sleep(chance.uniform(0, 0.6))
        land(place.landing, *landings[1])
        second.go()
        assert second.answer()[0] == full
        assert first.answer()[0] in (early, full)
        ref = place.store.read_ref(layout.day_ref(DAY)).value
        assert layout.day_object(DAY, ref["current"]) == full
        history = [layout.day_object(DAY, entry["current"]) for entry in ref["history"]]
        assert history in ([full], [early, full])
        check_whole(place, expected)


def test_two_that_label_a_day_at_once_publish_one_object(new_place, chance, undisturbed):
    for _ in range(ROUNDS):
        place = new_place()
        land(place.landing, 0)
        expected, _ = undisturbed(place, (0, BOTH))
        run_ingest(place)
        first, second = Forked(run_label, place), Forked(run_label, place)
        first.go()
        time.sleep(chance.uniform(0, 0.1))
        second.go()
        assert first.answer() == second.answer()
        assert set(contents(place.store)) == set(expected)
        check_whole(place, expected)


def test_labels_that_are_made_while_a_newer_day_is_ingested_are_of_the_one_or_the_other(new_place, chance, undisturbed):
    for _ in range(ROUNDS):
        place = new_place()
        land(place.landing, 0)
        expected, _ = undisturbed(place, (0, BOTH), (1, BOTH))
        run_ingest(place)
        land(place.landing, 1)
        labelling, ingesting = Forked(run_label, place), Forked(run_ingest, place)
        ingesting.go()
        time.sleep(chance.uniform(0, 0.4))
        labelling.go()
        ingesting.answer()
        assert labelling.answer().path in expected
        check_whole(place, expected)


def test_of_two_bundles_deployed_at_once_the_newer_is_never_followed_by_the_older_and_none_is_lost(new_place, chance):
    versions = ["2026-03-02-a", "2026-03-03-b"]
    for _ in range(ROUNDS):
        place = new_place()
        for version in versions:
            make_run(place.store, version, champion="2026-03-01-old")
        take_over(
            place.store,
            Tenure(
                version="2026-03-01-old",
                run_day="2026-03-01",
                data_through="2026-03-01",
                action="promote",
                reason="first",
                at=NOW.isoformat(),
            ),
            met=None,
        )
        racers = [Forked(run_deploy, place, version) for version in versions]
        for racer in chance.sample(racers, 2):
            racer.go()
            time.sleep(chance.uniform(0, 0.03))
        answers = [racer.answer() for racer in racers]
        won = [version for version, answer in zip(versions, answers, strict=True) if answer == "won"]
        assert won
        assert [tenure.version for tenure in read_champions(place.store).tenures] == ["2026-03-01-old", *won]
        for version in versions:
            assert place.store.open(layout.model_object(version)) is not None
