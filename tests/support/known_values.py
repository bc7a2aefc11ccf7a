"""Features as they are after a training window was seen, for tests that build networks of them."""

import numpy as np

from ctr_retrain.models.feature_kinds.fingerprints import FIRST_KNOWN_ROW
from ctr_retrain.models.features.encoder import encode_values
from ctr_retrain.models.features.vocabulary import count_codes, fit_values


def of_rows(feature, rows):
    """The feature with so many rows of the table: those of a missing and an unseen value, and the values 0, 1, 2, …"""
    return feature.knowing(np.arange(rows - FIRST_KNOWN_ROW))


def fitted(table, features):
    """The features that know the values of a table's rows, as far as their bounds allow."""
    return told(table, features)[0]


def told(table, features):
    """These features, and what is told of the fields."""
    coded = encode_values(table, tuple(features))
    return fit_values(tuple(features), [counted(coded.dictionary, coded.codes)])


def counted(dictionary, codes):
    """A day's dictionary with the counts of its codes, as values are fitted on them."""
    return dictionary, count_codes([codes], dictionary)
