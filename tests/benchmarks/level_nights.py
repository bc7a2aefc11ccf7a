"""Nights of simulated worlds, each trained once by the demonstration's recipe: its model's answers on T, C, V, later.

What methods of recalibration read of a night, and what they are judged by, is small; it can be kept in a folder, so
that another method needs no training.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.features.encoder import encode_values
from ctr_retrain.models.features.table_layout import field_offsets
from ctr_retrain.models.features.vocabulary import ValueCounts, fit_values, unseen_rows
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.serving.intercept_layer import with_intercepts
from ctr_retrain.models.simulation.world import World, simulate_day
from ctr_retrain.models.training.batches import TrainingRows
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
from ctr_retrain.tasks.train.calibrate_network import calibrate, logits_of
from ctr_retrain.tasks.train.fit_network import fit_network
from ctr_retrain.tasks.train.training_rows import TrainingSplit
from tests.support.known_values import counted
from tests.support.repository import RECIPES
from tests.support.simulated_rows import FIRST_DAY, clicked_within_window

RECIPE = load_recipe(RECIPES / "demo.toml")
STRATEGIES = {"recipe": RECIPE.row_weights, "unweighted": Weights(half_life_days=1e6, class_weight="none")}
SERVED_DAYS = 3  # each night's model serves until the next night's takes its place
CHANNELS = ("ad", "push")
CALIBRATE, VALIDATE, SERVED, TRAIN = range(4)


@dataclass(frozen=True)
class Night:
    """What a night's model says of rows. Arrays of one value a row, (rows,)."""

    raw: np.ndarray  # the network's logit, without intercepts of campaigns
    logit: np.ndarray  # as it is served: with them, where they pay, and calibrated
    label: np.ndarray  # final
    day: np.ndarray  # ordinal
    channel: np.ndarray  # place in CHANNELS
    role: np.ndarray  # CALIBRATE, VALIDATE, SERVED or TRAIN
    truth: np.ndarray  # the probability at which the click was drawn
    best: np.ndarray  # the same without what is in no column
    campaign: np.ndarray  # a hash of its name
    new: np.ndarray  # True: of a campaign that was launched after the training window

    def where(self, chosen):
        return Night(**{name: values[chosen] for name, values in asdict(self).items()})


def nights_of(seed, rows_per_day, strategy, count, folder=None):
    """Yield (run day, night) for every third day of a world, trained or, where they are there, from the folder."""
    world, first = World(seed=seed, rows_per_day=rows_per_day), FIRST_DAY
    span = len(plan_days(first, RECIPE).all_days)
    days = {}
    for number in range(count):
        run_day = first + timedelta(days=span - 1 + SERVED_DAYS * number)
        file = folder / f"{seed}-{rows_per_day}-{strategy}-{run_day}.npz" if folder else None
        if file and file.exists():
            with np.load(file) as kept:
                yield run_day, Night(**kept)
            continue
        night = _trained(world, run_day, STRATEGIES[strategy], days)
        if file:
            np.savez_compressed(file, **asdict(night))
        yield run_day, night


@dataclass(frozen=True)
class _Day:
    """One event day: its rows, encoded, with what is known of them afterwards."""

    coded: object
    label: np.ndarray
    channel: np.ndarray
    truth: np.ndarray
    best: np.ndarray
    campaign: np.ndarray
    launched: np.ndarray  # ordinal of the day on which the row's campaign was launched
    user: np.ndarray

    def kept_out(self, day, share):
        """Rows of the calibration slice: a share of the users, drawn anew for each day."""
        salt = int.from_bytes(hashlib.sha256(str(day).encode()).digest()[:8], "little")
        return pd.util.hash_array(self.user ^ np.uint64(salt)) % 10_000 < share * 10_000


def _simulated(world, day):
    made = simulate_day(world, day)
    rows = made.impressions
    return _Day(
        coded=encode_values(rows, RECIPE.features),
        label=clicked_within_window(made),
        channel=(rows["channel"].to_numpy(zero_copy_only=False) == "push").astype(np.uint8),
        truth=made.truth["probability"].to_numpy(),
        best=made.truth["best_probability"].to_numpy(),
        campaign=_hashed(rows["campaign_id"]),
        launched=np.array([int(name[1:].split("-")[0]) for name in rows["campaign_id"].to_pylist()]),
        user=_hashed(rows["user_id"]),
    )


