"""Encoded rows as a model would get them if it were not told some features, and which features belong together.

A text is given as one that training never saw: the row that the network has for that, trained on a share of the rows.
A clock has its missing row, which begins near 0, the mean of all hours. A number has the median of the rows of its
channel, or stays missing where most of them are: most networks have never seen it missing elsewhere, so their answer to
that is left as it began. Values drawn from other rows would do for all three kinds, but what a network has learnt of
mere noise stays noise when it is shuffled, and a feature that tells something is then not only absent but wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.feature_kinds.fingerprints import SHARED_ROW, TextFeature
from ctr_retrain.models.features.table_layout import encoded_fields, numbers

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from ctr_retrain.models.feature_kinds.feature import Feature

    Names = tuple[str, ...]


def families(features: tuple[Feature, ...]) -> list[Names]:
    """Return the names of features that tell of one another: those of one column, and those that share rows."""
    columns = dict.fromkeys(source for feature in features for source in feature.sources)
    found = [
        _family(features, {feature.name for feature in features if column in feature.sources}) for column in columns
    ]
    return [family for family in dict.fromkeys(found) if len(family) > 1]


def _family(features: tuple[Feature, ...], of_column: set[str]) -> Names:
    """Return the features of a column and all that share rows with one of them, in the recipe's order."""
    owners = {feature.owner for feature in features if feature.name in of_column}
    return tuple(feature.name for feature in features if feature.name in of_column or feature.owner in owners)


def without(
    ids: NDArray[np.int32],
    numeric: NDArray[np.float32],
    channel: NDArray[np.object_],
    features: tuple[Feature, ...],
    names: Collection[str],
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return copies of ids (n, slots) and raw numbers (n, numbers) that tell nothing of the features of these names.

    channel: (n,). features: as fitted on the training window.
    """
    ids, numeric = ids.copy(), numeric.copy()
    for feature, field, columns in encoded_fields(features):
        if feature.name in names:
            ids[:, columns] = field.offset
            if isinstance(feature, TextFeature):
                ids[:, columns.start] = field.values_offset + SHARED_ROW
    for column, number in enumerate(numbers(features)):
        if number.name in names:
            numeric[:, column] = _typical(numeric[:, column], channel)
    return ids, numeric


def _typical(values: NDArray[np.float32], channel: NDArray[np.object_]) -> NDArray[np.float32]:
    """Return for each row the median of its channel's values, NaN where most of them are missing."""
    found = np.full_like(values, np.nan)
    for name in np.unique(channel):
        own = values[channel == name]
        there = own[~np.isnan(own)]
        if 2 * len(there) >= len(own):
            found[channel == name] = np.quantile(there, 0.5, method="inverted_cdf")  # one that occurs
    return found
