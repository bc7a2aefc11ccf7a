"""Rules of the steps of refreshes: their sum, and what the next one is expected to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctr_retrain.models.ledger.refresh_steps import FEWEST_STEPS, MOST_STEPS, Step, next_step, sum_of_steps
from tests.support.counts import draws


def drawn(rng, count, mean=0.0, between=0.0, own=0.1):
    return [Step(mean + rng.normal(0, between) + rng.normal(0, own), own) for _ in range(count)]


def test_a_chain_is_as_far_from_its_beginning_as_its_steps_together():
    whole = sum_of_steps([Step(0.1, 0.03), Step(0.2, 0.04)], 1e6, 0.95)
    assert whole.estimate == pytest.approx(0.3)
    assert whole.high - whole.estimate == pytest.approx(1.96 * 0.05, rel=1e-3)


def test_the_next_step_lies_within_its_bounds_as_often_as_they_say():
    rng, within = np.random.default_rng(3), []
    for between in (0.0, 0.1, 0.3):
        for _ in range(draws(300, 3_000)):
            expected = next_step(drawn(rng, 15, -0.05, between), 0.95)
            within.append(expected.low <= -0.05 + rng.normal(0, between) <= expected.high)
    assert 0.93 <= np.mean(within) <= 0.99


def test_of_few_steps_nothing_is_expected_and_old_ones_are_forgotten():
    rng = np.random.default_rng(4)
    assert next_step(drawn(rng, FEWEST_STEPS - 1), 0.95) is None
    newest = drawn(rng, MOST_STEPS)
    assert next_step([Step(9.0, 0.1)] * 20 + newest, 0.95) == next_step(newest, 0.95)


def test_one_that_went_wrong_is_remembered():
    good = drawn(np.random.default_rng(5), 10, -0.1, own=0.05)
    assert next_step(good, 0.95).high < 0.1
    assert next_step([*good, Step(1.5, 0.05)], 0.95).high > 0.5


@given(st.lists(st.builds(Step, st.floats(-1e3, 1e3), st.floats(0, 1e3)), min_size=FEWEST_STEPS, max_size=80))
def test_bounds_are_numbers_around_the_mean_whatever_the_steps(steps):
    expected = next_step(steps, 0.95)
    assert expected.bounded
    assert expected.low <= expected.estimate <= expected.high
