"""A toy world that training tests share, also those whose training runs in another process."""

from datetime import date, timedelta

import numpy as np
import tensorflow as tf

from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.recipe.training_section import Training
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.training.batches import TrainingRows, make_batches
from ctr_retrain.models.training.training_loop import train
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
from tests.support.known_values import of_rows

DAY = date(2026, 3, 8)
ROWS = 20_000
FEATURES = (of_rows(Categorical(name="user"), 50), Numeric(name="age", encoding="standardized"))


def toy(n=ROWS, seed=1, days=1):
    """Users differ widely in their click probability, and so do ages; about one row in ten is a positive."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, 50, (n, 1)).astype(np.int32)
    age = rng.normal(size=(n, 1)).astype(np.float32)
    truth = -3 + 2 * np.sin(ids[:, 0]) + age[:, 0]
    label = (rng.random(n) < 1 / (1 + np.exp(-truth))).astype(np.uint8)
    return TrainingRows(ids, age, label, (np.arange(n) * days // n).astype(np.int16)), truth


def recipe(**training):
    options = {"network": "deepfm", "embedding_dim": 4, "hidden_units": (8,), "batch_rows": 250} | training
    return Recipe(
        name="toy",
        channels={"ad": Channel(positive_ratio=(0, 1), cost=Cost(true_positive=-1, false_positive=0.02))},
        features=FEATURES,
        training=Training(**options),
        gate=Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1),
    )


def factors_of(rows, weights=None):
    cell, count = np.unique(2 * rows.day_index.astype(int) + rows.label, return_counts=True)
    mass = ClassMass(cell // 2, cell % 2, np.ones(len(cell)), count)
    days = tuple(DAY + timedelta(days=number) for number in range(rows.day_index.max() + 1))
    weights = weights or Weights()
    half_life_days = weights.half_life_days or 7
    return compute_factors(days, days[-1], mass, weights.model_copy(update={"half_life_days": half_life_days}))


def batches_of(rows, factors, rules):
    return make_batches(rows, factors, rules.training.batch_rows, seed=7)


def trained(rows, *, progress=None, weights=None, kept_out=None, checkpoints=None, strategy=None, **training):
    """Network and result; `kept_out`: rows to stop by."""
    rules = recipe(**training)
    strategy = strategy or tf.distribute.get_strategy()
    factors = factors_of(rows, weights)
    with strategy.scope():
        network = build_network(rules, NumericState((False,), (0.0,), (1.0,)), factors.base_log_odds, 7)
    stopping = batches_of(kept_out, factors, rules) if kept_out else None
    batches, more = batches_of(rows, factors, rules), {"checkpoints": checkpoints, "strategy": strategy}
    return network, train(network, batches, rules.training, progress, stopping=stopping, **more)
