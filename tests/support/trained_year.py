"""The closed loop of policies with real training: each night's model is a network that production's fit made.

Rows have a group of users, a campaign and the pair of both; the recipe is the demonstration's otherwise. A fault that
makes models worse, a surrogate's further error, is one of the features here: so large a share of the training rows has
another group than the one that serving sees.
"""

from dataclasses import replace
from datetime import timedelta
from functools import cache

import numpy as np
import pyarrow as pa

from ctr_retrain.models.feature_kinds.kinds import KINDS
from ctr_retrain.models.features.encoder import encode_values
from ctr_retrain.models.features.vocabulary import ValueCounts, fit_values, unseen_rows
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.training.batches import TrainingRows
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
from ctr_retrain.tasks.train.calibrate_network import logits_of
from ctr_retrain.tasks.train.fit_network import fit_network
from ctr_retrain.tasks.train.training_rows import TrainingSplit
from tests.support.known_values import counted
from tests.support.policy_world import BUCKETS, CAMPAIGNS, GROUPS, Model, Year
from tests.support.repository import RECIPES
from tests.support.simulated_rows import FIRST_DAY

CALIBRATION_DAYS, KEPT_OUT = 7, np.arange(BUCKETS) % 5 == 0  # users whose newest rows training never sees
CELLS = GROUPS * CAMPAIGNS


QUICK = {"ensemble": 1, "linear_share": 0.0}  # one network and no linear model beside it: a third of the time


@cache
def recipe_of(seed, *, quick):
    """The demonstration's recipe with the features of this world."""
    recipe = load_recipe(RECIPES / "demo.toml")
    pair = KINDS["crossed"](name="pair", columns=("segment", "campaign_id"))
    features = (*(one for one in recipe.features if one.name in {"segment", "campaign_id"}), pair)
    training = recipe.training.model_copy(update={"seed": seed} | (QUICK if quick else {}))
    return recipe.model_copy(update={"features": features, "training": training})


class TrainedYear(Year):
    """A year whose models are trained."""

    seed, quick = 7, True

    def train(self, day, recipe, worse):
        scrambled = self._rng.permuted(np.arange(CELLS).reshape(GROUPS, CAMPAIGNS), axis=0).ravel()
        return self._fitted(day, recipe, worse, scrambled)

    def again(self, day, recipe, worse):
        self.seed += 1
        model = self.train(day, recipe, worse)
        self.seed -= 1
        return model

    def _fitted(self, day, recipe, worse, scrambled):
        """The model of the window; of a share `worse` of the rows, each cell counts as the scrambled one."""
        days = self.window(day)
        asked, parts, of_days = recipe_of(self.seed, quick=self.quick), [], []
        for number, past in enumerate(days):
            log, coded = self.logs[past], encode_values(cells_of(self.world.names[past]), asked.features)
            kept = KEPT_OUT if number >= len(days) - CALIBRATION_DAYS else np.zeros(BUCKETS, bool)
            for kept_out, buckets in ((False, ~kept), (True, kept)):
                cell, label = rows_of(log.rows[..., buckets], log.clicks[..., buckets], self._rng)
                if not kept_out:
                    cell = np.where(self._rng.random(len(cell)) < worse, scrambled[cell], cell)
                    of_days.append((coded.dictionary, coded.codes[cell]))
                parts.append((kept_out, number, coded, cell, label))
        features, values = fit_values(asked.features, [counted(*one) for one in of_days])
        train, calibrate = (stacked(parts, features, role) for role in (False, True))
        cell, count = np.unique(2 * train.day_index.astype(int) + train.label, return_counts=True)
        mass = ClassMass(cell // 2, cell % 2, np.ones(len(cell)), count)
        dates = tuple(FIRST_DAY + timedelta(days=past) for past in days)
        factors = compute_factors(dates, dates[-1], mass, asked.row_weights)
        by_day = [train.ids[train.day_index == number].ravel() for number in range(len(days))]
        counts = ValueCounts.of_days([np.bincount(ids, minlength=train.ids.max() + 1) for ids in by_day])
        train = replace(train, unseen=unseen_rows(features, values, int(train.label.sum())))
        split = TrainingSplit(train, calibrate, None, features, values, value_counts=counts)
        fit = fit_network(split, asked, factors, lambda _done, _total: None)
        names = self.world.names[days[-1]]
        odds = answers(fit, features, names)
        return Model(odds, answers(fit, features, np.full(CAMPAIGNS, -1))[:, 0], names.copy(), day, recipe)


def cells_of(names):
    """A table with one row a cell, of the campaigns' names in their order."""
    group, campaign = np.indices((GROUPS, CAMPAIGNS)).reshape(2, -1)
    columns = {"segment": np.char.add("g", group.astype(str)), "campaign_id": names[campaign].astype(str)}
    return pa.table({name: pa.array(texts) for name, texts in columns.items()})


def rows_of(rows, clicks, rng):
    """The cell and the label of each row of counts (groups, campaigns, buckets), in random order."""
    rows, clicks = (count.sum(axis=-1).ravel() for count in (rows, clicks))
    cell = np.repeat(np.tile(np.arange(CELLS), 2), np.concatenate([clicks, rows - clicks]))
    label = np.repeat(np.array([1, 0], np.uint8), [clicks.sum(), (rows - clicks).sum()])
    order = rng.permutation(len(cell))
    return cell[order], label[order]


def stacked(parts, features, role):
    """The rows of one role, kept out of training or not."""
    own = [part for part in parts if part[0] == role]
    ids = [coded.dictionary.table_rows(features)[coded.codes][cell] for _, _, coded, cell, _ in own]
    day_index = [np.full(len(label), number, np.int16) for _, number, _, _, label in own]
    label = np.concatenate([label for *_, label in own])
    return TrainingRows(np.concatenate(ids), np.empty((len(label), 0), np.float32), label, np.concatenate(day_index))


def answers(fit, features, names):
    """A network's calibrated log-odds of all cells, (groups, campaigns)."""
    coded = encode_values(cells_of(names), features)
    ids = coded.dictionary.table_rows(features)[coded.codes]
    logit = logits_of(fit.network, ids, coded.numeric)
    probability = np.clip(fit.calibration.apply(logit), 1e-6, 1 - 1e-6)
    return np.float64(np.log(probability / (1 - probability))).reshape(GROUPS, CAMPAIGNS)


def recorded(year):
    """The models that a year makes from now on."""
    made, train = [], year.train

    def kept(*asked):
        made.append(train(*asked))
        return made[-1]

    year.train = kept
    return made
