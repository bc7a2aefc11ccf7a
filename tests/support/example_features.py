"""A feature of each registered kind, and awkward values for what its columns hold."""

import pyarrow as pa

from ctr_retrain.models.feature_kinds.arrow_columns import END_OF_TIME, FIRST_TIME
from ctr_retrain.models.feature_kinds.kinds import KINDS

# Keys without which a kind has no example. A kind whose defaults make a feature needs no entry here.
NEEDED = {"crossed": {"columns": ("first", "second")}}

VALUES = {  # None first, and then each value must be told from a missing one
    "text": pa.array([None, "a", "b|a", "|", "日本|x", "x" * 200, " ", "0"]),
    "number": pa.array([None, 0.0, -1.5, 3e38, 7.0, 1e-30, 18.0, 65.0]),
    "time": pa.array(
        [None, FIRST_TIME, END_OF_TIME - 1, *(10**15 + add for add in (0, 1, 3_599_999_999, 7 * 10**14, -1))]
    ),
}


def example_of(name):
    """A feature of the kind."""
    return KINDS[name](name="example", **NEEDED.get(name, {}))


def table_of(feature):
    """A table with the feature's columns, whose first row has no values."""
    return pa.table(dict.fromkeys(feature.sources, VALUES[feature.holds]))
