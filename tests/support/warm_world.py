"""Warm and cold training on the simulated world while users' tastes drift, for a test and a benchmark.

A cold model is trained on a whole window. From it a chain of warm ones goes on, each from its predecessor and on one
more day. In the end a cold one is trained on the window up to the same day, and both are judged on the days after it,
against the true probabilities: log loss in expectation, free of the labels' noise.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from ctr_retrain.models.features.vocabulary import ValueCounts, fit_values, unseen_rows
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.recipe.warm_start_section import WarmStart
from ctr_retrain.models.simulation.scenarios import DriftingTastes
from ctr_retrain.models.simulation.world import World
from ctr_retrain.models.training.batches import TrainingRows
from ctr_retrain.models.training.warm_start import SourceModel
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
from ctr_retrain.tasks.train.calibrate_network import logits_of
from ctr_retrain.tasks.train.fit_network import fit_network
from ctr_retrain.tasks.train.training_rows import TrainingSplit
from tests.support.known_values import counted
from tests.support.repository import RECIPES
from tests.support.simulated_rows import FIRST_DAY, joined, rows_of_day

RECIPE = load_recipe(RECIPES / "demo.toml")
JUDGED_DAYS = 2


def drifting_world(seed, rows_per_day):
    """Campaigns launch and end, and in two weeks tastes are hardly related to what they were."""
    tastes = DriftingTastes(sd=0.5, memory_days=14)
    return World(seed=seed, rows_per_day=rows_per_day, ad_ctr=0.05, push_ctr=0.04, incidents=(tastes,))


def days_of(world, count):
    """Encoded rows of the world's first days."""
    return [rows_of_day(world, RECIPE.features, number) for number in range(count)]


def fitted(days, window, source_model=None, **warm_start):
    """Network and donor for the next, trained on the days; window: days up to the same one, for what expires."""
    recipe = RECIPE.model_copy(update={"warm_start": WarmStart(enabled=True, **warm_start)})
    features, values = fit_values(RECIPE.features, [counted(dictionary, rows.ids) for rows, dictionary in window])
    rows = joined(days, features)
    first = int(rows.day_index.min())
    cell, count = np.unique(2 * (rows.day_index.astype(int) - first) + rows.label, return_counts=True)
    mass = ClassMass(cell // 2, cell % 2, np.ones(len(cell)), count)
    of = tuple(FIRST_DAY + timedelta(days=first + number) for number in range(len(days)))
    factors = compute_factors(of, of[-1], mass, recipe.row_weights)
    train = TrainingRows(rows.ids, rows.numeric, rows.label, rows.day_index - np.int16(first))
    train = replace(train, unseen=unseen_rows(features, values, int(rows.label.sum())))
    recent = joined(window, features).ids if source_model else None
    of_days = [rows.ids[train.day_index == number] for number in range(len(days))]
    counts = ValueCounts.of_days([np.bincount(ids.ravel(), minlength=rows.ids.max() + 1) for ids in of_days])
    row_ranges = TrainingSplit(train, None, None, features, values, recent, counts)
    fit = fit_network(row_ranges, recipe, factors, lambda _done, _total: None, source_model=source_model)
    return Model(fit.network, features), SourceModel(recipe, fit.state, fit.trainable), len(rows.label)


@dataclass(frozen=True)
class Model:
    """A network, and the features that know the values that it has rows for."""

    network: Any
    features: tuple


def log_loss(model, days):
    """In expectation over the labels, nats per impression, of the network's own probabilities."""
    rows = joined(days, model.features)
    logit = np.float64(logits_of(model.network, rows.ids, rows.numeric))
    return float((np.logaddexp(0, logit) - rows.best_probability * logit).mean())


def best_log_loss(days):
    """What the true probabilities have."""
    p = np.concatenate([rows.best_probability for rows, _ in days])
    return float(-(p * np.log(p) + (1 - p) * np.log1p(-p)).mean())


def chain(days, window_days, steps, source_model, **warm_start):
    """The last of a chain of warm models that goes on from a model of the first window, and the rows of its own day."""
    for step in range(1, steps + 1):
        last = window_days + step
        network, source_model, rows = fitted(days[last - 1 : last], days[step:last], source_model, **warm_start)
    return network, rows
