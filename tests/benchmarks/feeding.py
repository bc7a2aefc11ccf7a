"""How fast batches come, in how much memory, and how well they are shuffled.

`make bench-feeding`, or `python -m tests.benchmarks.feeding --rows 2000000 --memory-rows 20000000`. Speed and memory
are of the training benchmark's set and network, each run in a process of its own. The shuffle is measured on rows in
order of time whose campaigns come in bursts and drift by the day, where a bad one would cost most: by the correlation
of two rows of one batch, and by the log loss after one epoch against the truth, less that of a full shuffle with the
same seed.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from math import sqrt
from pathlib import Path
from time import perf_counter

import numpy as np

from tests.benchmarks.table import print_table, write_rows
from tests.benchmarks.training import make_set, run_once
from tests.benchmarks.training_systems import DAY

TABLE_ROWS = 1_000_000
TURNS = 3  # of feeding and training, alternating
FULL_SHUFFLE = 1  # rows in a run
RUNS = (FULL_SHUFFLE, 64, 512, 2_048, 10**9)  # the last: in order of time, shuffled within a batch only
DAYS, DAY_ROWS, CAMPAIGNS, USERS, BURST = 14, 40_000, 60, 5_000, 2_000
SHUFFLE_BATCH = 2_048


def main() -> None:
    """Run the parts, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=2_000_000, help="of feeding and training")
    parser.add_argument("--memory-rows", type=int, default=20_000_000, help="trained on to see the memory; 0: none")
    parser.add_argument("--seeds", type=int, default=5, help="of the shuffles; 0: none")
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    Path("var").mkdir(exist_ok=True)
    found = []
    with tempfile.TemporaryDirectory(dir="var") as scratch:
        for part, count in ((speeds, arguments.rows), (memory, arguments.memory_rows)):
            if count:
                folder = Path(scratch) / part.__name__
                make_set(folder, count, 1, TURNS)
                found.append((part.__doc__, part(folder, count)))
                shutil.rmtree(folder)
    if arguments.seeds:
        found.append((shuffles.__doc__, shuffles(arguments.seeds)))
    for title, rows in found:
        print_table(title, rows)
    if arguments.json:
        write_rows(arguments.json, [row for _, rows in found for row in rows])


def speeds(folder, count):
    """Feeding alone beside training"""
    runs = {"feeding": [], "ctr-retrain": []}
    for turn in range(1, TURNS + 1):
        for system, own in runs.items():
            own.append(run_once(system, folder, count, turn, {}))
    median = {system: statistics.median(run["rows_per_second"] for run in own) for system, own in runs.items()}
    return [
        {
            "part": "speed",
            "what": system,
            "rows": count,
            "rows_per_second": round(rate),
            "times_training": round(rate / median["ctr-retrain"], 1),
        }
        for system, rate in median.items()
    ]


def memory(folder, count):
    """One epoch with the model"""
    run = run_once("ctr-retrain", folder, count, 1, {})
    (folder / "predicted.npy").unlink()
    found = {
        "part": "memory",
        "rows": count,
        "table_rows": TABLE_ROWS,
        "rows_per_second": round(run["rows_per_second"]),
    }
    return [found | {name: round(run[name]) for name in ("peak_anon_mb", "peak_rss_mb")}]


def shuffles(seeds):
    """How well runs of neighbouring rows mix, and what that costs"""
    from ctr_retrain.models.training import batches

    train, test = bursts(np.random.default_rng(1))
    losses, rows = {}, []
    for run_rows in RUNS:
        batches.BatchOrder.run_rows = run_rows
        order = batches.BatchOrder(len(train["day"]), SHUFFLE_BATCH, 1)
        mixed = [order.rows_of(number) for number in range(order.batches)]
        losses[run_rows] = [loss_after(train, test, seed) for seed in range(seeds)]
        apart = [own - full for own, full in zip(losses[run_rows], losses[FULL_SHUFFLE], strict=True)]
        rows.append(
            {
                "part": "shuffle",
                "run_rows": min(run_rows, len(train["day"])),
                "rho_day": round(correlation(train["day"], mixed), 4),
                "rho_campaign": round(correlation(train["campaign"], mixed), 4),
                "log_loss_cost": round(statistics.mean(apart), 6),
                "standard_error": round(statistics.stdev(apart) / sqrt(seeds), 6) if seeds > 1 else "",
                "read_rows_per_s": round(read_speed(train, order)),
            }
        )
    return rows


def correlation(group, batches):
    """Of two rows of one batch: how much oftener they are of one group than two rows of all are, 1 being always."""
    sizes = np.bincount(group)
    anywhere = (sizes * (sizes - 1)).sum() / (len(group) * (len(group) - 1))
    counts = [np.bincount(group[rows]) for rows in batches]
    pairs = sum(len(rows) * (len(rows) - 1) for rows in batches)
    together = sum(int((count * (count - 1)).sum()) for count in counts) / pairs
    return (together - anywhere) / (1 - anywhere)


