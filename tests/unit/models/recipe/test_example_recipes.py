"""Rules of the recipes for real logs: they load, and hold nothing that one must know of networks to write."""

import tomllib

import pytest

from ctr_retrain.models.recipe.recipe import load_recipe
from tests.benchmarks.real_sets import SETS, recipe_of
from tests.support.repository import REPOSITORY

EXAMPLES = sorted((REPOSITORY / "infra" / "examples" / "real_logs").glob("*.toml"))
DAYS_AND_FLOORS = {"window_days", "validation_days"}  # that a recipe of these may set for training
OF_A_FEATURE = {"name", "kind", "column", "delimiter"}
CLOCKS = {"hour": "hr", "weekday": "dow"}  # what the product computes and its peers read as columns


def written(path):
    return tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_recipe_for_a_real_log_loads_under_its_own_name(path):
    assert load_recipe(path).name == path.stem


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_recipe_for_a_real_log_leaves_networks_sizes_and_rates_to_the_defaults(path):
    recipe = written(path)
    assert set(recipe["training"]) <= DAYS_AND_FLOORS
    assert {key for feature in recipe["features"] for key in feature} <= OF_A_FEATURE
    assert not recipe.keys() & {"weights", "warm_start"}


def test_each_recipe_for_a_real_log_is_measured():
    assert {recipe_of(one.recipe).name for one in SETS.values()} == {path.name for path in EXAMPLES}


@pytest.mark.parametrize("name", SETS)
def test_peers_read_the_columns_that_the_recipe_reads(name):
    one = SETS[name]
    recipe = load_recipe(REPOSITORY / recipe_of(one.recipe))
    ours = {CLOCKS.get(feature.name, feature.name) for feature in recipe.features}
    assert ours == {*one.categories, *one.several, *one.numbers}


@pytest.mark.parametrize("name", SETS)
def test_a_run_trains_on_the_training_days_and_on_no_test_day(name):
    one = SETS[name]
    training = load_recipe(REPOSITORY / recipe_of(one.recipe)).training
    assert (one.train[1] - one.train[0]).days < training.window_days
    assert str(one.train[0]) < one.tuned_from <= str(one.train[1]) + " 24"
    assert one.test[0] > one.train[1]
