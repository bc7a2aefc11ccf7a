"""Rules of the cells that intervals are made from."""

import numpy as np
import pytest

from ctr_retrain.models.judging.cells import gather


def test_cells_are_sums_over_user_bucket_campaign_and_day():
    cells = gather(
        np.array([7, 7, 7, 0]),
        np.array([40, 40, 40, -2]),
        np.array([11, 11, 12, 11]),
        {"rows": np.ones(4), "clicks": np.array([1, 1, 0, 1])},
    )
    assert cells.names == ("rows", "clicks")
    assert cells.campaign.tolist() == [-2, 40, 40]
    assert cells.user_bucket.tolist() == [0, 7, 7]
    assert cells.day.tolist() == [11, 11, 12]
    assert cells.sums.tolist() == [[1, 1], [2, 2], [1, 0]]


def test_user_buckets_outside_the_256_are_refused():
    with pytest.raises(ValueError, match="expected 0 to 255, received 3 to 256"):
        gather(np.array([3, 256]), np.zeros(2), np.zeros(2), {"rows": np.ones(2)})
