"""Rules of what a run warns of."""

from datetime import date, timedelta

import numpy as np
import pytest

from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
from ctr_retrain.models.weights.training_warnings import step_size_warning, training_warnings

CUT = date(2026, 3, 8)
DAYS = (CUT - timedelta(days=7), CUT)
MASS = ClassMass(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.ones(4), np.array([90, 10, 90, 10]))
PLAIN = {"class_weight": "none", "half_life_days": 1e9}


@pytest.fixture
def found(tiny_recipe):
    def of(days=DAYS, training=None, **weights):
        recipe = tiny_recipe(weights=weights, training=training or {})
        found = training_warnings(recipe, compute_factors(days, CUT, MASS, recipe.row_weights))
        return {warning.name: warning.message for warning in found}

    return of


def test_rows_that_all_count_alike_under_cross_entropy_need_no_warning(found):
    assert found((CUT, CUT), **PLAIN) == {}


def test_a_weighted_loss_is_said_to_be_comparable_with_nothing_and_why(found):
    words = found(half_life_days=7)["training_loss"]
    assert "rows weighed by age (half-life 7 days), positives weighed 9 times as much as negatives" in words
    assert "not with log loss on the validation days" in words


@pytest.mark.parametrize(
    ("weights", "training", "words"),
    [
        ({"class_weight": {"1": 4}}, {}, "positives weighed 4 times"),
        ({"negative_share": 0.1}, {}, "10 % of the negatives"),
        ({"positive_copies": 3}, {}, "each positive 3 times"),
        ({}, {"loss": "focal"}, "the focal kind (γ = 2)"),
    ],
)
def test_whatever_makes_the_loss_another_quantity_is_named(found, weights, training, words):
    assert found((CUT, CUT), training, **(PLAIN | weights))["training_loss"].startswith(
        f"The training loss is of {words}"
    )


def test_raw_weights_are_warned_of_where_the_optimizers_steps_feel_them(found):
    raw = {"class_weight": {"1": 91}, "half_life_days": 1e9, "normalise": False}  # mean 0.9 + 0.1 · 91 = 10
    words = found(**raw)["step_size"]
    assert "a mean of 10" in words
    assert "initial accumulator of 0.001" in words  # 0.1 / 10²
    assert "step_size" not in found(**raw | {"normalise": True})
    assert "step_size" not in found(training={"embedding_optimizer": "lazy_adam"}, **raw)
    assert "step_size" not in found(**PLAIN, normalise=False)  # their mean is 1 anyway


def test_of_other_optimizers_sgd_feels_raw_weights_and_adam_does_not():
    assert "steps of SGD are 50.5 times as long" in step_size_warning("SGD", 50.5).message
    assert step_size_warning("Adam", 50.5) is None
    assert step_size_warning("SGD", 1.0) is None


def test_repeated_positives_are_warned_of_where_there_are_embeddings_to_learn_them_by_heart(found):
    assert "learned from 3 times" in found(positive_copies=3)["repeated_positives"]
    assert "repeated_positives" not in found()


def test_autos_meaning_is_said(found):
    assert "means 'balanced'" in found(class_weight="auto")["auto_class_weight"]
