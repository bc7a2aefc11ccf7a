"""Rules of reading what the logger wrote of how rows were chosen."""

import numpy as np
import pyarrow as pa
import pytest

from ctr_retrain.tasks.decisions.measure_log import logged_choice


def test_missing_numbers_are_nan_and_columns_that_are_not_mapped_are_none():
    found = logged_choice(pa.table({"propensity": pa.array([0.5, None, 1.0]), "label": [0, 1, 0]}))
    assert found.propensity.tolist() == pytest.approx([0.5, np.nan, 1.0], nan_ok=True)
    assert (found.explored, found.served) == (None, None)
    assert logged_choice(pa.table({"served_probability": pa.array([0.1], pa.float32())})).served.dtype == np.float64


@pytest.mark.parametrize("yes", ["1", "true", "True", " YES ", "t", "y"])
@pytest.mark.parametrize("no", ["0", "false", "", None, "no", "exploit", "2"])
def test_exploring_is_said_in_many_ways_and_all_else_is_no(yes, no):
    assert logged_choice(pa.table({"explore": pa.array([yes, no])})).explored.tolist() == [True, False]
