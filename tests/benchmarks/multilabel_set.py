"""A multi-label set with the counts of a published question, and folds that spread its rare labels evenly."""

from __future__ import annotations

import numpy as np

COUNTS = {
    22: 4702,
    0: 1749,
    12: 130,
    8: 43,
    16: 39,
    15: 30,
    17: 24,
    20: 17,
    4: 13,
    5: 13,
    19: 9,
    6: 7,
    7: 6,
    2: 4,
    10: 4,
}
LABELS, ROWS = 23, 6000
OCCURRING = sorted(COUNTS)
RARE = [label for label in OCCURRING if COUNTS[label] < 20]
LATENT, OBSERVED = 24, 64
NOISE = 0.35  # of a label's score, beside 1 that features tell
RELATED = dict.fromkeys(range(40), 4000)
RELATED_ROWS = 20_000


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (ROWS, OBSERVED) and the indicator matrix (ROWS, LABELS), float32."""
    return _draw(seed, 1, ROWS, COUNTS, LABELS)


def draw_related(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for other, common labels of the same world, whose features come about in the same way."""
    return _draw(seed, 2, RELATED_ROWS, RELATED, len(RELATED))


def _draw(seed: int, part: int, rows: int, counts: dict[int, int], labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Features are a nonlinear mixture of a latent place; a label has the rows that lie furthest in its direction."""
    mixing = np.random.default_rng(seed).normal(size=(LATENT, OBSERVED)) / LATENT**0.5
    rng = np.random.default_rng((seed, part))
    latent = rng.normal(size=(rows, LATENT))
    matrix = np.zeros((rows, labels), np.float32)
    for label, count in counts.items():
        direction = rng.normal(size=LATENT)
        score = latent @ direction / np.linalg.norm(direction) + NOISE * rng.normal(size=rows)
        matrix[np.argsort(-score)[:count], label] = 1
    observed = np.tanh(2 * latent @ mixing) + 0.1 * rng.normal(size=(rows, OBSERVED))
    return observed.astype(np.float32), matrix


def stratified_folds(y: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold of each row, (rows,), with each label's rows spread evenly.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, algorithm 1): the label with the fewest rows left
    comes next, and each of its rows goes to the fold that wants most of it, then to the one with most room.
    """
    rng = np.random.default_rng(seed)
    fold = np.full(len(y), -1)
    wanted = np.tile(y.sum(axis=0) / folds, (folds, 1))  # (folds, labels)
    room = np.full(folds, len(y) / folds)
    while (counts := y[fold < 0].sum(axis=0)).any():
        label = np.argmin(np.where(counts > 0, counts, np.inf))
        for row in rng.permutation(np.flatnonzero((fold < 0) & (y[:, label] == 1))):
            best = max(range(folds), key=lambda number: (wanted[number, label], room[number], rng.random()))
            fold[row] = best
            wanted[best] -= y[row]
            room[best] -= 1
    for row in rng.permutation(np.flatnonzero(fold < 0)):
        fold[row] = np.argmax(room)
        room[fold[row]] -= 1
    return fold
