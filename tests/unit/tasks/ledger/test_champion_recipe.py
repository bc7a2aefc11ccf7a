"""Rules of the recipe by which a champion is refreshed while a changed one is on trial."""

import pytest

from ctr_retrain.tasks.ledger.champion_recipe import judged_alike

GATE = {"max_cost_delta_per_1000": 3.0, "min_rows": 7}
PRICES = {"channels": {"ad": {"cost": {"false_positive": 0.04}}}}


def test_it_trains_as_the_champion_did_and_is_judged_as_the_changed_one(tiny_recipe):
    own, changed = tiny_recipe(), tiny_recipe(training={"window_days": 5, "seed": 9}, gate=GATE, **PRICES)
    kept = judged_alike(own, changed)
    assert kept.training_digest == own.training_digest != changed.training_digest
    assert (kept.gate, kept.training.seed) == (changed.gate, 9)
    assert kept.channels["ad"].cost == changed.channels["ad"].cost
    assert kept.training.yardstick_every == kept.training.seed_twin_every == 0


def with_features(tiny_recipe, change):
    features = [feature.model_dump(mode="json", exclude_defaults=True) for feature in tiny_recipe().features]
    return tiny_recipe(features=change(features))


def test_a_feature_more_keeps_nobody_from_refreshing_the_champion(tiny_recipe):
    more = with_features(tiny_recipe, lambda features: [*features, {"name": "weather", "kind": "categorical"}])
    own = tiny_recipe()
    assert judged_alike(own, more).training_digest == own.training_digest


def test_a_column_that_the_changed_recipe_does_not_read_is_named(tiny_recipe):
    fewer = with_features(tiny_recipe, lambda features: [one for one in features if one["name"] != "bid"])
    assert judged_alike(tiny_recipe(), fewer).endswith("otherwise: bid.")
    assert "nobody refreshes the champion" in judged_alike(tiny_recipe(), fewer)


@pytest.mark.parametrize(
    "change",
    [
        {"channels": {"ad": {"attribution_window_hours": 12}}},
        {"channels": {"push": {"positive_kind": "open"}}},
        {"landing": {"early_minutes": 7}},
    ],
)
def test_other_labels_and_other_reading_are_said(tiny_recipe, change):
    assert "reads files, channels or labels otherwise" in judged_alike(tiny_recipe(), tiny_recipe(**change))
