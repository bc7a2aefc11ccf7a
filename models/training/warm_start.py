"""Warm start: weights of a source model set in a new network, embedding rows by field and value, other layers by name.

Weights of a number in pieces come along by its name, as long as its pieces are kept.
Fields may come, go or change their order, and values too: each value's row comes from the row that the source model has
for it. A field that reads something else now begins anew. Layers above the embeddings mean something only where their
inputs stand in the same order; else they begin anew as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.documents.training_documents import TransferReport
from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.feature_kinds.fingerprints import FIRST_KNOWN_ROW, SHARED_ROW, TextFeature
from ctr_retrain.models.features.embedding import EMBEDDING_TABLE
from ctr_retrain.models.features.number_knots import still_fit
from ctr_retrain.models.features.piecewise import NUMBER_PIECES, PIECEWISE_NUMBERS
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.features.table_layout import (
    field_offsets,
    fields,
    id_features,
    numbers_with_rows,
    plain_numbers,
    table_fields,
)
from ctr_retrain.models.training.saved_network import fitted_recipe, named_layers, named_slots, named_weights

if TYPE_CHECKING:
    from collections.abc import Iterable

    import keras

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.features.table_layout import TableField
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.training.saved_network import Trainable
    from ctr_retrain.models.training.table_optimizer import TableOptimizer

    IntArray = npt.NDArray[np.int64]

FRESH = -1  # in place of a source row's number: the new row keeps the value that it begins with


@dataclass(frozen=True, eq=False)
class SourceModel:
    """A trained network that another one starts from."""

    recipe: Recipe
    state: NumericState  # means, scales and edges in which its weights were learnt
    trainable: Trainable  # weights and optimizer slots, and the values that its embedding rows stand for


@dataclass(frozen=True, eq=False)
class RowSources:
    """The source of each row of the new embedding table."""

    source: npt.NDArray[np.int64]  # (rows,): the source model's row whose values it takes, or FRESH
    own: npt.NDArray[np.bool_]  # (rows,): that row stood for the same value; else it is the row of unseen values
    expired: int  # rows that begin anew since recent data doesn't name them
    # (numbers in pieces,): the source model's place of each, or FRESH
    numbers: IntArray


def transferred_state(fitted: NumericState, features: tuple[Feature, ...], source_model: SourceModel) -> NumericState:
    """Return what the network reads numbers by: the source model's statistics, in which its weights were learnt.

    Numbers that it doesn't have keep their freshly fitted ones, and so do bounds and pieces that values have left.
    """
    theirs, state = {feature.name: feature for feature in source_model.recipe.features}, source_model.state
    known = {f.name for f in features if f.name in theirs and f.has_rows_of(theirs[f.name])}
    old = [f.name for f in plain_numbers(source_model.recipe.features)]
    merged = {name: list(getattr(fitted, name)) for name in ("mean", "scale", "bounds", "knots")}
    for position, feature in enumerate(plain_numbers(features)):
        if feature.name not in known:
            continue
        at = old.index(feature.name)
        left = feature.piecewise and not still_fit(state.knots[at], fitted.knots[position])
        for name, values in merged.items():
            # A model of before has no bounds: within the window's own, its weights mean what they did.
            if getattr(state, name) and not (left and name in ("bounds", "knots")):
                values[position] = getattr(state, name)[at]
    old_with_rows = [f.name for f in numbers_with_rows(source_model.recipe.features)]
    old_edges = dict(zip(old_with_rows, state.edges, strict=True))
    edges = tuple(
        old_edges[feature.name] if feature.name in known else own
        for feature, own in zip(numbers_with_rows(features), fitted.edges, strict=True)
    )
    return NumericState(fitted.log, edges=edges, **{name: tuple(values) for name, values in merged.items()})


def number_sources(network: keras.Model, features: tuple[Feature, ...], source_model: SourceModel) -> IntArray:
    """Return the source model's place of each number in pieces, (numbers,), FRESH where it has other pieces."""
    own = [feature for feature in plain_numbers(features) if feature.piecewise]
    if not own:
        return np.empty(0, np.int64)
    all_theirs = zip(plain_numbers(source_model.recipe.features), source_model.state.knots, strict=False)
    theirs = [(feature, knots) for feature, knots in all_theirs if feature.piecewise]
    found = np.full(len(own), FRESH, np.int64)
    for number, (feature, knots) in enumerate(zip(own, network.get_layer(NUMBER_PIECES).state["knots"], strict=True)):
        for place, (old, old_knots) in enumerate(theirs):
            if old.name == feature.name and feature.has_rows_of(old) and tuple(knots) == old_knots:
                found[number] = place
    return found


def row_sources(
    features: tuple[Feature, ...], source_model: tuple[Feature, ...], seen: npt.NDArray[np.bool_] | None
) -> RowSources:
    """Find the source of each row of the new table.

    features, source_model: both as fitted. A value that the source model doesn't know starts from the row by which it
    would answer it: that of unseen values. seen: (table rows,) True for rows that recent data names; known values that
    it doesn't name begin anew. None: nothing expires.
    """
    theirs = {field.feature.name: field for field in table_fields(source_model)}
    fields = table_fields(features)
    source = np.full(max((field.end for field in fields), default=1), FRESH, np.int64)
    own, expired = np.zeros(len(source), bool), np.zeros(len(source), bool)
    for field in fields:
        old = theirs.get(field.feature.name)
        if old is None or not field.feature.has_rows_of(old.feature):
            continue
        source[field.offset : field.end], own[field.offset : field.end] = _rows_of_field(field, old)
        if seen is not None and isinstance(field.feature, TextFeature):
            values = slice(field.offset + FIRST_KNOWN_ROW, field.end)  # rows of missing and unseen values stay
            expired[values] = own[values] & ~seen[values]
    source[expired], own[expired] = FRESH, False
    return RowSources(source, own, int(expired.sum()), np.empty(0, np.int64))


