"""Encoded rows of the simulated world with their final labels, for tests of what training reaches on unseen days."""

from dataclasses import dataclass, fields, replace
from datetime import date, timedelta

import numpy as np
import pyarrow.compute as pc

from ctr_retrain.models.features.encoder import encode_values
from ctr_retrain.models.features.standardize import fit_numeric_state
from ctr_retrain.models.features.vocabulary import fit_values, unseen_rows
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.simulation.world import ATTRIBUTION_WINDOW_HOURS, simulate_day
from ctr_retrain.models.training.batches import TrainingRows, make_batches
from ctr_retrain.models.training.training_loop import logits_function, train
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
from tests.support.known_values import counted

FIRST_DAY = date(2026, 3, 2)
UNCALIBRATED = Calibration(method="identity", rows=0, positives=0)


@dataclass(frozen=True)
class Rows:
    ids: np.ndarray  # of a day alone, codes into its dictionary; else rows of the table
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


def rows_of_day(world, features, number):
    """A day's rows, and the dictionary of their codes."""
    simulated = simulate_day(world, FIRST_DAY + timedelta(days=number))
    coded = encode_values(simulated.impressions, features)
    label = clicked_within_window(simulated)
    day_index = np.full(len(label), number, np.int16)
    truth = simulated.truth["best_probability"].to_numpy()
    return Rows(coded.codes, coded.numeric, label, day_index, truth), coded.dictionary


def joined(days, features):
    """The rows of days together, their codes as rows of the table by fitted features."""
    with_ids = [replace(rows, ids=dictionary.table_rows(features)[rows.ids]) for rows, dictionary in days]
    return Rows(*(np.concatenate([getattr(day, field.name) for day in with_ids]) for field in fields(Rows)))


def slices_of(world, features, training_days, unseen_days, calibration_share):
    """Rows for training, for calibration (a share of the users of the newest seven days), and of the unseen days.

    After them come the features, which know the values of the rows for training.
    """
    days = [rows_of_day(world, features, number) for number in range(training_days + unseen_days)]
    kept_out = []
    for number, (rows, dictionary) in enumerate(days):
        user = np.append(0, dictionary.values[0])[rows.ids[:, 0]]  # the first feature of the recipe
        newest = training_days - 7 <= number < training_days
        kept_out.append(newest & (user.astype(np.uint64) % 100 < 100 * calibration_share))
    trained_on = zip(days[:training_days], kept_out, strict=False)
    features, _ = fit_values(features, [counted(d, rows.ids[~kept]) for (rows, d), kept in trained_on])
    rows, kept = joined(days, features), np.concatenate(kept_out)
    unseen = rows.day_index >= training_days
    return rows.where(~unseen & ~kept), rows.where(kept), rows.where(unseen), features


def trained(rows, recipe):
    """The recipe's network, trained on these rows under its weights; its features are fitted."""
    cell, count = np.unique(2 * rows.day_index.astype(int) + rows.label, return_counts=True)
    mass = ClassMass(cell // 2, cell % 2, np.ones(len(cell)), count)
    days = tuple(FIRST_DAY + timedelta(days=number) for number in range(rows.day_index.max() + 1))
    factors = compute_factors(days, days[-1], mass, recipe.row_weights)
    training = recipe.training
    state = fit_numeric_state([rows.numeric], recipe.features)
    network = build_network(recipe, state, factors.base_log_odds, training.seed)
    unseen = unseen_rows(recipe.features, (), int(rows.label.sum()))
    training_rows = TrainingRows(rows.ids, rows.numeric, rows.label, rows.day_index, unseen=unseen)
    train(network, make_batches(training_rows, factors, training.batch_rows, training.seed), training)
    return network


def logits(network, rows):
    return logits_function(network)(rows.ids, rows.numeric)


def calibration_ratio(network, rows, calibration=UNCALIBRATED):
    """Σp/Σy."""
    return calibration.apply(logits(network, rows)).sum() / rows.label.sum()
