"""A simulated world whose tastes drift from day to day, as training sees it on a day whose newest labels are young.

The evaluated model is trained through the cut. From it, three go on for one pass through the days up to D: `observed`
sees young labels through p·F, `final` takes them as final, and `hindsight` has the labels that they will have one day,
which is the best that the first could do. All are asked about the day after D.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.data.maturity import estimate_maturity, final_age, seen_shares
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.clock import Hour, Weekday
from ctr_retrain.models.feature_kinds.crossed import Crossed
from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.features.dictionary import Dictionary
from ctr_retrain.models.features.encoder import encode_values
from ctr_retrain.models.features.standardize import fit_numeric_state
from ctr_retrain.models.features.vocabulary import fit_values
from ctr_retrain.models.judging.metrics import log_losses
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.recipe.training_section import Training
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.simulation.world import ATTRIBUTION_WINDOW_HOURS, World, simulate_day
from ctr_retrain.models.training.batches import TrainingRows, make_batches
from ctr_retrain.models.training.training_loop import logits_function, optimizer_for, train
from ctr_retrain.models.training.training_state import capture, restore
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
from tests.support.known_values import counted

FIRST_DAY = date(2026, 3, 2)
KIND = "click"
MODELS = ("evaluated", "observed", "final", "hindsight")


def recipe(window_days=10):
    """Segments, categories and their pairs, so that there is a weight for every taste that drifts."""
    cost = Cost(true_positive=-0.98, false_positive=0.02)
    names = ("segment", "category", "channel", "device", "position")
    return Recipe(
        name="drifting",
        channels={
            name: Channel(attribution_window_hours=hours, positive_ratio=(0.001, 0.5), cost=cost)
            for name, hours in ATTRIBUTION_WINDOW_HOURS.items()
        },
        features=(
            *(Categorical(name=name) for name in names),
            Crossed(name="pair", columns=("segment", "category")),
            Hour(name="hour"),
            Weekday(name="weekday"),
            Numeric(name="campaign_age_days", transform="log"),
            Numeric(name="recent_sends", transform="log"),
        ),
        training=Training(
            window_days=window_days, network="logistic_regression", batch_rows=1024, learning_rate=0.01,
            embedding_learning_rate=0.2, embedding_initial_accumulator=1.0,
        ),
        weights=Weights(half_life_days=7, class_weight="balanced", class_power=0.5),
        gate=Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1),
    )  # fmt: skip


@dataclass(frozen=True)
class Day:
    """An event day's rows. label: final. age: days until the click had landed, of positives alone."""

    ids: np.ndarray  # rows of the table; before features are fitted, codes into the dictionary
    dictionary: Dictionary
    numeric: np.ndarray
    label: np.ndarray
    age: np.ndarray
    push: np.ndarray
    hour: np.ndarray

    def seen_by(self, age_days):
        """Labels as they are known so many days after the event day."""
        return (self.label.astype(bool) & (self.age <= age_days)).astype(np.uint8)

    def arrivals(self):
        """As `tasks/arrivals.py` counts them."""
        counted = pa.table(
            {
                "channel": np.where(self.push, "push", "ad"),
                "hour": self.hour,
                "age_days": pa.array(self.age, mask=self.label == 0),
                "rows": np.ones(len(self.label), np.int64),
            }
        )
        counted = counted.group_by(["channel", "hour", "age_days"]).aggregate([("rows", "sum")])
        counted = counted.rename_columns(["channel", "hour", "age_days", "rows"])
        rows = len(counted)
        counted = counted.append_column("kind", pa.repeat(KIND, rows))
        return counted.append_column("days_late", pa.repeat(0, rows))


def simulated(world, day, rules):
    """One day of the world, encoded, with its labels."""
    made = simulate_day(world, day)
    impressions, coded = made.impressions, encode_values(made.impressions, rules.features)
    clicks = made.outcomes.filter(pc.equal(made.outcomes["kind"], KIND))
    row = pc.index_in(clicks["event_id"], impressions["event_id"].combine_chunks()).to_numpy()
    shown = impressions["ts"].to_numpy()
    push = impressions["channel"].to_numpy(zero_copy_only=False) == "push"
    window = np.where(push, ATTRIBUTION_WINDOW_HOURS["push"], ATTRIBUTION_WINDOW_HOURS["ad"]).astype("timedelta64[h]")
    counts = clicks["ts"].to_numpy() - shown[row] <= window[row]
    label, age = np.zeros(len(shown), np.uint8), np.zeros(len(shown), np.int64)
    label[row[counts]] = 1
    age[row[counts]] = (clicks["ts"].to_numpy()[counts].astype("datetime64[D]") - np.datetime64(day)).astype(int)
    hour = (shown - np.datetime64(day)).astype("timedelta64[h]").astype(int)
    return Day(coded.codes, coded.dictionary, coded.numeric, label, age, push, hour)


