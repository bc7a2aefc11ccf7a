"""A network of one's own: a factorisation machine that learns how much each pair of fields counts (Pan et al. 2018)."""

import keras


def build(embedded, numeric, training):
    """Return the logit, (batch, 1), to which the base log-odds are added.

    embedded: (batch, fields, embedding_dim + 1), the last column meant as a linear weight; numeric: (batch, columns);
    training: the recipe's [training].
    """
    linear = keras.ops.sum(embedded[:, :, -1:], axis=1)
    vectors = embedded[:, :, :-1]
    products = keras.ops.matmul(vectors, keras.ops.transpose(vectors, (0, 2, 1)))  # (batch, fields, fields)
    pairs = keras.layers.Concatenate()([keras.layers.Flatten()(products), numeric])
    hidden = keras.layers.Dense(training.hidden_units[-1], "relu")(numeric)
    return linear + keras.layers.Dense(1)(keras.layers.Concatenate()([pairs, hidden]))
