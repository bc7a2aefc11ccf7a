"""Rules of landing and labels in any landed world: conservation, order, replays, lateness; against an oracle."""

import tempfile
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.label.outcome_accounting import account_outcomes
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.counts import draws
from tests.support.labelled_day import label_rows
from tests.support.landed_day import ingest, quarantined, rows_of
from tests.support.landed_world import DAYS, FIRST, kept, labels, reasons, worlds, write
from tests.support.stored import stored_names

NOW = datetime(2026, 3, 8, tzinfo=UTC)
EXAMPLES = draws(2, 30)  # worlds a rule; each takes some seconds
any_world = settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)


@pytest.fixture(scope="module")
def recipe(request):
    from ctr_retrain.models.recipe.recipe import Recipe  # noqa: PLC0415
    from tests.conftest import TINY, _merged  # noqa: PLC0415

    kinds = {
        "ad": {"attribution_window_hours": 24, "more_kinds": {"conversion": 48}},
        "push": {"attribution_window_hours": 48, "more_kinds": {"conversion": 24, "dismissal": 72}},
    }
    return Recipe.model_validate(_merged(TINY, {"channels": kinds}))


@contextmanager
def landed(world, recipe, grouping=0, days=DAYS):
    """A root into which some days of the world were ingested."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = SimpleNamespace(store=LocalStore(folder / "root"), landing=folder / "landing")
        write(world, place.landing, grouping, days)
        place.ingested = {day: ingest(place.store, place.landing, recipe, day, NOW) for day in days}
        yield place


def labels_by_event(store, recipe, event_day, as_of):
    """Event id → the channel's label and each kind's; every event stands there once."""
    labelled = label_day(store, recipe, event_day, as_of)
    rows = label_rows(store, labelled)
    found = {row["event_id"]: (row["label"], {k: row[f"label_{k}"] for k in recipe.kinds}) for row in rows}
    assert len(found) == len(rows) == labelled.rows
    return found


def landed_in_parts(patch, part_rows, world, recipe):
    """A root whose landed files hold so many rows each."""
    patch.setattr(duck, "PART_ROWS", part_rows)
    return landed(world, recipe)


def files_of(store, path):
    """Name → SHA-256 of an object's files."""
    return {file["path"]: file["sha256"] for file in store.manifest(path)["files"]}


def all_labels(store, recipe, days=DAYS):
    return {(e, d): labels_by_event(store, recipe, e, d) for e in days[:2] for d in days if d >= e}


@any_world
@given(worlds())
def test_each_row_of_both_streams_is_kept_a_duplicate_or_quarantined(recipe, world):
    with landed(world, recipe) as place:
        for day in DAYS:
            for stream in ("impressions", "outcomes"):
                rows, counts = kept(world, recipe, stream, day)
                assert getattr(place.ingested[day], stream) == counts
                names = ("event_id", "ts") if stream == "impressions" else ("event_id", "ts", "kind")
                found = [tuple(row[name] for name in names) for row in rows_of(place.store, day, stream)]
                assert sorted(found) == sorted(tuple(row[name] for name in names) for row in rows)


@any_world
@given(worlds(), st.integers(1, 4), st.sampled_from([1, 3]))
def test_labels_are_those_of_what_had_landed_by_the_day_within_window_and_grace(recipe, world, part_rows, shards):
    """However many landed files, with rows or without, they are joined to by position."""
    recipe = recipe.model_copy(update={"landing": recipe.landing.model_copy(update={"buckets": shards})})
    with pytest.MonkeyPatch.context() as patch, landed_in_parts(patch, part_rows, world, recipe) as place:
        for (event_day, as_of), found in all_labels(place.store, recipe).items():
            assert found == labels(world, recipe, event_day, as_of), (event_day, as_of)


@any_world
@given(worlds())
def test_each_outcome_that_was_kept_has_one_reason(recipe, world):
    with landed(world, recipe) as place, tempfile.TemporaryDirectory() as scratch:
        for number, day in enumerate(DAYS):
            folder = Path(scratch) / str(number)
            folder.mkdir()
            found = account_outcomes(place.store, recipe, day, DAYS[-1], folder)
            assert {reason: rows for reason, rows in found.items() if rows} == reasons(world, recipe, day, DAYS[-1])
            assert sum(found.values()) == place.ingested[day].outcomes.kept


@any_world
@given(worlds())
def test_ingesting_and_labelling_again_does_nothing(recipe, world):
    with landed(world, recipe) as place:
        first = label_day(place.store, recipe, FIRST, DAYS[-1])
        before = {name: (Path(place.store.root) / name).stat().st_mtime_ns for name in stored_names(place.store)}
        again = {day: ingest(place.store, place.landing, recipe, day, NOW + timedelta(days=1)) for day in DAYS}
        assert again == place.ingested
        assert label_day(place.store, recipe, FIRST, DAYS[-1]) == first
        assert {n: (Path(place.store.root) / n).stat().st_mtime_ns for n in stored_names(place.store)} == before


@any_world
@given(worlds())
def test_an_old_day_gives_the_same_content_after_newer_data_has_landed(recipe, world):
    early = DAYS[:3]
    with landed(world, recipe, days=early) as then, landed(world, recipe) as now:
        assert all_labels(then.store, recipe, early) == all_labels(now.store, recipe, early)
        for event_day in early:
            old, new = (label_day(place.store, recipe, event_day, early[-1]) for place in (then, now))
            assert old == new
            assert files_of(then.store, old.path) == files_of(now.store, new.path)


@any_world
@given(worlds(), st.integers(1, 1000))
def test_order_files_and_formats_change_nothing(recipe, world, grouping):
    with landed(world, recipe) as one, landed(world, recipe, grouping) as other:
        for day in DAYS:
            for name in ("impressions", "outcomes"):
                assert getattr(one.ingested[day], name) == getattr(other.ingested[day], name)
            assert reasons_of(one.store, recipe, day) == reasons_of(other.store, recipe, day)
            assert quarantine_of(one.store, day) == quarantine_of(other.store, day)
        found = all_labels(one.store, recipe)
        assert found == all_labels(other.store, recipe)
        assert found == {(e, d): labels(world, recipe, e, d) for e, d in found}


def reasons_of(store, recipe, day):
    """Reason → how many of the outcomes that were kept."""
    with tempfile.TemporaryDirectory() as scratch:
        return account_outcomes(store, recipe, day, DAYS[-1], Path(scratch))


def quarantine_of(store, day):
    """Stream and reason → how many rows. What is said of a broken line depends on the line alone."""
    return Counter((row["stream"], row["reason"]) for row in quarantined(store, day))


@any_world
@given(worlds())
def test_what_lands_after_window_and_grace_changes_no_label(recipe, world):
    """Each kind's own window: push dismissals are waited for longest, and bring no late click with them."""
    final = {"click": 2, "conversion": 2, "dismissal": 3}
    with landed(world, recipe) as place:
        for event_day in DAYS[:2]:
            last = labels_by_event(place.store, recipe, event_day, DAYS[-1])
            for kind, age in final.items():
                then = labels_by_event(place.store, recipe, event_day, event_day + timedelta(days=age))
                assert {e: kinds[kind] for e, (_, kinds) in then.items()} == {
                    e: kinds[kind] for e, (_, kinds) in last.items()
                }
