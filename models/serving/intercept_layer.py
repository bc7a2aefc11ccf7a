"""Intercepts of channels and campaigns in front of calibration: fitted to a trained network's rows, served with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from ctr_retrain.models.documents.training_documents import CampaignIntercepts
from ctr_retrain.models.feature_kinds.fingerprints import SHARED_ROW, TextFeature
from ctr_retrain.models.features.table_layout import encoded_fields
from ctr_retrain.models.serving.campaign_intercepts import (
    WIDE_SD,
    Intercepts,
    LevelRows,
    fit_intercepts,
    gain_ahead,
    recency_weights,
)
from ctr_retrain.models.training.stacked_arrays import CHUNK_ROWS
from ctr_retrain.models.training.training_loop import UNTRACED_ROWS, logits_function

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.training.batches import TrainingRows

CHANNEL, CAMPAIGN = "channel", "campaign_id"  # columns of impressions
MOST_ROWS = 2_000_000  # of those trained on, the newest, that the network answers once more
MISSING_ROW = 0  # of a feature of texts


@dataclass(frozen=True)
class GroupField:
    """The feature of a column, by whose ids rows belong to groups."""

    column: int  # of the ids
    first_row: int  # of the embedding table
    size: int  # groups, as many as it has rows of the table


@keras.saving.register_keras_serializable("ctr_retrain")
class GroupIntercept(keras.layers.Layer):  # type: ignore[misc]
    """The intercept of each row's group: ids (n, slots) → (n, 1) float32."""

    def __init__(self, column: int, first_row: int, size: int, **options: Any) -> None:
        """Take the place of the field among the ids and in the embedding table."""
        super().__init__(**options)
        self.column, self.first_row, self.size = column, first_row, size
        self.intercepts = self.add_weight(shape=(size,), initializer="zeros", trainable=False, name="intercepts")

    def call(self, ids: Any) -> Any:
        """Look the intercepts up."""
        return tf.gather(self.intercepts, ids[:, self.column : self.column + 1] - self.first_row)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "column": self.column, "first_row": self.first_row, "size": self.size}


def has_intercepts(recipe: Recipe, rows: TrainingRows) -> bool:
    """Return True where the recipe asks for intercepts, a feature reads the campaign, and labels are final.

    Warm starts and fresh passes go on with the weights of a network, and so a recipe that has them has none.
    """
    goes_on = recipe.warm_start.enabled or recipe.training.ship == "fresh" or rows.maturity is not None
    asked = recipe.training.campaign_sd > 0 and CAMPAIGN in group_fields(recipe.features)
    return asked and not goes_on


def with_intercepts(
    network: keras.Model, recipe: Recipe, rows: TrainingRows, kept_out: TrainingRows
) -> tuple[keras.Model, CampaignIntercepts]:
    """Return the network with intercepts on its label's logit, as it is where they don't pay, and what was found.

    rows: those that it was trained on, in the order of their days. kept_out: others, which training never saw.
    """
    found = level_rows(network, recipe, rows, kept_out)
    # Calibration, which comes next, says what to do about logits that aren't finite.
    usable = bool(np.isfinite(found.logit).all())
    gain = gain_ahead(found, np.arange(len(found.label)) >= len(found.label) - len(kept_out)) if usable else None
    pays = gain is not None and gain > 0
    told = CampaignIntercepts(served=pays, gain_ahead=gain, rows=len(found.label))
    fields = [*group_fields(recipe.features).values()]
    return (add_intercepts(network, fields, fit_intercepts(found)) if pays else network), told


def group_fields(features: tuple[Feature, ...]) -> dict[str, GroupField]:
    """Return by its column the field of the channel and then that of the campaign, each where a feature reads it alone.

    Features that share another one's embedding rows don't count.
    """
    found: dict[str, GroupField] = {}
    for feature, field, columns in encoded_fields(features):
        own = isinstance(feature, TextFeature) and feature.slots == 1 and feature.owner == feature.name
        if own and len(feature.sources) == 1:
            found.setdefault(feature.sources[0], GroupField(columns.start, field.offset, field.end - field.offset))
    return {column: found[column] for column in (CHANNEL, CAMPAIGN) if column in found}


def level_rows(network: keras.Model, recipe: Recipe, rows: TrainingRows, kept_out: TrainingRows) -> LevelRows:
    """Return the newest rows that were trained on, and after them those kept out, as the network answers them."""
    fields = group_fields(recipe.features)
    newest = np.arange(max(0, len(rows) - MOST_ROWS), len(rows))
    logits = logits_function(network, traced=len(newest) > UNTRACED_ROWS)
    logit, groups = [], []
    for part, numbers in ((rows, newest), (kept_out, np.arange(len(kept_out)))):
        for chunk in np.array_split(numbers, -(-len(numbers) // CHUNK_ROWS)):
            ids = part.ids[chunk]
            logit.append(logits(ids, part.numeric[chunk]))
            groups.append(np.stack([_groups(ids, field) for field in fields.values()], axis=1))
    day = np.concatenate([rows.day_index[newest], kept_out.day_index])
    confidence = [
        np.ones(len(part)) if part.confidence is None else np.asarray(part.confidence) for part in (rows, kept_out)
    ]
    return LevelRows(
        logit=np.concatenate(logit).astype(np.float64),
        label=np.concatenate([rows.label[newest], kept_out.label]),
        weight=recency_weights(day) * np.concatenate([confidence[0][newest], confidence[1]]),
        day=day,
        groups=np.concatenate(groups),
        sizes=tuple(field.size for field in fields.values()),
        prior_sds=tuple(WIDE_SD if column == CHANNEL else recipe.training.campaign_sd for column in fields),
    )


def add_intercepts(network: keras.Model, fields: Sequence[GroupField], intercepts: Intercepts) -> keras.Model:
    """Return the network, {ids, numeric} → logits (n, 1 + heads), with each field's intercepts on the label's logit."""
    inputs = {name: keras.Input(own.shape[1:], dtype=own.dtype, name=name) for name, own in network.input.items()}
    logit = network(inputs)
    for field, values in zip(fields, intercepts, strict=True):
        layer = GroupIntercept(field.column, field.first_row, field.size)
        layer.intercepts.assign(np.where(np.arange(field.size) == MISSING_ROW, values[SHARED_ROW], values))
        logit += keras.ops.pad(layer(inputs["ids"]), [[0, 0], [0, logit.shape[1] - 1]])
    return keras.Model(inputs, logit, name=network.name)


def _groups(ids: npt.NDArray[np.int32], field: GroupField) -> npt.NDArray[np.int32]:
    """Return each row's group, (n,): without a value, that of values never seen."""
    group = ids[:, field.column] - field.first_row
    return np.where(group == MISSING_ROW, np.int32(SHARED_ROW), group)
