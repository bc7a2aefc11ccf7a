"""Forty nights in a row with three faults: each is one incident that names its cause, and nothing else is raised.

The demonstration's recipe on 6,000 impressions a day. From the 20th night on the click logger of android loses 40 % of
its clicks; the outcome file of the 30th day lands a day late, and half of the 35th's. `make soak`: they take minutes.
"""

import gzip
import shutil
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.recipe.shipped_recipes import find_recipe
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.alerts.incident_refs import load_incidents
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.counts import SOAK
from tests.support.flow_answers import daily

NIGHTS, DAYS_BEFORE = 40, 21
FIRST_NIGHT = date(2026, 3, 23)
FAULTY, WHOLLY_LATE, HALF_LATE = (FIRST_NIGHT + timedelta(days=number - 1) for number in (20, 30, 35))
LOST_SHARE = 0.4

pytestmark = pytest.mark.skipif(not SOAK, reason="forty nights take minutes: make soak")


def outcome_file(landing, day):
    return landing / "outcomes" / f"dt={day}" / "outcomes.jsonl.gz"


def impressions_of(landing, day):
    return pq.read_table(landing / "impressions" / f"dt={day}", columns=["event_id", "device"])


def lose_clicks(landing, day, ids, rng):
    """Take 40 % of the clicks on impressions with these ids out of the day's outcome file."""
    path = outcome_file(landing, day)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    kept = [line for line in lines if not (b'"click"' in line and any_id(line, ids) and rng.random() < LOST_SHARE)]
    path.write_bytes(gzip.compress(b"".join(kept), mtime=0))


def any_id(line, ids):
    return line.partition(b'"event_id": "')[2].partition(b'"')[0].decode() in ids


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """All days as they would land, android's clicks lost from the faulty day on."""
    folder = tmp_path_factory.mktemp("forty")
    simulate(World(seed=7, rows_per_day=6000), FIRST_NIGHT - timedelta(days=DAYS_BEFORE), DAYS_BEFORE + NIGHTS, folder)
    landing, rng, ids = folder / "landing", np.random.default_rng(1), set()
    for number in range(19, NIGHTS):
        day = FIRST_NIGHT + timedelta(days=number)
        rows = impressions_of(landing, day)
        ids |= set(rows["event_id"].filter(pc.equal(rows["device"], "android")).to_pylist())
        lose_clicks(landing, day, ids, rng)
    return landing


def land(staged, landing, day):
    """Let a day's files land, and what was late of the day before."""
    for stream in ("impressions", "outcomes"):
        shutil.copytree(staged / stream / f"dt={day}", landing / stream / f"dt={day}")
    late = outcome_file(landing, day)
    if day == WHOLLY_LATE:
        late.unlink()
    if day == HALF_LATE:
        lines = gzip.decompress(late.read_bytes()).splitlines(keepends=True)
        late.write_bytes(gzip.compress(b"".join(lines[::2]), mtime=0))
    if day - timedelta(days=1) in (WHOLLY_LATE, HALF_LATE):
        before = day - timedelta(days=1)
        shutil.copy(outcome_file(staged, before), outcome_file(landing, before))


@pytest.fixture(scope="module")
def nights(great_expectations, staged, tmp_path_factory):
    """Open incidents after each of the forty nights, by its day; and all of the end."""
    folder = tmp_path_factory.mktemp("nights")
    landing, root = folder / "landing", folder / "root"
    for number in range(DAYS_BEFORE):
        land(staged, landing, FIRST_NIGHT - timedelta(days=DAYS_BEFORE - number))
    found = {}
    for number in range(NIGHTS):
        day = FIRST_NIGHT + timedelta(days=number)
        land(staged, landing, day)
        with suppress(DataRejectedError):
            daily(day, find_recipe(Path("demo")), str(root), str(landing))
        found[day] = load_incidents(LocalStore(root)).open
    return found, load_incidents(LocalStore(root)).incidents


def test_androids_loss_is_one_incident_by_the_third_night_that_names_its_logger(nights):
    _, every = nights
    of_android = [one for one in every if "android" in one.subject]
    (incident,) = of_android
    assert incident.kind == "logger_down"
    assert FAULTY <= incident.opened <= FAULTY + timedelta(days=2)
    assert abs((incident.since - FAULTY).days) <= 1
    assert "android" in incident.summary
    assert incident.is_open
    assert any("train" in detail for detail in incident.details)  # what acting wrongly costs


@pytest.mark.parametrize("day", [WHOLLY_LATE, HALF_LATE])
def test_a_day_whose_outcomes_are_late_is_reported_incomplete_on_the_day_itself(nights, day):
    by_day, _ = nights
    assert [one.since for one in by_day[day] if one.kind in ("outcomes_late", "outcomes_lost")] == [day]
    assert not [one for one in by_day[day + timedelta(days=1)] if one.kind == "outcomes_late" and one.since == day]


def test_nothing_else_is_raised(nights):
    _, every = nights
    expected = ("outcomes_late", "outcomes_lost", "day_rejected")
    assert [
        (one.kind, one.subject, one.opened)
        for one in every
        if one.level != "notice" and "android" not in one.subject and one.kind not in expected
    ] == []
