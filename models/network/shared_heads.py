"""Heads for further kinds of outcomes over the layers of the label, and training of the output layers alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from ctr_retrain.models.losses.joint_logit import JointLogit
from ctr_retrain.models.network.members import member_logits, member_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctr_retrain.models.recipe.head_section import Head

HEADS = "heads"  # name of their layer


def with_head_logits(
    logit: Any,
    inputs: Any,
    shared: Sequence[Any],
    heads: Sequence[Head],
    log_odds: Sequence[float],
    seed: int,
    member: int = 0,
) -> Any:
    """Return the logit (n, 1) and each head's beside it, (n, 1 + heads).

    A head is linear in what is shared: the embeddings and numbers, and what the label's own last layer reads. log_odds:
    of the label and of each head, at which their biases start. A head that comes after the label is the joint logit of
    both, so its own part is the chance of its kind given the label's (Ma et al. 2018). member: of an ensemble.
    """
    last = output_layers(keras.Model(inputs, logit))[-1:]
    read = [layer.input for layer in last if isinstance(layer, keras.layers.Dense)]
    main, *own = log_odds
    # A joint logit has to start at the head's base log-odds. The chance of both is a product, so the head's own part
    # starts at these less the logarithm of the label's chance, which is −ln(1 + e^−main).
    bias = [odds + np.log1p(np.exp(-main)) if head.after else odds for head, odds in zip(heads, own, strict=True)]
    initial = keras.initializers.GlorotUniform(seed=seed)
    layer = keras.layers.Dense(len(heads), name=member_name(HEADS, member), kernel_initializer=initial)
    raw = layer(ops.concatenate([*shared, *(ops.cast(part, "float32") for part in read)], axis=1))
    layer.bias.assign(bias)
    columns = [raw[:, place : place + 1] for place in range(len(heads))]
    joint = [JointLogit()([logit, own]) if head.after else own for head, own in zip(heads, columns, strict=True)]
    return ops.concatenate([logit, *joint], axis=1)


def output_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers that nothing trained comes after: of each member its heads' layer, then its label's last."""
    found = []
    for member, logit in enumerate(member_logits(network)):
        trained = [layer for layer in keras.Model(network.input, logit).layers if layer.trainable_weights]
        heads = [layer for layer in trained if layer.name == member_name(HEADS, member)]
        found += [*heads, *[layer for layer in trained if layer not in heads][-1:]]
    return found


@contextmanager
def frozen_below_output(network: keras.Model) -> Iterator[None]:
    """Let only the output layers learn within the context; afterwards, whatever learnt before does again."""
    kept = output_layers(network)
    frozen = [layer for layer in network.layers if layer.trainable_weights and layer not in kept]
    for layer in frozen:
        layer.trainable = False
    try:
        yield
    finally:
        for layer in frozen:
            layer.trainable = True
