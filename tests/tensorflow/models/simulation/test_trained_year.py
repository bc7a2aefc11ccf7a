"""The closed loop of policies with real training, and the surrogates' errors beside the trained networks'.

In `make soak` it is a year: some two seconds of processor a night and policy.
"""

from functools import cache

import numpy as np
import pytest

from tests.support.counts import SOAK, draws
from tests.support.gate_years import MARGIN
from tests.support.model_errors import error_figures
from tests.support.policies import FIRST_NIGHT, Always, Ours, run_year
from tests.support.policy_world import DELAY, Faults, World, Year
from tests.support.trained_year import TrainedYear, recorded

DAYS = draws(FIRST_NIGHT + DELAY + 3, 365)
FAULTS = Faults(broken_logger=60, rotting=100, regime_change=200, harmful_change=280)
IMPRESSIONS = 20_000
FRESHNESS = draws(0.0, MARGIN)  # what it is worth at least, per 1,000: 1.5 by surrogates within a year
LONGEST_HARM = DELAY + 1 + 3  # days until labels are final, a validation day, and three more


@pytest.fixture(scope="module")
def world():
    return World(0, DAYS, FAULTS, IMPRESSIONS)


@pytest.fixture(scope="module")
def year_of(world):
    """Of a kind of policy: what its year came to, the tenures, and all models that were made."""

    @cache
    def run(kind):
        year, policy = TrainedYear(world, 0), kind()
        made = recorded(year)
        return run_year(world, policy, DAYS, 0, lambda *_: year), policy.tenures, made

    return run


def test_the_gate_is_better_than_the_first_model_for_ever_and_harms_for_days_at_most(world, year_of):
    outcome, tenures, made = year_of(Ours)
    first = np.mean([world.cost(day, tenures[0].model) for day in range(FIRST_NIGHT, DAYS)])
    assert len(made) > 1
    assert outcome.cost <= first - FRESHNESS
    assert max(outcome.harmful, default=0) <= LONGEST_HARM


# Asked of the whole year alone: the few nights of `make test` are too short for either policy to gain or lose.
@pytest.mark.skipif(not SOAK, reason="a second year of training: make soak")
def test_what_the_gate_holds_back_costs_no_more_than_a_tenth_of_the_margin(year_of):
    assert year_of(Ours)[0].cost <= year_of(Always)[0].cost + 0.1 * MARGIN


def test_a_trained_model_knows_groups_campaigns_and_pairs(world, year_of):
    model = year_of(Ours)[2][-1]
    truth = world.odds[model.day - DELAY - 1]
    traffic = world.rows.ravel()
    within = [odds - odds.mean(axis=0) for odds in (model.odds, truth)]
    assert np.cov(*(each.ravel() for each in within), aweights=traffic)[0, 1] > 0
    assert np.corrcoef(model.odds.mean(axis=0), truth.mean(axis=0))[0, 1] > 0.5
    assert np.corrcoef(model.newcomers, world.groups)[0, 1] > 0.3


def test_the_surrogates_errors_are_as_large_as_the_trained_networks(world, year_of):
    _, _, made = year_of(Ours)
    sound = [model for model in made if FAULTS.error_of(model.day, model.recipe) == 0]
    year = Year(world, 0)
    alike = recorded(year)
    run_year(world, Always(), DAYS, 0, lambda *_: year)
    trained, surrogate = (error_figures(world, models) for models in (sound, alike[: len(sound)]))
    for name in ("campaigns", "cells"):
        assert 0.6 < surrogate[name] / trained[name] < 1.6, name
    assert trained["next_night"] > 0.75
    assert surrogate["next_night"] > 0.75
    assert abs(trained["level"]) < 0.2
