"""Rules of the figures on real logs: which peer counts, what is paired, and when a level is right."""

import numpy as np
import pytest

from tests.benchmarks.clustered import draw
from tests.benchmarks.real_figures import Judged, level_is_right, row_of, rows_of, targets

LABEL = np.array([0, 1, 0, 1] * 50)
KEYS = {
    *("set", "system", "features", "seed", "auc", "log_loss", "log_loss_minus_best_peer", "standard_error"),
    *("calibration_ratio", "calibration_low", "calibration_high", "rows", "positives"),
}


def sure(share):
    """Predictions that are right with this much certainty."""
    return np.where(LABEL == 1, share, 1 - share)


@pytest.fixture
def found():
    flat = np.full(len(LABEL), 0.5)
    predicted = {
        "ctr-retrain": [sure(0.9), sure(0.8)],
        "logistic-regression": [sure(0.6)] * 2,
        "lightgbm": [sure(0.7)] * 2,
        "constant": [flat, flat],
    }
    return Judged("toy", "a, b", LABEL, draw(np.arange(len(LABEL))), predicted)


def test_a_row_a_system_and_seed_with_the_keys_that_others_read(found):
    rows = rows_of(found)
    assert [(row["system"], row["seed"]) for row in rows[:3]] == [
        *(("ctr-retrain", 1), ("ctr-retrain", 2), ("logistic-regression", 1)),
    ]
    assert len(rows) == 8
    assert all(row.keys() == KEYS for row in rows)


def test_ours_is_compared_with_the_better_peer_on_the_same_rows(found):
    row = row_of(found, "ctr-retrain", 1)
    assert row["log_loss_minus_best_peer"] == pytest.approx(np.log(0.7) - np.log(0.9), abs=1e-5)
    assert row["standard_error"] == pytest.approx(0.0, abs=1e-5)
    assert row_of(found, "lightgbm", 1)["log_loss_minus_best_peer"] == 0.0


def test_seeds_together_have_the_mean_of_their_losses(found):
    seeds = [row_of(found, "ctr-retrain", seed)["log_loss"] for seed in (1, 2)]
    assert row_of(found, "ctr-retrain", None)["log_loss"] == pytest.approx(np.mean(seeds), abs=1e-5)


def test_a_level_that_the_constant_has_wrong_needs_only_be_nearer(found):
    wrong = {"calibration_ratio": 0.7, "calibration_low": 0.69, "calibration_high": 0.71}
    assert level_is_right(wrong, {"calibration_ratio": 0.6})
    assert not level_is_right(wrong, {"calibration_ratio": 0.98})
    assert level_is_right(wrong | {"calibration_high": 0.96}, {"calibration_ratio": 0.98})


def test_targets_are_counted_in_words(found):
    assert [line.rsplit(": ")[1] for line in targets([found])] == ["1 of 1"] * 3
