"""Numbers of real logs on the days after the training window: the one that leaves it is named, and no other.

The logs lie in the folder that REAL_DATA names; where it is absent these tests are skipped.
"""

import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctr_retrain.models.features.number_drift import NumberDays, judge_number
from ctr_retrain.models.recipe.recipe import load_recipe
from tests.benchmarks.real_sets import DAY, SETS, prepared, recipe_of

DATA = Path(os.environ.get("REAL_DATA", "no folder"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="REAL_DATA names no folder of real logs")
# In the humid week of June 2013 a tenth of the flights had a dew point that the eight weeks before did not have.
NAMED = {"flights_late_june": ["dewp"], "flights_cancelled_june": ["dewp"]}
DOWNLOADED = {"movielens100k", "open_bandit"}


def numbers_of(name):
    """Each number of a set, day by day as a run reads it."""
    ready = prepared(name, DATA)
    training, rows = load_recipe(recipe_of(ready.set.recipe)).training, ready.rows()
    by_day = dict(list(rows.groupby(DAY)))
    (first, last), newest = ready.set.train, ready.set.run_day

    def values(day, number):
        found = by_day.get(str(day))
        return np.empty(0, np.float32) if found is None else pd.to_numeric(found[number]).to_numpy(np.float32)

    train = [first + timedelta(days=place) for place in range((last - first).days + 1)]
    validate = [last + timedelta(days=1 + place) for place in range(training.validation_days)]
    for number in ready.set.numbers:
        days = (tuple(values(day, number) for day in part) for part in (train, validate))
        yield NumberDays(number, *days, values(newest, number))


@pytest.mark.parametrize("name", sorted(SETS.keys() - DOWNLOADED))
def test_only_a_number_that_leaves_the_window_is_named(name):
    judged = [judge_number(number) for number in numbers_of(name)]
    assert [one.name for one in judged if one.message] == NAMED.get(name, []), judged
