"""What training reaches on the simulated world, where the truth is known, on the three days after those it saw.

Volume: 90,000 impressions a day, 14 days to train on and 3 to judge by, which leaves sampling errors of about 1.5 %
in the calibration ratios. Clicks are made more frequent than the world's default (5 and 4 % are asked for), which gets
the positives for less time: about 48,000 to train on, 8,700 to calibrate on, 11,700 to judge by. Tried with the seeds 1
to 8, all bounds held: 85 to 92 % of the way to the best AUC; calibration ratio 0.98 to 1.05 with the offset, 9.1 to
10.7 without it, 0.955 to 1.04 with the calibration layer.

The days right after the training days are what a model that is retrained daily meets. Judged by a whole week instead
(at 60,000 a day), two seeds of eight ended at 0.93 and 0.94 with the layer: the ratio falls by about 4 % from the first
day to the week's mean, and the users kept out for calibration, of whom training saw half as many days, are predicted 1
to 4 % higher, measured against the truth, than the others.
"""

from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from models.batches import TrainingRows, make_batches
from models.calibration import ISOTONIC_POSITIVES, Calibration, fit_calibration
from models.factors import ClassMass, compute_factors
from models.features import encode
from models.metrics import roc_auc
from models.network import build_network
from models.recipe import load_recipe
from models.standardize import fit_numeric_state
from models.training import predict_logits, train
from models.world import ATTRIBUTION_WINDOW_HOURS, World, simulate_day

RECIPE = load_recipe(Path(__file__).parent.parent / "infra" / "recipes" / "demo.toml")
WORLD = World(seed=3, rows_per_day=90_000, ad_ctr=0.05, push_ctr=0.04)
FIRST_DAY = date(2026, 3, 2)
TRAINING_DAYS = 14
UNSEEN_DAYS = 3
CALIBRATION_SHARE = 0.3  # of the users of the newest seven days, for 5,000 positives and more
UNCALIBRATED = Calibration("identity", 0, 0)


@dataclass(frozen=True)
class Rows:
    ids: np.ndarray
    numeric: np.ndarray
    label: np.ndarray
    day_index: np.ndarray
    best_probability: np.ndarray

    def where(self, chosen):
        return Rows(*(getattr(self, field.name)[chosen] for field in fields(self)))


def clicked_within_window(simulated):
    impressions, outcomes = simulated.impressions, simulated.outcomes
    clicks = outcomes.filter(pc.equal(outcomes["kind"], "click"))
    row = pc.index_in(clicks["event_id"], impressions["event_id"].combine_chunks()).to_numpy()
    delay = clicks["ts"].to_numpy() - impressions["ts"].to_numpy()[row]
    push = impressions["channel"].to_numpy()[row] == "push"
    window = np.where(push, ATTRIBUTION_WINDOW_HOURS["push"], ATTRIBUTION_WINDOW_HOURS["ad"])
    label = np.zeros(impressions.num_rows, np.uint8)
    label[row[delay <= window.astype("timedelta64[h]")]] = 1
    return label


def rows_of_day(number):
    simulated = simulate_day(WORLD, FIRST_DAY + timedelta(days=number))
    encoded = encode(simulated.impressions, RECIPE.features)
    label = clicked_within_window(simulated)
    day_index = np.full(len(label), number, np.int16)
    return Rows(encoded.ids, encoded.numeric, label, day_index, simulated.truth["best_probability"].to_numpy())


@pytest.fixture(scope="module")
def slices():
    """Rows for training, for calibration, and of the unseen days."""
    days = [rows_of_day(number) for number in range(TRAINING_DAYS + UNSEEN_DAYS)]
    rows = Rows(*(np.concatenate([getattr(day, field.name) for day in days]) for field in fields(Rows)))
    unseen = rows.day_index >= TRAINING_DAYS
    user = rows.ids[:, 0]  # the first feature of the recipe
    kept_out = ~unseen & (rows.day_index >= TRAINING_DAYS - 7) & (user % 100 < 100 * CALIBRATION_SHARE)
    return rows.where(~unseen & ~kept_out), rows.where(kept_out), rows.where(unseen)


def trained(rows, **weights):
    """The demo recipe's network, trained on these rows under its weights changed by `weights`."""
    cell, count = np.unique(2 * rows.day_index.astype(int) + rows.label, return_counts=True)
    mass = ClassMass(cell // 2, cell % 2, np.ones(len(cell)), count)
    days = tuple(FIRST_DAY + timedelta(days=number) for number in range(TRAINING_DAYS))
    factors = compute_factors(days, days[-1], mass, RECIPE.weights.model_copy(update=weights))
    training = RECIPE.training
    state = fit_numeric_state([rows.numeric], RECIPE.features)
    network = build_network(RECIPE, state, factors.base_log_odds, training.seed)
    training_rows = TrainingRows(rows.ids, rows.numeric, rows.label, rows.day_index)
    train(network, make_batches(training_rows, factors, training.batch_rows, training.seed), training)
    return network


@pytest.fixture(scope="module")
def balanced(slices):
    """Trained with positives weighed so that both classes have the same mass, offset on."""
    return trained(slices[0], class_weight="balanced", class_power=1.0)


def logits(network, rows):
    return predict_logits(network, rows.ids, rows.numeric)


def calibration_ratio(network, rows, calibration=UNCALIBRATED):
    """Σp/Σy."""
    return calibration.apply(logits(network, rows)).sum() / rows.label.sum()


def test_the_demo_recipe_goes_three_quarters_of_the_way_to_the_best_auc_on_unseen_days(slices):
    training, _, unseen = slices
    auc = roc_auc(unseen.label, logits(trained(training), unseen))
    best = roc_auc(unseen.label, unseen.best_probability)
    assert auc - 0.5 > 0.75 * (best - 0.5)
    assert auc < best


def test_slices_hold_the_positives_that_the_bounds_need(slices):
    _, calibration, unseen = slices
    assert calibration.label.sum() >= ISOTONIC_POSITIVES
    assert unseen.label.sum() >= 5000


def test_with_the_offset_balanced_weights_leave_probabilities_nearly_true_even_uncalibrated(slices, balanced):
    assert 0.9 < calibration_ratio(balanced, slices[2]) < 1.1


def test_without_the_offset_balanced_weights_multiply_them(slices):
    training, _, unseen = slices
    without = trained(training, class_weight="balanced", class_power=1.0, offset=False)
    assert calibration_ratio(without, unseen) > 5


def test_the_calibration_layer_brings_them_closer_still(slices, balanced):
    _, kept_out, unseen = slices
    calibration = fit_calibration(logits(balanced, kept_out), kept_out.label)
    assert calibration.method == "isotonic"
    assert 0.95 < calibration_ratio(balanced, unseen, calibration) < 1.05
