"""Rules of the recommendation: the simplest strategy that the evidence supports, and nothing where it doesn't."""

from itertools import pairwise

import pytest

from ctr_retrain.models.trials.differences import Difference
from ctr_retrain.models.trials.recommendation import recommend
from ctr_retrain.models.trials.strategies import Grid, strategies

ALPHA = 0.05
SURE, UNSURE = 0.001, 0.2


@pytest.fixture
def order(tiny_recipe):
    recipe = tiny_recipe(weights={"cap": 3})
    return strategies(recipe, Grid(), 0.02, ["recency", "class_weights", "recency_class", "own"])


def levels(order, *values):
    return dict(zip((strategy.name for strategy in order), values, strict=True))


def judged(order, level, p=SURE):
    """By the strategies' true levels, each difference of which has the same p; none has p 1."""

    def difference(one, other):
        value = level[one] - level[other]
        return Difference(value, value - 0.1, value + 0.1, p if value else 1.0)

    return recommend(order, difference, "log_loss", ALPHA)


def test_the_order_is_that_of_simplicity(order):
    assert [strategy.name for strategy in order] == ["unweighted", "recency", "class_weights", "recency_class", "own"]
    assert all(one.mechanisms <= other.mechanisms for one, other in pairwise(order))


def test_of_those_that_are_alike_and_better_the_simplest_is_recommended(order):
    found = judged(order, levels(order, 5, 4, 4, 4, 4))
    assert found.name == "recency"
    assert "recency (half-life 7 days) is better than unweighted by the log loss" in found.message
    assert "−1.00000 (−1.10000 to −0.90000)" in found.message
    assert 'In the recipe: weights.class_weight = "none", weights.cap = 0.' in found.message


def test_a_less_simple_one_is_recommended_where_it_is_surely_better_than_the_simpler(order):
    found = judged(order, levels(order, 5, 4, 4, 3, 3))
    assert found.name == "recency_class"
    assert "is better than recency " in found.message


def test_the_recipes_own_needs_no_change(order):
    assert judged(order, levels(order, 5, 4, 4, 4, 2)).message.endswith("It is what the recipe does.")


def test_without_evidence_nothing_is_recommended_and_the_words_say_why(order):
    found = judged(order, levels(order, 5, 4, 4, 4, 4), p=UNSURE)
    assert found.name is None
    assert "doesn't separate" in found.message
    assert "corrected for 4 comparisons" in found.message
    assert "0.8, of recency" in found.message  # 4 · 0.2


def test_evidence_that_does_not_outlast_the_correction_is_none(order):
    assert judged(order, levels(order, 5, 4, 5, 5, 5), p=0.02).name is None  # 4 · 0.02 > 0.05
    assert judged(order, levels(order, 5, 4, 5, 5, 5), p=0.012).name == "recency"


def test_unweighted_is_recommended_where_all_others_are_surely_worse_and_not_where_one_is_open(order):
    assert judged(order, levels(order, 1, 2, 2, 2, 2)).name == "unweighted"
    assert judged(order, levels(order, 1, 2, 2, 1, 2)).name is None


def test_nothing_to_compare_recommends_nothing(order):
    assert recommend(order[:1], None, "log_loss", ALPHA).name is None
