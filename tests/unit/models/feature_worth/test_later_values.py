"""What features hold on later days beside the training window."""

from datetime import date
from math import log

import numpy as np
import pytest

from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.feature_worth.later_values import EncodedSample, later_values, stability_index

DAY = date(2026, 3, 2)
MANY = 100_000


def codes(*shares, rows=MANY):
    return np.repeat(np.arange(len(shares)), np.multiply(shares, rows).astype(int))


def test_the_index_is_that_of_its_formula_on_many_rows():
    expected = (0.5 - 0.8) * log(0.5 / 0.8) + (0.5 - 0.2) * log(0.5 / 0.2)
    assert stability_index(codes(0.5, 0.5), codes(0.8, 0.2)) == pytest.approx(expected, rel=1e-3)


def test_rows_of_one_distribution_have_not_moved_however_many_values_there_are():
    draw = np.random.default_rng(3)
    found = [stability_index(draw.integers(0, 50, 2000), draw.integers(0, 50, 500)) for _ in range(50)]
    assert np.mean(found) < 0.03  # chance alone shows 0.12
    assert max(found) < 0.1


def test_rare_values_are_one_together_so_that_ids_that_come_and_go_have_not_moved():
    assert stability_index(np.arange(10_000), np.arange(10_000, 20_000)) == pytest.approx(0, abs=1e-3)


def test_without_rows_nothing_is_said():
    assert stability_index(np.arange(3), np.empty(0, int)) is None
    assert stability_index(np.empty(0, int), np.arange(3)) is None


FEATURES = (
    feature_of({"kind": "categorical", "name": "user"}).knowing(np.arange(3)),  # rows 0 to 4
    feature_of({"kind": "multi_valued", "name": "tags", "max_values": 2}).knowing(np.arange(2)),  # rows 5 to 8
    feature_of({"kind": "weekday", "name": "weekday"}),  # rows 9 to 16
    feature_of({"kind": "numeric", "name": "price"}),
)
WINDOW = EncodedSample(
    np.array([[2, 7, 8, 10], [3, 7, 5, 10], [0, 5, 5, 11], [4, 8, 5, 12]], np.int32),
    np.array([[1], [2], [3], [np.nan]], np.float32),
)


def test_missing_and_unseen_values_are_counted_by_day():
    later = EncodedSample(
        np.array([[1, 6, 5, 10], [1, 7, 6, 10], [0, 5, 5, 10], [4, 8, 7, 10]], np.int32),
        np.array([[np.nan], [np.nan], [np.nan], [5]], np.float32),
    )
    found = later_values(WINDOW, [(DAY, later)], FEATURES)
    assert {name: values.window_missing for name, values in found.items()} == {
        "user": 0.25, "tags": 0.25, "weekday": 0, "price": 0.25
    }  # fmt: skip
    days = {name: values.days[0] for name, values in found.items()}
    assert {name: day.missing for name, day in days.items()} == {
        "user": 0.25, "tags": 0.25, "weekday": 0, "price": 0.75
    }  # fmt: skip
    assert {name: day.unseen for name, day in days.items()} == {
        "user": 0.5, "tags": 0.5, "weekday": None, "price": None
    }  # fmt: skip
    assert days["user"].day == DAY
    assert days["user"].rows == 4


def test_a_number_that_moves_and_an_id_that_moves_are_told_and_clocks_are_not():
    draw = np.random.default_rng(3)

    def sample(users, shift):
        ids = np.stack([draw.choice(users, 3000), *np.full((3, 3000), 5)], axis=1).astype(np.int32)
        return EncodedSample(ids, (draw.normal(size=(3000, 1)) + shift).astype(np.float32))

    window, same, moved = sample([2, 3], 0), sample([2, 3], 0), sample([3, 4], 2)
    found = later_values(window, [(DAY, same), (DAY, moved)], FEATURES)
    for name in ("user", "price"):
        first, second = found[name].days
        assert first.moved < 0.02
        assert second.moved > 1
    assert all(day.moved is None for day in found["weekday"].days)
