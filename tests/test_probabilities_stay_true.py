"""Whatever is done against imbalance, Σp/Σy on unseen days stays near 1, without the calibration layer and with it.

The simulated world, 40,000 impressions a day of which 7 to 8 % are clicked, ten days to train on and three to judge by:
about 20,000 positives to train on, 6,000 to calibrate on, 8,000 to judge by, so that sampling errors of a ratio are
about 1.5 %. The demo recipe's network, smaller, so that each strategy takes seconds.
"""

from pathlib import Path

import pytest

from models.calibration import ISOTONIC_POSITIVES, fit_calibration
from models.recipe import load_recipe
from models.world import World
from tests.simulated_rows import calibration_ratio, logits, slices_of, trained

RECIPE = load_recipe(Path(__file__).parent.parent / "infra" / "recipes" / "demo.toml")
WORLD = World(seed=3, rows_per_day=40_000, ad_ctr=0.08, push_ctr=0.07)
SMALL = {
    "embedding_dim": 4,
    "hidden_units": (32, 16),
    "batch_rows": 1024,
    "learning_rate": 0.005,
    "embedding_learning_rate": 0.05,
}
PLAIN = {"class_weight": "none"}
BALANCED = {"class_weight": "balanced", "class_power": 1.0}
STRATEGIES = {
    "class weights": (BALANCED, {}),
    "capped class weights": (BALANCED | {"cap": 2.0}, {}),
    "downsampling": (PLAIN | {"negative_share": 0.1}, {}),
    "oversampling": (PLAIN | {"positive_copies": 3}, {}),
    "focal loss": (PLAIN, {"loss": "focal"}),
    "focal loss and class weights": (BALANCED, {"loss": "focal"}),
}


@pytest.fixture(scope="module")
def slices():
    """Rows for training, for calibration, and of the unseen days."""
    return slices_of(WORLD, RECIPE.features, training_days=10, unseen_days=3, calibration_share=0.3)


@pytest.fixture(scope="module", params=STRATEGIES)
def network(request, slices):
    weights, training = STRATEGIES[request.param]
    changed = {
        "weights": RECIPE.weights.model_copy(update=weights),
        "training": RECIPE.training.model_copy(update=SMALL | training),
    }
    return trained(slices[0], RECIPE.model_copy(update=changed))


def test_slices_hold_the_positives_that_the_bounds_need(slices):
    assert min(rows.label.sum() for rows in slices) >= ISOTONIC_POSITIVES


def test_without_the_calibration_layer_predicted_positives_are_nearly_those_seen(slices, network):
    assert 0.9 < calibration_ratio(network, slices[2]) < 1.1


def test_with_the_calibration_layer_they_are_closer_still(slices, network):
    _, kept_out, unseen = slices
    calibration = fit_calibration(logits(network, kept_out), kept_out.label)
    assert 0.95 < calibration_ratio(network, unseen, calibration) < 1.05
