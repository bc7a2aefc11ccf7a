"""Maturity on the simulated world: a young day's ratio is corrected to what it becomes."""

from datetime import date, timedelta

import pyarrow.parquet as pq

from ctr_retrain.models.data.maturity import (
    correct_ratio,
    estimate_maturity,
    final_age,
)
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.label.label_day import count_young_day, label_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone


def test_newest_day_of_the_simulated_world_is_corrected_to_its_eventual_ratio(store, tiny_recipe, tmp_path, now):
    first, days = date(2026, 3, 2), 9
    world = World(seed=5, rows_per_day=60_000, ad_ctr=0.25, push_ctr=0.4)
    simulate(world, first, days, tmp_path / "world")
    recipe = tiny_recipe(features=[{"name": "hour", "kind": "hour"}])
    zone = LocalLandingZone(tmp_path / "world" / "landing")
    for number in range(days):
        ingest_day(store, zone, recipe, first + timedelta(days=number), now)
    newest = first + timedelta(days=days - 4)  # as of itself, with what is known three days later to compare
    mature = [label_day(store, recipe, first + timedelta(days=n), newest) for n in range(2)]
    tables = [pq.read_table(store.open(day.path) / "arrivals.parquet") for day in mature]
    corrected_where_young = 0
    for channel in ("ad", "push"):
        curve = estimate_maturity(tables, channel, "click", final_age(recipe, channel, "click"))
        counts = [count_young_day(store, recipe, newest, newest + timedelta(days=age), tmp_path) for age in (0, 3)]
        young = correct_ratio(counts[0], curve, channel, "click", str(newest), 0)
        eventual = correct_ratio(counts[1], curve, channel, "click", str(newest), 3)
        assert eventual.positives >= 5000
        if abs(young.seen / eventual.seen - 1) > 0.1:
            corrected_where_young += 1
            assert abs(young.corrected / eventual.seen - 1) < 0.03
    assert corrected_where_young == 1  # push, whose clicks take hours
