"""Rows of a step and learning rates, where the recipe leaves them to the window.

Many steps on a small log, large batches at full speed on a large one; docs/training.md has the measurements.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING

from ctr_retrain.models.architectures.shipped_networks import NETWORKS, Network

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.training_section import Training

STEPS = 500  # of an epoch, or more, unless batches would be too small for that
LEAST_ROWS, MOST_ROWS = 32, 4096  # of a batch: from 2,048,000 rows on the largest, at full speed
ENSEMBLE_ROWS = 1_000_000  # of an epoch, from which on a second network would cost minutes
LEAST_RATE, MOST_RATE = 0.002, 0.03  # of the dense weights


def choose_batch_rows(training: Training, rows: int, positives: int) -> int:
    """Return the recipe's rows of a step or, where it has none, those for an epoch of so many rows and positives.

    The largest power of two that leaves STEPS steps, raised where a batch would hold no positive in the mean.
    """
    if training.batch_rows:
        return training.batch_rows
    wanted = max(rows / STEPS, rows / max(1, positives), 1)
    return int(min(MOST_ROWS, max(LEAST_ROWS, 2 ** int(log2(wanted)))))


def choose_members(training: Training, rows: int) -> int:
    """Return the recipe's networks of an ensemble or, where it has none, those for an epoch of so many rows.

    Two of a shipped network with latent vectors, as long as that is a matter of seconds: the choice of a seed alone
    changes a tenth of the decisions. A network of one's own is one: it may name its layers.
    """
    if training.ensemble:
        return training.ensemble
    shipped = NETWORKS.get(training.network)
    return 2 if shipped and shipped.latent_vectors and rows < ENSEMBLE_ROWS else 1


def choose_rates(training: Training, steps: int) -> tuple[float, float]:
    """Return the learning rates of dense weights and embedding rows: the recipe's or, where it has none, by the steps.

    The fewer steps of the whole fit there are, the longer those of the dense weights, so that they get as far.
    """
    network = NETWORKS.get(training.network, Network(lambda *_: None))  # a network of one's own has the defaults
    dense = min(MOST_RATE, max(LEAST_RATE, network.dense_travel / max(1, steps)))
    return training.learning_rate or dense, training.embedding_learning_rate or network.embedding_learning_rate
