"""Warm start: weights of a source model set in a new network, embedding rows by field and id, other layers by name.

Fields may come, go, change their buckets or their order: each field's rows move as a block, and a field whose values
have other rows now begins anew. Layers above the embeddings mean something only where their inputs stand in the same
order; else they begin anew as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.documents.training_documents import TransferReport
from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.features.embedding import EMBEDDING_TABLE
from ctr_retrain.models.features.rare_values import RARE_VALUES
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.features.table_layout import (
    field_offsets,
    fields,
    id_features,
    numbers_with_rows,
    standardized_numbers,
)
from ctr_retrain.models.training.saved_network import named_layers, named_slots, named_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    import keras

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.training.saved_network import Trainable
    from ctr_retrain.models.training.table_optimizer import TableOptimizer

FRESH = -1  # in place of a source row's number: the new row keeps the value that it begins with


@dataclass(frozen=True, eq=False)
class SourceModel:
    """A trained network that another one starts from."""

    recipe: Recipe
    state: NumericState  # means, scales and edges in which its weights were learnt
    trainable: Trainable  # weights and optimizer slots


@dataclass(frozen=True, eq=False)
class RowSources:
    """The source of each row of the new embedding table."""

    source: npt.NDArray[np.int64]  # (rows,): the source model's row whose values it takes, or FRESH
    own: npt.NDArray[np.bool_]  # (rows,): that row stood for the same value; else it is the field's rare row
    expired: int  # rows that begin anew since recent data doesn't name them


def transferred_state(fitted: NumericState, features: tuple[Feature, ...], source_model: SourceModel) -> NumericState:
    """Return the numbers' means, scales and edges: the source model's, in which its weights were learnt.

    Numbers that it doesn't have keep their freshly fitted ones.
    """
    theirs = {feature.name: feature for feature in source_model.recipe.features}
    known = {f.name for f in features if f.name in theirs and f.has_rows_of(theirs[f.name])}
    old = [f.name for f in standardized_numbers(source_model.recipe.features)]
    mean, scale = list(fitted.mean), list(fitted.scale)
    for position, feature in enumerate(standardized_numbers(features)):
        if feature.name in known:
            at = old.index(feature.name)
            mean[position], scale[position] = source_model.state.mean[at], source_model.state.scale[at]
    old_with_rows = [f.name for f in numbers_with_rows(source_model.recipe.features)]
    old_edges = dict(zip(old_with_rows, source_model.state.edges, strict=True))
    edges = [
        old_edges[feature.name] if feature.name in known else own
        for feature, own in zip(numbers_with_rows(features), fitted.edges, strict=True)
    ]
    return NumericState(fitted.log, tuple(mean), tuple(scale), tuple(edges))


def row_sources(
    features: tuple[Feature, ...],
    source_model: tuple[Feature, ...],
    target: npt.NDArray[np.int32] | None,
    seen: npt.NDArray[np.bool_] | None,
) -> RowSources:
    """Find the source of each row of the new table.

    source_model: its features. target: (table rows,) the row that the source model read in place of each: the field's
    rare row for a rare value, else the row itself; None where it knows no rare values. seen: (table rows,) True for
    rows that recent data names; hashed values that it doesn't name begin anew. None: nothing expires.
    """
    offsets, old_offsets = _row_blocks(features), _row_blocks(source_model)
    source = np.full(max(last for _, last in offsets.values()) if offsets else 1, FRESH, np.int64)
    theirs, hashed = {feature.name: feature for feature in source_model}, np.zeros(len(source), bool)
    for feature in fields(features):
        (first, last), old = offsets[feature.name], theirs.get(feature.name)
        if old is not None and feature.has_rows_of(old):
            source[first:last] = np.arange(*old_offsets[feature.name])
        hashed[first + 1 : last] = feature.holds == "text"  # a field's first row stands for a missing value: it stays
    for name in offsets.keys() & old_offsets.keys():
        if name.startswith(RARE_VALUES):
            source[offsets[name][0]] = old_offsets[name][0]
    expired = np.zeros(len(source), bool)
    if seen is not None:
        expired = hashed & (source != FRESH)
        expired[: len(seen)] &= ~seen
        source[expired] = FRESH
    own = source != FRESH
    if target is not None:
        in_target = own & (source < len(target))
        row_read = target[source[in_target]]
        own[in_target] = row_read == source[in_target]
        source[in_target] = row_read
    return RowSources(source, own, int(expired.sum()))


def seen_rows(chunks: Iterable[npt.NDArray[np.int32]], features: tuple[Feature, ...]) -> npt.NDArray[np.bool_]:
    """Mark the rows of the fields' table that the ids of the chunks, (n, slots) each, name: (table rows,)."""
    seen = np.zeros(field_offsets(features)[-1], bool)
    for chunk in chunks:
        seen[chunk.ravel()] = True
    return seen


