"""Windows of real and simulated logs, encoded and sliced as training reads them, and the later days to judge by.

The real logs lie in the folder that REAL_DATA names, each with a recipe; their days are those of its README.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from ctr_retrain.models.features.encoder import encode_values
from ctr_retrain.models.features.vocabulary import ValueCounts, fit_values, unseen_rows
from ctr_retrain.models.recipe.recipe import Recipe, load_recipe
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.simulation.world import World, simulate_day
from ctr_retrain.models.training.batches import TrainingRows
from ctr_retrain.models.weights.row_weights import ClassMass, Factors, compute_factors
from ctr_retrain.tasks.train.training_rows import TrainingSplit
from tests.support.known_values import counted
from tests.support.simulated_rows import FIRST_DAY, clicked_within_window

WORLDS = {"world-10k": 10_000, "world-100k": 100_000, "world-1m": 1_000_000}
REAL = ("trivago", "ebnerd", "flights", "hotel", "open_bandit")
WORLD_DAYS, LATER_DAYS = 14, 2
UNWEIGHTED = Weights(half_life_days=1e6, class_weight="none")  # as a linear model elsewhere is fitted


@dataclass(frozen=True)
class StepSet:
    """A window to train on and the rows of later days."""

    recipe: Recipe
    rows: TrainingSplit
    factors: Factors
    later: TrainingRows


def load_set(name: str, *, weighted: bool = False) -> StepSet:
    """Make a set by its name; weighted: a world by the weights of its recipe, not unweighted."""
    return _world(WORLDS[name], weighted=weighted) if name in WORLDS else _real(name)


def real_sets() -> list[str]:
    """Names of the real sets that are there."""
    folder = os.environ.get("REAL_DATA")
    return [name for name in REAL if folder and (Path(folder) / name).exists()]


def _world(rows: int, *, weighted: bool) -> StepSet:
    recipe = load_recipe(Path("infra/recipes/demo.toml"))
    world = World(seed=7, rows_per_day=rows // WORLD_DAYS)
    days = [simulate_day(world, FIRST_DAY + timedelta(days=number)) for number in range(WORLD_DAYS + LATER_DAYS)]
    label = np.concatenate([clicked_within_window(day) for day in days])
    day = np.repeat(np.arange(len(days)), [day.impressions.num_rows for day in days])
    table = pa.concat_tables([day.impressions for day in days])
    user = pd.util.hash_array(table["user_id"].to_pandas().astype(str).to_numpy())
    weights = recipe.row_weights if weighted else UNWEIGHTED
    return sliced(recipe, table, label, day, user, WORLD_DAYS, weights=weights)


def _real(name: str) -> StepSet:
    folder = Path(os.environ["REAL_DATA"]) / name
    source = Path("infra/recipes/open_bandit.toml") if name == "open_bandit" else folder / "recipe.toml"
    recipe = load_recipe(source)
    frame, first, last = _FRAMES[name](folder)
    ts = frame["ts"]
    day = (ts.dt.normalize() - pd.Timestamp(first)).dt.days.to_numpy()
    frame = frame[(day >= 0)]
    day = day[day >= 0]
    order = np.argsort(frame["ts"].to_numpy(), kind="stable")
    frame, day = frame.iloc[order], day[order]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    user = pd.util.hash_array(frame["user_id"].astype(str).to_numpy()).astype(np.uint64)
    label = frame["label"].to_numpy().astype(np.uint8)
    days = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    gap = 14 if name == "hotel" else 0
    return sliced(recipe, table, label, day, user, days, gap)


def sliced(recipe, table, label, day, user, days, gap=0, weights=UNWEIGHTED) -> StepSet:
    """Divide the rows: a share of users of the newest calibration days for C, the other rows of the window for T."""
    training = recipe.training
    place = np.array([zlib.crc32(int(one).to_bytes(8, "little")) % 10_000 for one in np.unique(user)])
    place = place[np.unique(user, return_inverse=True)[1]]
    newest = (day < days) & (day >= days - training.calibration_days)
    calibrate = newest & (place < 10_000 * training.calibration_share)
    train = (day < days) & ~calibrate
    coded = encode_values(table, recipe.features)
    features, values = fit_values(recipe.features, [counted(coded.dictionary, coded.codes[train])])
    ids, numeric = coded.dictionary.table_rows(features)[coded.codes], coded.numeric

    def rows_of(chosen):
        if not chosen.any():
            return None
        return TrainingRows(ids[chosen], numeric[chosen], label[chosen], np.minimum(day[chosen], days).astype(np.int16))

    cell, count = np.unique(2 * day[train].astype(int) + label[train], return_counts=True)
    names = tuple(date(2026, 1, 1) + timedelta(days=number) for number in range(days))
    mass = ClassMass(cell // 2, cell % 2, np.ones(len(cell)), count)
    factors = compute_factors(names, names[-1], mass, weights)
    learnt = replace(rows_of(train), unseen=unseen_rows(features, values, int(label[train].sum())))
    size = int(ids[train].max(initial=0)) + 1
    counts = ValueCounts.of_days([np.bincount(ids[train & (day == d)].ravel(), minlength=size) for d in range(days)])
    split = TrainingSplit(learnt, rows_of(calibrate), None, features, values, value_counts=counts)
    return StepSet(recipe, split, factors, rows_of(day >= days + gap))


def _trivago(folder):
    frame = pd.read_parquet(folder / "impressions.parquet")
    frame["ts"] = pd.to_datetime(frame["timestamp"], unit="s")
    frame["campaign_id"], frame["label"] = frame["item_id"], frame["click"]
    frame["user_id"] = frame["clickout_id"].astype(str) + frame["item_id"].astype(str)  # its recipe has no user
    return frame, "2018-11-07", "2018-11-07"


def _ebnerd(folder):
    frame = pd.read_parquet(folder / "shown_articles.parquet")
    frame["ts"] = pd.to_datetime(frame["impression_time"])
    frame["front"] = frame["page_article_id"].isna().astype(int)
    frame["n"] = frame.groupby("impression_id")["article_id"].transform("size")
    frame["campaign_id"], frame["label"] = frame["article_id"], frame["clicked"]
    return frame, "2023-02-23", "2023-02-28"


def _flights(folder):
    frame = pd.read_parquet(folder / "flights.parquet").merge(
        pd.read_parquet(folder / "weather.parquet").drop(columns=["year", "month", "day", "hour"]),
        on=["origin", "time_hour"], how="left",
    )  # fmt: skip
    frame = frame[frame["arr_delay"].notna()]
    local = pd.to_datetime(frame[["year", "month", "day", "hour", "minute"]])
    frame["ts"], frame["label"] = local, (frame["arr_delay"] > 15).astype(int)
    frame["user_id"], frame["campaign_id"], frame["flt"] = frame["tailnum"], frame["carrier"], frame["flight"]
    frame["flt"] = frame["carrier"] + frame["flight"].astype(str)
    frame = frame[(local >= "2013-05-01") & (local < "2013-06-28")]
    return frame, "2013-05-01", "2013-06-20"


def _hotel(folder):
    frame = pd.read_parquet(folder / "hotel_bookings.parquet")
    frame["ts"] = pd.to_datetime(frame["booking_date"])
    known = (pd.to_datetime(frame["reservation_status_date"]) - frame["ts"]).dt.days
    frame["label"] = ((frame["is_canceled"] == 1) & (known <= 14)).astype(int)
    frame["campaign_id"], frame["user_id"] = frame["agent"], frame["row_id"]
    frame["adow"] = pd.to_datetime(frame["arrival_date"]).dt.weekday
    frame = frame[(frame["ts"] >= "2016-01-01") & (frame["ts"] < "2016-11-15")]
    return frame, "2016-01-01", "2016-09-30"


def _open_bandit(folder):
    parts = []
    for policy in ("random", "bts"):
        for campaign in ("all", "men", "women"):
            part = pd.read_csv(folder / policy / f"{campaign}.csv.gz", dtype={"position": str})
            part["policy"], part["campaign"] = policy, campaign
            part["campaign_id"] = campaign + "-" + part["item_id"].astype(str)
            parts.append(part)
    frame = pd.concat(parts)
    frame["ts"] = pd.to_datetime(frame["timestamp"], format="ISO8601").dt.tz_localize(None)
    frame["label"], frame["user_id"] = frame["click"], np.arange(len(frame))
    return frame, "2019-11-24", "2019-11-29"


_FRAMES = {"trivago": _trivago, "ebnerd": _ebnerd, "flights": _flights, "hotel": _hotel, "open_bandit": _open_bandit}
