"""The members of an ensemble: networks of one form and several seeds over one embedding table, served as their mean.

Each member reads columns of its own of the table and of the numbers in pieces, and has dense layers of its own. So all
that knows a table by its rows, such as look-up, optimizer and warm start, needn't know of members. In training each has
a loss of its own (`MembersLoss`): by the loss of their mean they would learn to lean on each other.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MEMBERS = "members"  # name of the layer that takes the mean of their logits


def columns_of_members(embedded: Any, in_pieces: Any, members: int) -> Iterator[tuple[Any, Any]]:
    """Yield each member's own embeddings, (batch, fields, width), and of numbers in pieces, (numbers, batch, width).

    Both of all members have `members` times the width. The numbers' are None where there are none.
    """
    if members == 1:
        yield embedded, in_pieces
        return
    # Splits rather than slices: the gradient of a split is one concatenation, that of each slice a copy of all zeros.
    pieces = [None] * members if in_pieces is None else ops.split(in_pieces, members, axis=2)
    yield from zip(ops.split(embedded, members, axis=2), pieces, strict=True)


def mean_of_members(logits: Sequence[Any]) -> Any:
    """Return the mean of the members' logits, (batch, labels) each: log-odds, in which weights are undone exactly."""
    return logits[0] if len(logits) == 1 else keras.layers.Average(name=MEMBERS)(list(logits))


def member_logits(network: keras.Model) -> list[Any]:
    """Return the logits of each member of a network, (batch, labels), before their mean is taken."""
    # Found by its name in the graph, so that a network is all that training needs to be told.
    means = [layer for layer in network.layers if layer.name == MEMBERS]
    return list(means[0].input) if means else [network.output]


def equal_names(inputs: Any, logits: Sequence[Any]) -> list[str]:
    """Return the names that different layers of the members share, which Keras refuses within one model."""
    layers = {id(layer): layer.name for logit in logits for layer in keras.Model(inputs, logit).layers}
    return [name for name, count in Counter(layers.values()).items() if count > 1]


def member_name(name: str, member: int) -> str:
    """Return a layer's name within a member, the first being 0: layers of one model have different names."""
    return f"{name}_{member + 1}" if member else name
