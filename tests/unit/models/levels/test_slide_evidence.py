"""Rules of the evidence of slides: how seldom chance reaches it, how soon a slide does, and where it is dated."""

from copy import copy

import numpy as np
import pytest

from ctr_retrain.models.levels.slide_evidence import DOWN, UP, SlideEvidence

DEVIATION, GAIN = 0.05, 0.4


def watched(values):
    """Evidence after each day of a series around 0, whose level follows it by its gain."""
    evidence, level, days = SlideEvidence(), 0.0, []
    for value in values:
        evidence = evidence.after((value - level) / DEVIATION, DEVIATION)
        days.append(evidence)
        evidence = copy(evidence)
        evidence.follow(GAIN, level)
        level += GAIN * (value - level)
    return days


def test_chance_reaches_a_sum_no_oftener_than_its_run_length_allows():
    rng = np.random.default_rng(1)
    days, least = 40, 100.0
    values = []
    for _ in range(120):
        evidence = SlideEvidence()
        for error in rng.normal(size=days):
            evidence = evidence.after(error, DEVIATION)
            evidence.follow(GAIN, 0.0)
        values.append(evidence.log_values())
    above = (np.array(values) >= np.log(least)).mean(axis=0)
    assert (above <= days / least).all()  # Markov: the sum of so many likelihood ratios has a mean of so many days
    assert (np.exp(np.array(values)).mean(axis=0) <= days).all()
    assert above.max() > 0  # it is not never


@pytest.mark.parametrize(("way", "sign"), [(DOWN, -1), (UP, 1)])
def test_a_slide_is_found_within_a_week_dated_and_told_from_a_step(way, sign):
    rng = np.random.default_rng(2)
    calm = 30
    values = 0.5 * DEVIATION * rng.normal(size=calm + 10)
    values[calm:] += sign * 0.03 * np.arange(1, 11)
    days = watched(values)
    found = next(day for day, each in enumerate(days) if each.log_values()[way] >= np.log(250))
    assert calm < found < calm + 8
    assert abs((found - days[found].start(way)) - calm) <= 2
    assert days[-1].is_slide(way)
    assert days[-1].log_values()[1 - way] < np.log(250)


def test_a_step_is_told_from_a_slide():
    days = watched([0.0] * 20 + [-0.2] * 4)
    assert not days[-1].is_slide(DOWN)
    assert days[-1].start(DOWN) == 3


def test_the_way_back_from_good_days_is_compared_with_the_level_before_them():
    days = watched([0.0] * 15 + [0.3] * 3 + [0.0] * 4)
    assert days[-1].level_before(DOWN, 0.1) == pytest.approx(0.0, abs=0.01)