def _hashed(names):
    return pd.util.hash_array(names.to_pandas().astype(str).to_numpy())


def _trained(world, run_day, weights, days):
    """Train one night; days: simulated before, by date."""
    plan, training = plan_days(run_day, RECIPE), RECIPE.training
    served = [run_day + timedelta(days=1 + number) for number in range(SERVED_DAYS)]
    wanted = (*plan.train, *plan.validate, *served)
    days |= {day: _simulated(world, day) for day in wanted if day not in days}
    kept = {day: days[day].kept_out(day, training.calibration_share) for day in plan.calibrate}
    nobody = {day: np.zeros(len(days[day].label), bool) for day in wanted}
    learnt = [(day, ~(nobody | kept)[day]) for day in plan.train]
    counts = [counted(days[day].coded.dictionary, days[day].coded.codes[rows]) for day, rows in learnt]
    features, values = fit_values(RECIPE.features, counts)
    by_row = [
        np.bincount(names.table_rows(features), of_codes, field_offsets(features)[-1]) for names, of_codes in counts
    ]
    train = _rows(days, learnt, features)
    train = TrainingRows(
        train.ids, train.numeric, train.label, train.day_index, unseen=unseen_rows(features, values, train.label.sum())
    )
    kept_out = [(day, kept[day]) for day in plan.calibrate]
    factors = _factors(plan.train, train, weights)
    held = _rows(days, kept_out, features)
    split = TrainingSplit(train, held, None, features, values, value_counts=ValueCounts.of_days(by_row))
    without = RECIPE.model_copy(update={"weights": weights, "training": training.model_copy(update={"campaign_sd": 0})})
    network = fit_network(split, without, factors, lambda _done, _total: None).network
    model, _ = with_intercepts(network, RECIPE.model_copy(update={"features": features}), train, held)
    calibration = calibrate(held, model)
    parts = []
    validate, later = ([(day, ~nobody[day]) for day in of] for of in (plan.validate, served))
    for role, chosen in ((CALIBRATE, kept_out), (VALIDATE, validate), (SERVED, later), (TRAIN, learnt)):
        rows = _rows(days, chosen, features)
        raw, moved = (logits_of(each, rows.ids, rows.numeric) for each in (network, model))
        parts.append(_night(days, chosen, role, (raw, calibration.line(moved)), plan.cut))
    return Night(**{name: np.concatenate([asdict(part)[name] for part in parts]) for name in asdict(parts[0])})


def _rows(days, chosen, features):
    """The chosen rows of days as training reads them."""
    ids = [days[day].coded.dictionary.table_rows(features)[days[day].coded.codes[rows]] for day, rows in chosen]
    return TrainingRows(
        np.concatenate(ids),
        np.concatenate([days[day].coded.numeric[rows] for day, rows in chosen]),
        np.concatenate([days[day].label[rows] for day, rows in chosen]),
        np.repeat(np.arange(len(chosen)), [rows.sum() for _, rows in chosen]).astype(np.int16),
    )


def _factors(window, rows, weights):
    cell, count = np.unique(2 * rows.day_index.astype(int) + rows.label, return_counts=True)
    return compute_factors(
        tuple(window), window[-1], ClassMass(cell // 2, cell % 2, np.ones(len(cell)), count), weights
    )


def _night(days, chosen, role, logits, cut: date):
    """What is known of the chosen rows, beside the network's logits and those that are served."""

    def joined(name):
        return np.concatenate([getattr(days[day], name)[rows] for day, rows in chosen])

    counts = [rows.sum() for _, rows in chosen]
    return Night(
        raw=logits[0].astype(np.float32),
        logit=logits[1].astype(np.float32),
        label=joined("label"),
        day=np.repeat([day.toordinal() for day, _ in chosen], counts),
        channel=joined("channel"),
        role=np.full(sum(counts), role, np.uint8),
        truth=joined("truth"),
        best=joined("best"),
        campaign=joined("campaign"),
        new=joined("launched") > cut.toordinal(),
    )
