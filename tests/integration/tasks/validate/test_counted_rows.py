"""Rules of counted rows, which the drift benchmark draws: they are the shares of the simulated world's own files."""

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from ctr_retrain.models.documents.day_documents import DaySummary
from ctr_retrain.models.drift.unusual_rows import NEW_USERS, UNATTRIBUTED
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.recipe.shipped_recipes import find_recipe
from ctr_retrain.models.simulation.daily_counts import channel_laws, draw_counts, stretch
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.store.layout import SUMMARY_FILE
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.protocol import find_document
from ctr_retrain.tasks.validate.row_shares import landed_shares, new_users
from tests.support.counted_rows import clicks_by_age, draw_row_shares
from tests.support.counts import draws
from tests.support.landed_day import ingest

FIRST, DAYS, DRAWS = date(2026, 3, 2), draws(18, 60), 20
WORLD = World(seed=5, rows_per_day=4000, ad_ctr=0.1, push_ctr=0.1)
LATER = slice(4, None)  # days that have outcomes of earlier ones, as the law does


@pytest.fixture(scope="module")
def of_files(tmp_path_factory):
    """The shares of the days that the world's files are ingested to."""
    folder = tmp_path_factory.mktemp("rows")
    simulate(WORLD, FIRST, DAYS, folder)
    store, recipe = LocalStore(folder / "root"), load_recipe(find_recipe(Path("demo")))
    summaries = []
    for day in stretch(FIRST, DAYS):
        ingest(store, folder / "landing", recipe, day, datetime(2026, 6, 1, tzinfo=UTC))
        summaries.append(find_document(store, current_day_object(store, day), SUMMARY_FILE, DaySummary))
    users = new_users([summary.users for summary in summaries])
    return [landed_shares(summary) | of_users for summary, of_users in zip(summaries, users, strict=True)]


@pytest.fixture(scope="module")
def drawn():
    """The same by law, several times."""
    days = stretch(FIRST, DAYS)
    laws, ages = (
        channel_laws(WORLD, days),
        clicks_by_age(World(seed=5, rows_per_day=100_000, ad_ctr=0.1, push_ctr=0.1), FIRST),
    )
    result = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        channels = {name: draw_counts(law, WORLD.rows_per_day, None, rng) for name, law in laws.items()}
        result.append([day.shares for day in draw_row_shares(days, channels, ages, WORLD.seed, rng)])
    return result


def share_of(days, name):
    """A share over all days that have it."""
    found = [shares[name] for shares in days[LATER] if name in shares]
    return sum(one.count for one in found) / sum(one.rows for one in found)


@pytest.mark.parametrize(
    "name",
    [
        "duplicates of impressions",
        "duplicates of outcomes",
        "quarantined impressions",
        "quarantined outcomes",
        "nulls of device",
        "nulls of bid_floor",
        "nulls of segment",
        UNATTRIBUTED,
        NEW_USERS,
    ],
)
def test_counted_rows_have_the_shares_of_the_worlds_files(of_files, drawn, name):
    expected = np.array([share_of(days, name) for days in drawn])
    chance = expected.std(ddof=1) * np.sqrt(1 + 1 / DRAWS)
    assert share_of(of_files, name) == pytest.approx(expected.mean(), abs=4.5 * chance)
    assert (chance == 0) == (name == "nulls of segment")
