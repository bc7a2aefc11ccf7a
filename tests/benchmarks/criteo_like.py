"""A synthetic set with Criteo's shape: 26 categorical and 13 numeric features, 3 % positives, the truth known.

Values are drawn by a power law, so that most of a field's vocabulary is rare. The truth has an effect a value, products
of latent vectors between some fields, and curved effects of numbers. A larger table holds the same values, scattered.
"""

import json

import numpy as np

VOCABULARY = (
    *(330_000, 225_000, 150_000, 110_000, 75_000, 45_000, 25_000, 12_000, 9_000, 6_000, 4_000, 3_000, 2_000),
    *(1_500, 1_000, 700, 300, 200, 120, 80, 50, 25, 12, 6, 4, 3),
)  # a million in all
NUMBERS = 13
POSITIVES = 0.03
INTERACTING = (6, 9, 12, 15, 18)  # fields with latent vectors in the truth
LATENT = 4
TEST_ROWS = 200_000
CHUNK = 100_000


def offsets(scatter):
    """First table row of each field where each field has `scatter` rows a value, and last the table's rows."""
    return np.concatenate([[0], np.cumsum(np.array(VOCABULARY) * scatter)])


def make(folder, rows, scatter):
    """Write train_* and test_*: ids (n, 26) int32 below their field's size, numeric (n, 13) float32, label, truth."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(20_261_101)
    world = _World(rng)
    for part, count in (("train", rows), ("test", TEST_ROWS)):
        ids = np.lib.format.open_memmap(folder / f"{part}_ids.npy", "w+", np.int32, (count, len(VOCABULARY)))
        numeric = np.lib.format.open_memmap(folder / f"{part}_numeric.npy", "w+", np.float32, (count, NUMBERS))
        label, truth = np.empty(count, np.uint8), np.empty(count)
        for first in range(0, count, CHUNK):
            rows_here = slice(first, min(first + CHUNK, count))
            values, numbers = world.draw(rng, rows_here.stop - first)
            truth[rows_here] = world.probability(values, numbers)
            label[rows_here] = rng.random(rows_here.stop - first) < truth[rows_here]
            # a value's place among its `scatter` rows follows from it alone
            ids[rows_here] = values * scatter + (values * 2_654_435_761 >> 7) % scatter
            numeric[rows_here] = numbers
        np.save(folder / f"{part}_label.npy", label)
        np.save(folder / f"{part}_truth.npy", truth)
    sizes = [size * scatter for size in VOCABULARY]
    (folder / "info.json").write_text(json.dumps({"sizes": sizes, "numbers": NUMBERS, "rows": rows}), encoding="utf-8")


class _World:
    def __init__(self, rng):
        self.effects = [rng.normal(0, 0.25 + 0.5 * (size > 100), size).astype(np.float32) for size in VOCABULARY]
        self.latent = {field: rng.normal(0, 0.42, (VOCABULARY[field], LATENT)) for field in INTERACTING}
        self.slopes = rng.normal(0, 0.13, (2, NUMBERS))
        self.bias = 0.0
        values, numbers = self.draw(rng, CHUNK)
        low, high = -20.0, 5.0
        for _ in range(40):  # the bias that gives the share of positives
            self.bias = (low + high) / 2
            low, high = (self.bias, high) if self.probability(values, numbers).mean() < POSITIVES else (low, self.bias)

    def draw(self, rng, count):
        """Values (count, 26) int64 and numbers (count, 13)."""
        share = rng.random((count, len(VOCABULARY))) ** 8  # the first values of a field are the common ones
        values = (share * np.array(VOCABULARY)).astype(np.int64)
        return values, rng.normal(size=(count, NUMBERS))

    def probability(self, values, numbers):
        """Of a positive, (count,)."""
        logit = self.bias + numbers @ self.slopes[0] + np.sin(2 * numbers) @ self.slopes[1]
        for field, effect in enumerate(self.effects):
            logit = logit + 0.17 * effect[values[:, field]]
        for position, field in enumerate(INTERACTING):
            for other in INTERACTING[position + 1 :]:
                pairs = self.latent[field][values[:, field]] * self.latent[other][values[:, other]]
                logit = logit + pairs.sum(axis=1)
        return 1 / (1 + np.exp(-logit))