def bursts(rng):
    """Rows in order of time: campaigns come in bursts, and what users think of them drifts from day to day.

    The test rows are of the day after the last, with the probability that they really have.
    """
    count = DAYS * DAY_ROWS
    campaign = np.repeat(rng.integers(0, CAMPAIGNS, 2 * count // BURST), rng.geometric(1 / BURST, 2 * count // BURST))
    campaign = np.concatenate([campaign, rng.integers(0, CAMPAIGNS, count)])[:count]
    day = np.arange(count) // DAY_ROWS
    user, number = rng.integers(0, USERS, count), rng.normal(size=count)
    of_user, of_campaign = rng.normal(0, 0.5, USERS), rng.normal(0, 0.6, CAMPAIGNS)
    drift = np.cumsum(rng.normal(0, 0.12, (DAYS + 1, CAMPAIGNS)), axis=0)

    def probability(day, campaign, user, number):
        return 1 / (1 + np.exp(3.2 - of_user[user] - of_campaign[campaign] - drift[day, campaign] - 0.3 * number))

    train = {"day": day, "campaign": campaign, "user": user, "number": number}
    train["label"] = rng.random(count) < probability(day, campaign, user, number)
    test = {
        "campaign": rng.integers(0, CAMPAIGNS, 100_000),
        "user": rng.integers(0, USERS, 100_000),
        "number": rng.normal(size=100_000),
    }
    test["truth"] = probability(np.full(100_000, DAYS), test["campaign"], test["user"], test["number"])
    return train, test


def loss_after(train, test, seed):
    """Mean over the test rows of the log loss that their true probability makes one expect."""
    import keras

    from ctr_retrain.models.feature_kinds.categorical import Categorical
    from ctr_retrain.models.feature_kinds.numeric import Numeric
    from ctr_retrain.models.features.standardize import NumericState
    from ctr_retrain.models.network.build_network import build_network
    from ctr_retrain.models.recipe.channel_section import Channel, Cost
    from ctr_retrain.models.recipe.gate_section import Gate
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.recipe.training_section import Training
    from ctr_retrain.models.recipe.weights_section import Weights
    from ctr_retrain.models.training.batches import make_batches
    from ctr_retrain.models.training.training_loop import logits_function
    from ctr_retrain.models.training.training_loop import train as fit
    from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
    from tests.support.known_values import of_rows

    recipe = Recipe(
        name="shuffle",
        channels={"ad": Channel(positive_ratio=(0, 1), cost=Cost(true_positive=-1, false_positive=0.02))},
        features=(
            of_rows(Categorical(name="user"), USERS + 2),
            of_rows(Categorical(name="campaign"), CAMPAIGNS + 2),
            Numeric(name="number", encoding="standardized"),
        ),
        training=Training(embedding_dim=8, hidden_units=(64, 32), batch_rows=SHUFFLE_BATCH, seed=seed),
        gate=Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1),
    )
    mass = ClassMass(np.zeros(2, int), np.array([0, 1]), np.ones(2), np.bincount(train["label"], minlength=2))
    factors = compute_factors((DAY,), DAY, mass, Weights(half_life_days=7, class_weight="none"))
    keras.utils.set_random_seed(seed)
    network = build_network(recipe, NumericState((False,), (0.0,), (1.0,)), factors.base_log_odds, seed)
    fit(network, make_batches(encoded(train), factors, SHUFFLE_BATCH, seed), recipe.training)
    rows = encoded(test | {"label": np.zeros(len(test["user"]), bool)})
    logit = logits_function(network)(rows.ids, rows.numeric).astype(np.float64)
    return float(np.mean(np.logaddexp(0, logit) - test["truth"] * logit))


def encoded(rows):
    """Rows as training reads them."""
    from ctr_retrain.models.training.batches import TrainingRows

    ids = np.stack([2 + rows["user"], USERS + 2 + 2 + rows["campaign"]], axis=1).astype(np.int32)
    numeric = rows["number"].astype(np.float32)[:, None]
    return TrainingRows(ids, numeric, rows["label"].astype(np.uint8), np.zeros(len(ids), np.int16))


def read_speed(train, order):
    """Rows a second by this order out of a map of 26 ids a row, which is what long runs are for."""
    with tempfile.TemporaryDirectory(dir="var") as folder:
        shape = (len(train["day"]), 26)
        ids = np.lib.format.open_memmap(Path(folder) / "ids.npy", "w+", np.int32, shape)
        ids[:] = 1
        started, total = perf_counter(), 0
        for batch in range(order.batches):
            total += int(ids[order.rows_of(batch)].sum())
        seconds = perf_counter() - started
    assert total == ids.size
    return len(ids) / seconds


if __name__ == "__main__":
    main()
