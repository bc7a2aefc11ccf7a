"""Rules of the strategies that `compare` sets side by side: what they change, and which is simpler."""

import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.trials.strategies import FAMILIES, Grid, strategies

RATIO = 0.02


@pytest.fixture
def listed(tiny_recipe):
    def strategies_of(grid=None, wanted=(), ratio=RATIO, **changes):
        return strategies(tiny_recipe(**changes), grid or Grid(), ratio, wanted)

    return strategies_of


def names(found):
    return [strategy.name for strategy in found]


def by_name(found):
    return {strategy.name: strategy for strategy in found}


def test_all_families_are_compared_unless_some_are_named_and_unweighted_always_is(listed):
    capped = {"weights": {"cap": 5}}
    assert set(names(listed(**capped))) == set(FAMILIES)
    assert names(listed(wanted=["focal"], **capped)) == ["unweighted", "focal"]


def test_simpler_is_what_has_fewer_mechanisms_then_the_earlier_family(listed):
    found = listed(weights={"cap": 5, "positive_copies": 3})
    assert names(found) == [name for name in FAMILIES if name != "own"] + ["own"]
    assert [strategy.mechanisms for strategy in found] == [0, 1, 1, 1, 1, 1, 2, 4]


def test_unweighted_training_has_nothing_of_the_recipes_weights_sampling_and_loss(listed):
    weights = {"cap": 5, "positive_copies": 3, "negative_share": 0.5, "offset": False, "normalise": False}
    plain = listed(weights=weights, training={"loss": "focal"})[0]
    assert plain.changes == {
        "weights.half_life_days": 1e6,
        "weights.class_weight": "none",
        "weights.cap": 0.0,
        "weights.offset": True,
        "weights.negative_share": 1.0,
        "weights.positive_copies": 1,
        "weights.normalise": True,
        "training.loss": "cross_entropy",
    }


def test_each_strategy_changes_what_its_name_says_and_keeps_everything_else(listed, tiny_recipe):
    found = by_name(listed())
    weights = {name: strategy.recipe.weights for name, strategy in found.items()}
    assert (weights["recency"].half_life_days, weights["recency"].class_weight) == (7, "none")
    assert (weights["class_weights"].half_life_days, weights["class_weights"].class_weight) == (1e6, "balanced")
    assert found["focal"].recipe.training.loss == "focal"
    assert found["recency_class"].own  # the tiny recipe's: half of its window of 14 days, balanced
    assert found["recency_class"].changes == {}
    assert all(strategy.recipe.features == tiny_recipe().features for strategy in found.values())


def test_sampling_aims_at_a_tenth_of_positives_and_moves_the_odds_at_least_twice(listed):
    rare = by_name(listed())
    assert rare["downsampling"].recipe.weights.negative_share == 0.18  # 9 · 0.02 / 0.98 = 0.1837
    assert rare["oversampling"].recipe.weights.positive_copies == 5  # 0.98 / 0.02 / 9 = 5.44
    frequent = by_name(listed(ratio=0.3))
    assert frequent["downsampling"].recipe.weights.negative_share == 0.5
    assert frequent["oversampling"].recipe.weights.positive_copies == 2
    assert by_name(listed(ratio=0.0))["downsampling"].recipe.weights.negative_share == 0.5


def test_the_recipes_own_stands_once_under_its_familys_name(listed):
    found = listed(weights={"half_life_days": 3, "class_weight": "none", "class_power": 0.5})
    assert [strategy.name for strategy in found if strategy.own] == ["recency"]  # no class weight has no power
    assert "own" not in names(found)
    auto = listed(weights={"half_life_days": 3, "class_weight": "auto", "class_beta": 0.5})
    assert [strategy.name for strategy in auto if strategy.own] == ["recency_class"]  # auto means balanced
    assert not any(strategy.own for strategy in listed(wanted=["recency"], weights={"class_weight": "none"}))


def test_a_grid_varies_half_lives_and_class_powers_and_their_products(listed):
    found = listed(Grid((3, 14), (0, 0.5, 1)), ["recency", "class_weights", "recency_class"])
    assert names(found) == [
        "unweighted",
        *("recency_3d", "recency_14d", "class_weights_0.5", "class_weights_1"),
        *("recency_class_3d_0.5", "recency_class_3d_1", "recency_class_14d_0.5", "recency_class_14d_1"),
    ]
    weights = by_name(found)["recency_class_14d_0.5"].recipe.weights
    assert (weights.half_life_days, weights.class_weight, weights.class_power) == (14, "balanced", 0.5)


def test_recency_is_half_a_window_where_the_recipe_has_none(listed):
    found = by_name(listed(weights={"half_life_days": 5000}))
    assert found["recency"].recipe.weights.half_life_days == 7


def test_unknown_names_and_impossible_grids_are_refused(listed):
    with pytest.raises(UsageError, match=r"--strategies: expected some of unweighted, .*received 'smote'"):
        listed(wanted=["recency", "smote"])
    with pytest.raises(UsageError, match="--half-lives: expected days above 0, received 0"):
        Grid((0,))
    with pytest.raises(UsageError, match="--class-powers: expected 0 to 1, received 2"):
        Grid((), (2,))