def _rows_of_field(field: TableField, old: TableField) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the source of each row of a field that the source model has too, and whether it is of the same value."""
    if not isinstance(field.feature, TextFeature) or field.feature.owner != field.feature.name:
        rows = np.arange(field.end - field.offset)
        return old.offset + rows, np.ones(len(rows), bool)
    assert isinstance(old.feature, TextFeature)  # features of another kind don't have its rows
    of_values = old.feature.rows_of(field.feature.known)
    rows = np.concatenate([np.arange(FIRST_KNOWN_ROW), of_values])
    return old.offset + rows, np.concatenate([np.ones(FIRST_KNOWN_ROW, bool), of_values != SHARED_ROW])


def seen_rows(chunks: Iterable[npt.NDArray[np.int32]], features: tuple[Feature, ...]) -> npt.NDArray[np.bool_]:
    """Mark the rows of the fields' table that the ids of the chunks, (n, slots) each, name: (table rows,)."""
    seen = np.zeros(field_offsets(features)[-1], bool)
    for chunk in chunks:
        seen[chunk.ravel()] = True
    return seen


def transfer_weights(
    network: keras.Model, recipe: Recipe, source_model: SourceModel, seen: npt.NDArray[np.bool_] | None
) -> tuple[TransferReport, RowSources]:
    """Set those weights of the network that the source model has; the recipe's features are fitted."""
    theirs = source_model.trainable.weights
    sources = row_sources(recipe.features, fitted_recipe(source_model.recipe, source_model.trainable).features, seen)
    sources = replace(sources, numbers=number_sources(network, recipe.features, source_model))
    same_order = _input_order(recipe.features) == _input_order(source_model.recipe.features)
    taken_layers = set()
    for name, weight in named_weights(network).items():
        layer, value = name.rsplit("/", maxsplit=1)[0], theirs.get(name)
        if value is None:
            continue
        if weight.name == EMBEDDING_TABLE:
            weight.assign(_with_source_rows(weight, value, sources.source, sources.source != FRESH))
        elif layer == PIECEWISE_NUMBERS and value.shape[1:] == tuple(weight.shape[1:]):
            weight.assign(_with_source_rows(weight, value, sources.numbers, sources.numbers != FRESH))
        elif same_order and value.shape == tuple(weight.shape):
            weight.assign(np.asarray(value))
        else:
            continue
        taken_layers.add(layer)
    layers = named_layers(network)
    taken_rows = int(sources.own.sum())
    transferred = TransferReport(
        rows=taken_rows,
        expired_rows=sources.expired,
        fresh_rows=len(sources.source) - taken_rows - sources.expired,
        layers=tuple(name for name in layers if name in taken_layers),
        fresh_layers=tuple(name for name in layers if name not in taken_layers),
        fresh_numbers=_fresh_numbers(recipe.features, sources.numbers),
    )
    return transferred, sources


def _fresh_numbers(features: tuple[Feature, ...], sources: IntArray) -> tuple[str, ...]:
    """Name the numbers in pieces that begin anew."""
    in_pieces = (feature for feature in plain_numbers(features) if feature.piecewise)
    return tuple(feature.name for feature, source in zip(in_pieces, sources, strict=True) if source == FRESH)


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

    Rows that took the values of the row of unseen values keep the slots that they begin with.
    """
    theirs, taken = source_model.trainable.slots, 0
    for name, slot in named_slots(optimizer, network).items():
        value, layer = theirs.get(name), name.rsplit("/", maxsplit=1)[0]
        if value is None or ": " not in name or layer not in transferred.layers:
            continue
        if name.split(": ")[0].endswith(f" {EMBEDDING_TABLE}"):
            slot.assign(_with_source_rows(slot, value, sources.source, sources.own))
        elif layer == PIECEWISE_NUMBERS:
            slot.assign(_with_source_rows(slot, value, sources.numbers, sources.numbers != FRESH))
        else:
            slot.assign(np.asarray(value))
        taken += 1
    optimizer.iterations.assign(steps_done(source_model))
    return transferred.model_copy(update={"slots": taken})


def steps_done(source_model: SourceModel) -> int:
    """Return the number of steps that the source model's slots have behind them."""
    return max((int(v) for name, v in source_model.trainable.slots.items() if name.endswith("/iteration")), default=0)


def _with_source_rows(
    variable: Any, value: npt.NDArray[Any], source: IntArray, taken: npt.NDArray[np.bool_]
) -> npt.NDArray[Any]:
    """Return the variable's rows, those that are `taken` (rows,) replaced by the source model's `value`."""
    rows = np.array(tf.convert_to_tensor(variable.value))
    rows[: len(taken)][taken] = value[source[taken]]
    return rows


def _input_order(features: tuple[Feature, ...]) -> list[Any]:
    """List the inputs of the layers above the embeddings in their order, to compare two networks' by."""
    names = [feature.name for feature in fields(features)]
    names += [feature.name for feature in plain_numbers(features) if feature.piecewise]
    raw = [(feature.name, feature.logarithmic) for feature in plain_numbers(features)]
    beside = [(feature.name, feature.extra_numbers) for feature in id_features(features) if feature.extra_numbers]
    return [names, raw, beside]
