"""The share of the linear model beside a network: what kept-out rows say, the prior where they say little."""

import numpy as np
import pytest

from ctr_retrain.models.linear.linear_companion import FIRST_SHARE, LEAST_SHARE, MOST_SHARE, SHARE_SD, choose_share


def predicted(n, share, seed=1, level=0.0):
    """Logits of two models, and labels of their mean by that share."""
    rng = np.random.default_rng(seed)
    network, linear = rng.normal(-2, 1, (2, n)).astype(np.float32)
    truth = (1 - share) * network + share * linear + level
    return network, linear, (rng.random(n) < 1 / (1 + np.exp(-truth))).astype(np.uint8)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("level", [0.0, 0.7])
def test_many_rows_find_the_share_that_made_them_whatever_their_level(share, level):
    assert choose_share(*predicted(200_000, share, level=level)) == pytest.approx(share, abs=0.02)


def test_a_model_that_says_nothing_has_no_share():
    assert choose_share(*predicted(200_000, 0.0)) == 0
    assert choose_share(*predicted(200_000, 1.0)) == MOST_SHARE
    found = [choose_share(*predicted(20_000, 0.02, seed)) for seed in range(20)]
    assert all(share == 0 or share >= LEAST_SHARE for share in found)


def test_few_rows_leave_it_near_the_prior():
    found = [choose_share(*predicted(50, 0.0, seed)) for seed in range(40)]
    assert FIRST_SHARE - SHARE_SD < np.mean(found) < FIRST_SHARE
    assert choose_share(*predicted(50, 0.0)[:2], np.zeros(50, np.uint8)) == FIRST_SHARE


def test_two_models_that_agree_say_nothing_of_it():
    network, _, label = predicted(10_000, 0.0)
    assert choose_share(network, network, label) == pytest.approx(FIRST_SHARE)
