"""Rules of what the window decides where the recipe doesn't: rows of a step, and learning rates."""

import pytest

from ctr_retrain.models.architectures.shipped_networks import NETWORKS
from ctr_retrain.models.recipe.training_section import Training
from ctr_retrain.models.training.training_steps import (
    ENSEMBLE_ROWS,
    LEAST_RATE,
    LEAST_ROWS,
    MOST_RATE,
    MOST_ROWS,
    STEPS,
    choose_batch_rows,
    choose_members,
    choose_rates,
)


@pytest.mark.parametrize("rows", [20_000, 46_000, 141_000, 1_000_000, 2_000_000])
def test_an_epoch_has_enough_steps_and_no_more_than_twice_as_many(rows):
    batch_rows = choose_batch_rows(Training(), rows, rows // 20)
    assert STEPS <= rows / batch_rows < 2 * STEPS
    assert batch_rows.bit_count() == 1


@pytest.mark.parametrize("rows", [2_048_000, 10_000_000, 100_000_000])
def test_a_large_window_has_the_largest_batches(rows):
    assert choose_batch_rows(Training(), rows, rows // 20) == MOST_ROWS


def test_a_tiny_window_has_the_smallest_batches():
    assert choose_batch_rows(Training(), 3000, 200) == choose_batch_rows(Training(), 1, 0) == LEAST_ROWS


def test_a_batch_has_a_positive_in_the_mean_where_positives_are_rare():
    assert choose_batch_rows(Training(), 40_000, 200) == 128
    assert choose_batch_rows(Training(), 40_000, 4000) == 64


@pytest.mark.parametrize("network", NETWORKS)
def test_fewer_steps_take_longer_ones_within_bounds(network):
    training = Training(network=network)
    rates = [choose_rates(training, steps)[0] for steps in (1, 300, 1000, 1_000_000)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[-1]) == (MOST_RATE, LEAST_RATE)


def test_a_small_window_has_an_ensemble_of_two_where_seeds_differ():
    assert choose_members(Training(), ENSEMBLE_ROWS - 1) == choose_members(Training(network="dcn_v2"), 1) == 2
    assert choose_members(Training(), ENSEMBLE_ROWS) == 1
    assert choose_members(Training(network="logistic_regression"), 1) == 1
    assert choose_members(Training(network="package.module:build"), 1) == 1


def test_what_the_recipe_sets_is_obeyed():
    assert choose_members(Training(ensemble=3), ENSEMBLE_ROWS) == 3
    training = Training(batch_rows=77, learning_rate=0.5, embedding_learning_rate=0.7)
    assert choose_batch_rows(training, 1_000_000, 10) == 77
    assert choose_rates(training, 3) == (0.5, 0.7)


def test_a_network_of_ones_own_has_rates_too():
    assert choose_rates(Training(network="package.module:build"), 1000) == choose_rates(Training(), 1000)
