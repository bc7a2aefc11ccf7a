"""Rules of the closed loop in which policies are compared, on a short year."""

import numpy as np
import pytest

from tests.support.counts import draws
from tests.support.policies import Always, Oracle, Ours, PointEstimate, Policy, run_year
from tests.support.policy_world import CALM, CAMPAIGNS, DELAY, FAULTY, GROUPS, Log, World, Year, shrunk_ratios

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


def test_a_surrogate_answers_as_the_log_says_and_as_others_do_where_it_says_little():
    rows = np.full((GROUPS, CAMPAIGNS), 1e6)
    clicks = 0.02 * rows
    clicks[:, 3] *= 3  # a campaign that is liked, but by the first group
    clicks[0, 3] /= 3
    rows[5, 3] = clicks[5, 3] = 0
    level, groups, campaigns, cells = shrunk_ratios(rows, clicks)
    answer = level * np.outer(groups, campaigns) * cells
    known = rows > 0
    assert answer[known] == pytest.approx(clicks[known] / rows[known], rel=0.01)
    assert answer[5, 3] == pytest.approx(0.06, rel=0.1)


def test_a_surrogate_learns_of_a_campaign_from_its_own_days():
    world, day = World(4, 30, CALM), 20
    years = [Year(world, 4), Year(world, 4)]
    for year in years:
        year.start(day)
    before = min(years[0].window(day))
    (ended,) = np.flatnonzero(world.names[before] != world.names[day - DELAY - 1])[:1]
    log = years[1].logs[before]
    clicks = log.clicks.copy()
    clicks[:, ended] = log.rows[:, ended]
    years[1].logs[before] = Log(log.rows, clicks)
    models = [year.train(day, "recipe", 0.0) for year in years]
    assert np.array_equal(models[0].odds, models[1].odds)