@dataclass(frozen=True)
class Answer:
    """What a model said of the day after D. sums: Σp and Σy of all rows, and of pushes, whose labels are youngest."""

    log_loss: float
    sums: tuple[float, float]
    push_sums: tuple[float, float]


def answers(seed, rows_per_day, tastes, window_days=10):
    """Each model's answer, by its name."""
    rules = recipe(window_days)
    incidents = (tastes,) if tastes else ()
    world = World(seed=seed, rows_per_day=rows_per_day, ad_ctr=0.05, push_ctr=0.04, incidents=incidents)
    plan = plan_days(FIRST_DAY + timedelta(days=window_days + rules.maturity_days), rules)
    assert plan.train[0] == FIRST_DAY
    tomorrow = plan.day + timedelta(days=1)
    days = {day: simulated(world, day, rules) for day in (*plan.all_days, tomorrow)}
    features, _ = fit_values(rules.features, [counted(days[day].dictionary, days[day].ids) for day in plan.train])
    rules = rules.model_copy(update={"features": features})
    days = {name: replace(day, ids=day.dictionary.table_rows(features)[day.ids]) for name, day in days.items()}

    mature = [days[day].arrivals() for day in (*plan.train, *plan.validate)]
    curves = [estimate_maturity(mature, channel, KIND, final_age(rules, channel, KIND)) for channel in rules.channels]
    window = [days[day] for day in plan.train]
    factors = factors_of(plan.train, [day.label for day in window], rules)
    state = fit_numeric_state([np.concatenate([day.numeric for day in window])], rules.features)
    network = build_network(rules, state, factors.base_log_odds, rules.training.seed)
    optimizer = passed(network, rows_of(window, [day.label for day in window]), factors, rules)
    found, twin = {"evaluated": answer(network, days[tomorrow])}, capture(network)

    fresh = [days[day] for day in plan.fresh]
    ages = [(plan.day - day).days for day in plan.fresh]
    seen = [day.seen_by(age) for day, age in zip(fresh, ages, strict=True)]
    maturity = np.concatenate([shares_of(day, curves, rules, age) for day, age in zip(fresh, ages, strict=True)])
    for name, labels, shares in (
        ("observed", seen, maturity),
        ("final", seen, None),
        ("hindsight", [day.label for day in fresh], None),
    ):
        restore(twin, network)
        passed(network, rows_of(fresh, labels, shares), factors_of(plan.fresh, labels, rules), rules, optimizer)
        found[name] = answer(network, days[tomorrow])
    return found


def factors_of(days, labels, rules):
    index = np.repeat(np.arange(len(days)), [len(label) for label in labels])
    cell, count = np.unique(2 * index + np.concatenate(labels), return_counts=True)
    mass = ClassMass(cell // 2, cell % 2, np.ones(len(cell)), count)
    return compute_factors(tuple(days), days[-1], mass, rules.weights)


def rows_of(days, labels, maturity=None):
    index = np.repeat(np.arange(len(days)), [len(label) for label in labels]).astype(np.int16)
    ids, numeric = (np.concatenate([getattr(day, name) for day in days]) for name in ("ids", "numeric"))
    return TrainingRows(ids, numeric, np.concatenate(labels), index, None, maturity)


def shares_of(day, curves, rules, age_days):
    shares = {name: np.array(hours, np.float32) for name, hours in seen_shares(curves, rules, age_days).items()}
    return np.where(day.push, shares["push"][day.hour], shares["ad"][day.hour])


def passed(network, rows, factors, rules, before=()):
    """One pass with the optimizer's variables of an earlier one, rates beginning anew; its own at the end."""
    batches = make_batches(rows, factors, rules.training.batch_rows, rules.training.seed)
    optimizer = optimizer_for(network, batches, rules.training)
    optimizer.build(network.trainable_variables)
    if before:
        assert restore(before, optimizer)
        optimizer.iterations.assign(0)
    train(network, batches, rules.training, optimizer=optimizer)
    return capture(optimizer)


def answer(network, day):
    logit = logits_function(network)(day.ids, day.numeric).astype(np.float64)
    p = 1 / (1 + np.exp(-logit))
    sums, push_sums = ((p[rows].sum(), float(day.label[rows].sum())) for rows in (slice(None), day.push))
    return Answer(float(log_losses(day.label, p).mean()), sums, push_sums)
