"""The simulated world has no leak until it is given one: the demo's recipe on a week of it, honest and watched."""

from datetime import date, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.leaks.leak_signs import LABEL, LabelledSample, find_leaks
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.simulation.world import World, simulate_day
from tests.support.counts import draws
from tests.support.repository import RECIPES

FIRST_DAY, DAYS = date(2026, 3, 2), 7


@cache
def week(seed):
    """Impressions of a week, whether each was clicked, and its day's place."""
    days = [simulate_day(World(seed=seed, rows_per_day=6_000), FIRST_DAY + timedelta(days=day)) for day in range(DAYS)]
    clicked = {event for day in days for event in day.outcomes["event_id"].to_pylist()}
    impressions = pa.concat_tables(day.impressions for day in days)
    label = np.array([event in clicked for event in impressions["event_id"].to_pylist()], np.uint8)
    return impressions, label, np.repeat(np.arange(DAYS), [len(day.impressions) for day in days])


def held(impressions, label, day, *more):
    channel = impressions["channel"].to_numpy(zero_copy_only=False)
    sample = LabelledSample(impressions, channel, {LABEL: label}, day % 2 == 0)
    return [one.name for one in find_leaks(sample, [*load_recipe(RECIPES / "demo.toml").features, *more]) if one.signs]


@pytest.mark.parametrize("seed", [7, 11, 3][: draws(2, 3)])
def test_no_feature_of_the_demo_is_taken_for_a_leak(seed):
    assert not held(*week(seed))


def test_the_time_that_an_ad_was_watched_is():
    impressions, label, day = week(7)
    seconds = pa.array(np.exp(np.random.default_rng(1).normal(2.8 * label, 1.0)))
    watched = impressions.append_column("seconds", seconds)
    assert held(watched, label, day, feature_of({"name": "seconds", "kind": "bucketed"})) == ["seconds"]
