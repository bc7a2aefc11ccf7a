"""Rules of the closed loop in which policies are compared, on a short year."""

import numpy as np
import pytest

from tests.support.counts import draws
from tests.support.policies import Always, Oracle, Ours, PointEstimate, Policy, run_year
from tests.support.policy_world import CALM, FAULTY, World

DAYS = draws(40, 365)


@pytest.fixture(scope="module")
def world():
    return World(3, DAYS, CALM, 200_000)


def test_the_same_seed_gives_the_same_year(world):
    assert run_year(world, PointEstimate(), 20, 3) == run_year(world, PointEstimate(), 20, 3)


def test_who_knows_the_truth_pays_least_and_who_never_retrains_pays_for_it(world):
    best, never, always = (run_year(world, policy, DAYS, 3) for policy in (Oracle(), Policy(), Always()))
    assert best.cost < always.cost < never.cost < 0
    assert not best.harmful


def test_the_gates_own_rules_promote_sound_models_and_harm_nobody(world):
    ours, never = run_year(world, Ours(), DAYS, 3), run_year(world, Policy(), DAYS, 3)
    assert ours.promotions >= 3
    assert ours.cost < never.cost
    assert not ours.harmful


def test_truth_and_models_know_the_same_campaigns():
    world = World(5, 80, FAULTY)
    assert len(world.odds) == len(world.names) == 80
    assert len(np.unique(np.concatenate(world.names))) > 24
    assert world.rows.sum() == pytest.approx(50_000)
