"""The linear weight of values never seen, fitted after training on values that only the window's second half holds.

A value that training never saw is most often a new one, and new campaigns, items and users differ from old ones. What
they are like can be looked up: rows of the second half whose values the first half doesn't hold are what rows of unseen
values will be. The trained network answers them with these values as unseen, and for each field one number is fitted,
to be added to the linear weight of its row of unseen values:

    minimise over δ   Σ w · log loss(label, logit + Σ_f share_f · δ_f)  +  Σ_f δ_f² / (2 · PRIOR_SD²)

All fields are fitted together, since what a new campaign is crossed with is as new as itself. Rows of one value have
its own effect in common, so a value tells no more than 1 / VALUE_SD²: w = 1 / (1 + i · VALUE_SD²) for its information
i = Σ p (1 − p), as generalised least squares weigh a group with a random intercept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from ctr_retrain.models.feature_kinds.fingerprints import SHARED_ROW, TextFeature
from ctr_retrain.models.features.table_layout import encoded_fields, table_fields
from ctr_retrain.models.features.vocabulary import shared_rows
from ctr_retrain.models.losses.training_losses import observed_logit
from ctr_retrain.models.serving.calibration import sigmoid
from ctr_retrain.models.training.training_loop import logits_function

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras
    import numpy.typing as npt

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.training.batches import TrainingRows

    Floats = npt.NDArray[np.float64]
    Ids = npt.NDArray[np.int32]

PRIOR_SD = 0.2  # of δ: further off is a field's row of unseen values seldom; docs/training.md has what was tried
VALUE_SD = 0.3  # of one new value's log-odds, around those of all new values
LOOKED_ROWS = 200_000  # of the second half, evenly spaced, that are searched for new values: seconds at most
ROUNDS = 3  # since hidden layers read linear weights too, a logit moves by another amount than the weight
LEAST_SLOPE, MOST_SLOPE = 0.2, 5.0  # of logits, by the weight, that are believed of a network
LEAST_STEP = 1e-3  # of a weight, below which the fit is done
NEWTON_STEPS = 8


@dataclass(frozen=True, eq=False)
class NewValues:
    """Rows that hold new values, with these given as unseen."""

    rows: npt.NDArray[np.int64]  # (n,), their numbers among the training rows
    ids: Ids  # (n, slots), rows of the embedding table
    share: Floats  # (n, owners), how much of the embeddings of an owner's features is its row of unseen values
    values: Ids  # (n, owners), the table row of a new value; 0 without one


def fit_unseen_values(
    network: keras.Model,
    rows: TrainingRows,
    first_day: npt.NDArray[np.int16],
    features: tuple[Feature, ...],
    width: int,
) -> dict[str, float]:
    """Fit the linear weights of the rows of unseen values in place; return what was added, by the owner of the rows.

    rows: the training rows, in the order of their days. first_day: (table rows,), the first day on which training rows
    hold each row's value. width: columns of the table that each member of an ensemble has, the last its linear weight.
    Nothing is added where the window is a single day, or the second half has no new value.
    """
    new, owners = new_values(rows, first_day, features), owners_of(features)
    added, slope = np.zeros(len(owners)), 1.0
    table, logits = network.get_layer("embedding").table, logits_function(network)
    trained, numeric = table.numpy(), rows.numeric[new.rows]
    logit = _observed(logits(new.ids, numeric), rows, new.rows)
    for _ in range(ROUNDS):
        answering = replace(new, share=slope * new.share)
        more = fit_weights(logit, rows.label[new.rows], answering, _confidence(rows, new.rows), added)
        if np.abs(more).max(initial=0) < LEAST_STEP:
            break
        added += more
        table.assign(_with_weights(trained, owners, added, width))
        before, logit = logit, _observed(logits(new.ids, numeric), rows, new.rows)
        asked = new.share @ more
        slope = min(MOST_SLOPE, float((logit - before) @ asked / (asked @ asked)))
        if slope < LEAST_SLOPE:  # a network of one's own that doesn't add up linear weights
            table.assign(trained)
            return dict.fromkeys(owners, 0.0)
    return dict(zip(owners, added.tolist(), strict=True))


def owners_of(features: tuple[Feature, ...]) -> dict[str, int]:
    """Return the row of unseen values of each feature of texts that owns rows of the table."""
    return {
        field.feature.name: field.offset + SHARED_ROW
        for field in table_fields(features)
        if isinstance(field.feature, TextFeature) and field.feature.owner == field.feature.name
    }


def new_values(rows: TrainingRows, first_day: npt.NDArray[np.int16], features: tuple[Feature, ...]) -> NewValues:
    """Return those rows of the second half of the days that hold a value which the first half doesn't hold."""
    half = -(-(int(rows.day_index[-1]) + 1) // 2)
    later = np.arange(np.searchsorted(rows.day_index, max(1, half)), len(rows))
    if len(later) > LOOKED_ROWS:
        later = later[np.linspace(0, len(later) - 1, LOOKED_ROWS).astype(np.int64)]
    unseen = shared_rows(features)
    since = np.full(len(unseen), -1, np.int16)
    since[: len(first_day)] = first_day
    stand_in = np.where(since >= half, unseen, np.arange(len(unseen), dtype=np.int32))
    ids = rows.ids[later]
    new = (stand_in[ids] != ids).any(axis=1)
    return _given_as_unseen(later[new], ids[new], stand_in, features)


def fit_weights(
    logit: npt.NDArray[Any], label: npt.NDArray[np.uint8], new: NewValues, weight: Floats | float, before: Floats
) -> Floats:
    """Return what to add to the linear weight of each owner's row of unseen values, (owners,).

    logit: (n,), of the ids in `new`. weight: of rows, (n,) or of all. before: (owners,), what was added already.
    """
    logit = logit.astype(np.float64)
    weight = weight * _row_weights(logit, new)
    added = np.zeros_like(before)
    for _ in range(NEWTON_STEPS):
        p = sigmoid(logit + new.share @ added)
        gradient = new.share.T @ (weight * (p - label)) + (before + added) / PRIOR_SD**2
        curvature = (new.share.T * (weight * p * (1 - p))) @ new.share
        added -= np.linalg.solve(curvature + np.eye(len(added)) / PRIOR_SD**2, gradient)
    return added


def _given_as_unseen(rows: npt.NDArray[np.int64], ids: Ids, stand_in: Ids, features: tuple[Feature, ...]) -> NewValues:
    """Give each id as its stand-in, a row of the table, and return how much of the embeddings that changes."""
    given = stand_in[ids]
    changed, owners = given != ids, [*owners_of(features)]
    share, values = np.zeros((len(ids), len(owners))), np.zeros((len(ids), len(owners)), np.int32)
    for feature, field, columns in encoded_fields(features):
        if isinstance(feature, TextFeature):
            owner, own = owners.index(feature.owner), changed[:, columns]
            share[:, owner] += _share_of_embedding(feature, own, ids[:, columns] != field.offset)
            values[:, owner] = np.maximum(values[:, owner], np.where(own, ids[:, columns], 0).max(axis=1))
    return NewValues(rows, given, share, values)


def _share_of_embedding(feature: TextFeature, changed: npt.NDArray[np.bool_], there: npt.NDArray[np.bool_]) -> Floats:
    """Return how much of a feature's pooled embedding the changed slots are, (n,); both are (n, slots)."""
    if feature.slots == 1:
        return changed[:, 0].astype(np.float64)
    pooled = feature.pool(changed[..., None].astype(np.float32), there.astype(np.float32))
    return np.asarray(pooled, np.float64)[:, 0]


def _row_weights(logit: Floats, new: NewValues) -> Floats:
    """Return what rows weigh so that a value tells no more than 1 / VALUE_SD², (n,): the least for its new values."""
    p = sigmoid(logit)
    weight = np.ones(len(logit))
    for values in new.values.T:
        information = np.bincount(values, p * (1 - p), 1)
        information[0] = 0.0  # of rows without a new value of this owner
        weight = np.minimum(weight, 1 / (1 + VALUE_SD**2 * information[values]))
    return weight


def _observed(logit: npt.NDArray[np.float32], rows: TrainingRows, chosen: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return the log-odds that a positive has landed, which is what immature labels show."""
    if rows.maturity is None:
        return logit
    return np.asarray(observed_logit(tf.constant(logit), tf.constant(rows.maturity[chosen])))


def _confidence(rows: TrainingRows, chosen: npt.NDArray[np.int64]) -> Floats | float:
    """Return what the recipe's confidence makes of rows."""
    return 1.0 if rows.confidence is None else rows.confidence[chosen].astype(np.float64)


def _with_weights(
    table: npt.NDArray[np.float32], owners: Mapping[str, int], added: Floats, width: int
) -> npt.NDArray[np.float32]:
    """Return the table with numbers added to the linear weights of the owners' rows, of each member of an ensemble."""
    changed = table.copy()
    for row, change in zip(owners.values(), added, strict=True):
        changed[row, width - 1 :: width] += change
    return changed
