"""A linear network as a matrix: the columns that its weights multiply, read from its own graph, and the weights.

The columns are those of table rows, of the standardised numbers, of each number in pieces, and a last one of ones. A
number in pieces is read by the value of its line at each knot, of which a row has two at most, rather than by its
pieces, of which it has up to all: the model is the same, and its weights depend on each other less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from scipy import sparse

from ctr_retrain.models.features.piecewise import COLUMNS, NUMBER_PIECES, PIECEWISE_NUMBERS
from ctr_retrain.models.features.table_layout import encoded_fields, plain_numbers, table_fields
from ctr_retrain.models.linear.field_penalties import Group

if TYPE_CHECKING:
    import numpy.typing as npt

    from ctr_retrain.models.feature_kinds.feature import Feature

    Floats = npt.NDArray[np.float64]

NUMBERS = "straight lines of numbers"  # the group of their weights, beside those of features


class LinearColumns:
    """The columns of a network of linear terms alone, and where its weights are."""

    def __init__(self, network: keras.Model, features: tuple[Feature, ...]) -> None:
        """Take the network, and its features as fitted."""
        self._features = features
        self._table, self._dense = network.get_layer("embedding"), _output(network)
        found = {layer.name: layer for layer in network.layers}
        self._pieces = found.get(PIECEWISE_NUMBERS)
        read = [self._table.input, self._dense.input]
        read += [found[NUMBER_PIECES].output] if self._pieces else []
        self._read = keras.Model(network.input, read)

    def matrix(self, ids: npt.NDArray[np.int32], numeric: npt.NDArray[np.float32]) -> Any:
        """Return the columns of encoded rows, (n, columns), in scipy's compressed rows."""
        rows, numbers, *pieces = (np.asarray(part) for part in self._read({"ids": ids, "numeric": numeric}))
        parts = [self._named(rows), sparse.csr_matrix(numbers.astype(np.float64))]
        for part in pieces:
            for number in part.astype(np.float64):
                number[:, 1:-1] -= number[:, 2:]
                parts.append(sparse.csr_matrix(number))
        return sparse.hstack([*parts, sparse.csr_matrix(np.ones((len(rows), 1)))], format="csr")

    def groups(self) -> list[Group]:
        """Return the groups of weights that are penalised alike: those of each feature, and all straight lines."""
        fields = [
            Group(field.feature.name, field.offset, None, field.end - field.offset)
            for field in table_fields(self._features)
        ]
        first = self._table.rows
        found = [*fields, Group(NUMBERS, first, None, self._dense.kernel.shape[0])]
        if self._pieces is not None:
            # The pieces' weights are the differences of the line's values: S is that of the weights.
            steps = np.eye(COLUMNS) - np.eye(COLUMNS, k=-1)
            steps[1, 0] = 0.0  # the first is that of missing numbers
            names = [feature.name for feature in plain_numbers(self._features) if feature.piecewise]
            first += self._dense.kernel.shape[0]
            found += [
                Group(name, first + COLUMNS * number, steps.T @ steps, COLUMNS) for number, name in enumerate(names)
            ]
        return found

    def weights(self) -> Floats:
        """Return the weights of the columns as the network has them, (columns,)."""
        parts = [_values(self._table.table)[:, 0], _values(self._dense.kernel)[:, 0]]
        if self._pieces is not None:
            values = _values(self._pieces.kernel)[:, :, 0]
            values[:, 1:] = np.cumsum(values[:, 1:], axis=1)
            parts.append(values.ravel())
        return np.concatenate([*parts, _values(self._dense.bias)])

    def assign(self, weights: Floats) -> None:
        """Set the network's weights, (columns,)."""
        rows, numbers = self._table.rows, self._dense.kernel.shape[0]
        self._table.table.assign(weights[:rows, None])
        self._dense.kernel.assign(weights[rows : rows + numbers, None])
        self._dense.bias.assign(weights[-1:])
        if self._pieces is not None:
            values = weights[rows + numbers : -1].reshape(-1, COLUMNS).copy()
            values[:, 2:] = np.diff(values[:, 1:], axis=1)
            self._pieces.kernel.assign(values[:, :, None])

    def _named(self, rows: npt.NDArray[np.int32]) -> Any:
        """Return how much each row of the table counts for each row of data, (n, table rows)."""
        share = np.ones(rows.shape, np.float64)
        for feature, field, columns in encoded_fields(self._features):
            if feature.slots > 1:  # what its pooling makes of embeddings that are each slot's own
                there = tf.cast(tf.not_equal(rows[:, columns], field.offset), tf.float32)
                own = tf.tile(tf.eye(feature.slots)[None], [len(rows), 1, 1])
                share[:, columns] = feature.pool(own, there)
        places = np.repeat(np.arange(len(rows)), rows.shape[1])
        named = sparse.csr_matrix((share.ravel(), (places, rows.ravel())), shape=(len(rows), self._table.rows))
        named.eliminate_zeros()
        return named


def _output(network: keras.Model) -> Any:
    """Return the layer with the numbers' weights and the bias."""
    return next(layer for layer in network.layers if isinstance(layer, keras.layers.Dense))


def _values(variable: Any) -> Floats:
    """Copy a variable's values."""
    return np.array(tf.convert_to_tensor(variable.value), np.float64)
