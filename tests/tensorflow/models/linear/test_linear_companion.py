"""A solved linear model beside a network: the weighted mean of both models' logits, where recipe and rows allow it."""

from dataclasses import replace

import numpy as np
import pytest

from ctr_retrain.models.features.standardize import fit_numeric_state
from ctr_retrain.models.linear.linear_companion import has_companion, mean_of, solve_companion
from ctr_retrain.models.linear.solved_network import solve_network
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.head_section import Head
from ctr_retrain.models.recipe.warm_start_section import WarmStart
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.training.training_loop import logits_function
from tests.support.toy_training import recipe
from tests.tensorflow.models.linear.test_solved_network import ALL, linear


def deep(known, **keys):
    of = recipe(network="deepfm")
    return of.model_copy(update={"features": known, "training": of.training.model_copy(update=keys)})


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_what_is_served_is_the_weighted_mean_of_its_logits_and_those_of_a_linear_network_that_is_solved(share):
    solved, rows, known, factors, _ = linear(ALL, Weights(half_life_days=2.0, class_weight="balanced"))
    of, state, base = deep(known, ensemble=2), fit_numeric_state([rows.numeric], known), factors.base_log_odds
    network = build_network(of, state, base, 7)
    companion, solution = solve_companion(of, state, base, rows, factors)
    expected = solve_network(solved, rows, factors, known)
    models = (network, solved, mean_of(network, companion, share))
    alone, line, mean = (logits_function(model)(rows.ids, rows.numeric) for model in models)
    np.testing.assert_allclose(mean, (1 - share) * alone + share * line, atol=1e-4)
    assert np.std(line - alone) > 0.1
    assert solution.settled
    assert solution.penalties == pytest.approx(expected.penalties, rel=1e-3)


def test_a_network_of_latent_vectors_has_one_unless_the_recipe_goes_on_with_its_weights(monkeypatch):
    _, rows, known, _, _ = linear(ALL, Weights(half_life_days=2.0))
    assert has_companion(deep(known), rows)
    assert has_companion(deep(known, loss="focal"), rows)
    assert has_companion(deep(known, linear_share=0.3), rows)
    assert not has_companion(deep(known, linear_share=0), rows)
    assert not has_companion(deep(known, heads=(Head(kind="buy"),)), rows)
    assert not has_companion(deep(known, ship="fresh"), rows)
    assert not has_companion(deep(known).model_copy(update={"warm_start": WarmStart(enabled=True)}), rows)
    assert not has_companion(recipe(network="logistic_regression").model_copy(update={"features": known}), rows)
    assert not has_companion(deep(known), replace(rows, maturity=np.ones(len(rows), np.float32)))
    assert not has_companion(deep(known), replace(rows, label=np.zeros_like(rows.label)))
    monkeypatch.setattr("ctr_retrain.models.linear.linear_companion.MOST_CELLS", 1000)
    assert not has_companion(deep(known), rows)