def transfer_weights(
    network: keras.Model, recipe: Recipe, source_model: SourceModel, seen: npt.NDArray[np.bool_] | None
) -> tuple[TransferReport, RowSources]:
    """Set those weights of the network that the source model has; the network's rare values were adapted before."""
    theirs = source_model.trainable.weights
    target = next((value for name, value in theirs.items() if name.startswith(f"{RARE_VALUES}/")), None)
    sources = row_sources(recipe.features, source_model.recipe.features, target, seen)
    same_order = _input_order(recipe.features) == _input_order(source_model.recipe.features)
    taken_layers = set()
    for name, weight in named_weights(network).items():
        layer, value = name.rsplit("/", maxsplit=1)[0], theirs.get(name)
        if value is None or layer == RARE_VALUES:
            continue
        if weight.name == EMBEDDING_TABLE:
            weight.assign(_with_source_rows(weight, value, sources, sources.source != FRESH))
        elif same_order and value.shape == tuple(weight.shape):
            weight.assign(np.asarray(value))
        else:
            continue
        taken_layers.add(layer)
    layers = [name for name in named_layers(network) if name != RARE_VALUES]
    taken_rows = int((sources.source != FRESH).sum())
    transferred = TransferReport(
        rows=taken_rows,
        expired_rows=sources.expired,
        fresh_rows=len(sources.source) - taken_rows - sources.expired,
        layers=tuple(name for name in layers if name in taken_layers),
        fresh_layers=tuple(name for name in layers if name not in taken_layers),
    )
    return transferred, sources


def freeze_layers(network: keras.Model, freeze: tuple[str, ...], transferred: TransferReport) -> TransferReport:
    """Take the named layers out of training, where they came from the source model."""
    layers = named_layers(network)
    frozen = tuple(name for name in freeze if name in transferred.layers)
    for name in frozen:
        layers[name].trainable = False
    return transferred.model_copy(update={"frozen": frozen})


def check_layer_names(network: keras.Model, freeze: tuple[str, ...]) -> None:
    """Raise UsageError where the network has no such layer to freeze, or where none would be left to train."""
    names = [name for name, layer in named_layers(network).items() if layer.trainable_variables]
    unknown = [name for name in freeze if name not in names]
    if unknown or (freeze and set(freeze) >= set(names)):
        received = f"{unknown}, which it has not" if unknown else "all of them"
        msg = f"warm_start.freeze: expected some of the network's layers, {', '.join(names)}, received {received}."
        raise UsageError(msg)


def transfer_slots(
    optimizer: TableOptimizer,
    network: keras.Model,
    source_model: SourceModel,
    sources: RowSources,
    transferred: TransferReport,
) -> TransferReport:
    """Set the built optimizer's slots of all weights that came from the source model, and its count of steps.

    Rows that took another row's values, a rare one's, keep the slots that they begin with.
    """
    theirs, taken = source_model.trainable.slots, 0
    for name, slot in named_slots(optimizer, network).items():
        value, layer = theirs.get(name), name.rsplit("/", maxsplit=1)[0]
        if value is None or ": " not in name or layer not in transferred.layers:
            continue
        if name.split(": ")[0].endswith(f" {EMBEDDING_TABLE}"):
            slot.assign(_with_source_rows(slot, value, sources, sources.own))
        else:
            slot.assign(np.asarray(value))
        taken += 1
    optimizer.iterations.assign(steps_done(source_model))
    return transferred.model_copy(update={"slots": taken})


def steps_done(source_model: SourceModel) -> int:
    """Return the number of steps that the source model's slots have behind them."""
    return max((int(v) for name, v in source_model.trainable.slots.items() if name.endswith("/iteration")), default=0)


def _with_source_rows(
    variable: Any, value: npt.NDArray[Any], sources: RowSources, taken: npt.NDArray[np.bool_]
) -> npt.NDArray[Any]:
    """Return the variable's rows, those that are `taken` (rows,) replaced by the source model's `value`."""
    rows = np.array(tf.convert_to_tensor(variable.value))
    rows[: len(taken)][taken] = value[sources.source[taken]]
    return rows


def _row_blocks(features: tuple[Feature, ...]) -> dict[str, tuple[int, int]]:
    """Return first and last + 1 row of each field by name, and of its rare row, if any, by `rare_values NAME`."""
    names, offsets = [feature.name for feature in fields(features)], field_offsets(features)
    blocks = {name: (offsets[index], offsets[index + 1]) for index, name in enumerate(names)}
    # Rare rows follow behind all fields' rows, one for each field that owns its rows and has a floor on them.
    with_rare = [f.name for f in fields(features) if f.rare_below > 1 and f.owner == f.name]
    return blocks | {
        f"{RARE_VALUES} {name}": (offsets[-1] + index, offsets[-1] + index + 1) for index, name in enumerate(with_rare)
    }


def _input_order(features: tuple[Feature, ...]) -> list[Any]:
    """List the inputs of the layers above the embeddings in their order, to compare two networks' by."""
    names = [feature.name for feature in fields(features)]
    raw = [(feature.name, feature.logarithmic) for feature in standardized_numbers(features)]
    beside = [(feature.name, feature.extra_numbers) for feature in id_features(features) if feature.extra_numbers]
    return [names, raw, beside]
