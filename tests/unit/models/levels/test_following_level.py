"""Rules of levels that follow: how soon their step and spread take days for a change of the law."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from ctr_retrain.models.levels.following_level import LEAST_ADAPTATION, MOST_FASTER, FollowingLevel, Pace

PACE = Pace(level=3.0, step=0.02, weekday=0.0, spread=0.03, least_spread=0.01)
COUNTING = np.array([1e-6])


def taught(pace, days, then=()):
    """The level before and after some days, which follow so many calm ones."""
    level = FollowingLevel(1, pace)
    for value in np.random.default_rng(1).normal(0, 0.04, days):
        learn(level, value)
    later = deepcopy(level)
    for value in then:
        learn(later, value)
    return level, later


def learn(level, value):
    level.learn(np.array([value]), COUNTING, 0, np.array([True]))


def slope(days):
    """Days that go one way."""
    return [-0.06 * (day + 1) for day in range(days)]


def grown(pace, days):
    """Times by which six days that go one way raise the step."""
    before, after = taught(pace, days, slope(6))
    return float(after.step[0] / before.step[0])


def test_a_step_that_settles_takes_less_of_the_same_days_the_longer_its_history():
    settles = replace(PACE, settles=True)
    assert 1 < grown(settles, 120) < grown(settles, 40) < grown(PACE, 40)
    assert grown(PACE, 120) == pytest.approx(grown(PACE, 40), rel=0.3)


def test_a_step_that_settles_goes_on_to_adapt():
    before, after = taught(replace(PACE, settles=True), 250, slope(60))
    assert after.step[0] > before.step[0] * np.exp(30 * LEAST_ADAPTATION)
    assert after.step[0] <= MOST_FASTER * PACE.step


def test_a_longer_memory_takes_less_of_a_few_strange_days_for_the_spread():
    grown = {}
    for days in (40, 80):
        before, after = taught(replace(PACE, memory_days=days), 100, [0.3, -0.3, 0.3])
        grown[days] = float(after.own_spread2[0] - before.own_spread2[0])
    assert 0 < grown[80] < grown[40]
