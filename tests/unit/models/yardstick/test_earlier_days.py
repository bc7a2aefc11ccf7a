"""What simple models read: nothing of a row's own day's labels, nor of later ones, and numbers worked out by hand."""

from dataclasses import dataclass
from math import log

import numpy as np
import pytest

from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.features.dictionary import Dictionary
from ctr_retrain.models.yardstick.earlier_days import History, stretches
from ctr_retrain.models.yardstick.training_table import training_table

FEATURES = (
    feature_of({"name": "user", "kind": "categorical"}),
    feature_of({"name": "tags", "kind": "multi_valued", "max_values": 2}),
    feature_of({"name": "price", "kind": "numeric"}),
)
COLUMNS = ["price", "user excess", "user rows", "tags excess", "tags rows"]
USERS, TAGS = np.array([10, 20, 30]), np.array([7, 8])  # codes 1 to 3 and 5 to 6; 0 and 4 are missing values
LATE = np.array([20, 40])


@dataclass(frozen=True)
class Coded:
    """An encoded day, without TensorFlow's module."""

    codes: np.ndarray
    numeric: np.ndarray
    dictionary: Dictionary


def coded(codes, prices=None, users=USERS):
    codes = np.array(codes, np.int32)
    prices = np.zeros(len(codes)) if prices is None else prices
    return Coded(codes, np.array(prices, np.float32)[:, None], Dictionary((users, TAGS)))


def random_day(seed, rows=400):
    chance = np.random.default_rng(seed)
    codes = np.stack([chance.integers(0, 4, rows), chance.integers(4, 7, rows), chance.integers(4, 7, rows)], axis=1)
    return coded(codes), chance.integers(0, 2, rows)


def excess(positives, rows, all_positives, all_rows):
    ratio = (all_positives + 0.5) / (all_rows + 1)
    prior = max(20, 2 / ratio)
    own = (positives + prior * ratio) / (rows + prior)
    return log(own / (1 - own)) - log(ratio / (1 - ratio))


def test_a_value_is_known_by_its_rows_and_positives_on_the_days_added_so_far():
    first = coded([[1, 5, 4], [1, 5, 6], [2, 4, 4], [0, 4, 4]])
    history = History([first, coded([[1, 4, 4]], users=LATE)], FEATURES)
    history.add(first, np.array([1, 0, 1, 0]))
    second = coded([[1, 4, 5], [2, 3, 3], [0, 5, 3]], [3.5, np.inf, np.nan], users=LATE)  # users 20, 40 and none
    found = dict(zip(COLUMNS, history.read(second, np.arange(3)).T, strict=True))
    assert found["price"].tolist() == [3.5, pytest.approx(np.nan, nan_ok=True), pytest.approx(np.nan, nan_ok=True)]
    assert found["user rows"] == pytest.approx([log(2), 0, log(2)])  # once, never, once
    assert found["user excess"] == pytest.approx([excess(1, 1, 2, 4), 0, excess(0, 1, 2, 4)], abs=1e-6)
    # Tag 7 on two rows, one of them positive; tag 8 on one that isn't; none on two rows, one of them positive.
    tags = [excess(1, 2, 2, 4), excess(0, 1, 2, 4), excess(1, 2, 2, 4)]
    assert found["tags excess"] == pytest.approx([(tags[0] + tags[1]) / 2, tags[2], tags[1]], abs=1e-6)
    assert found["tags rows"] == pytest.approx([(log(3) + log(2)) / 2, log(3), log(2)])


def test_neither_column_of_a_value_drifts_as_days_are_added():
    day, label = random_day(1, 20_000)
    history = History([day], FEATURES)
    history.add(day, label)
    once = history.read(day, np.arange(20))
    for _ in range(4):
        history.add(day, label)
    assert history.read(day, np.arange(20)) == pytest.approx(once, abs=0.01)


@pytest.mark.parametrize("changed", [1, 2])
def test_no_row_reads_labels_of_its_own_day_or_of_a_later_one(changed):
    days, labels = zip(*map(random_day, range(3)), strict=True)
    kept = training_table(History(days, FEATURES), days, labels, seed=1)
    other = [1 - label if number >= changed else label for number, label in enumerate(labels)]
    swapped = training_table(History(days, FEATURES), days, other, seed=1)
    of_day = slice(0, 400 * changed)  # rows of the second day on, up to the first whose labels are others
    assert len(kept.label) == 800  # the first day only gives history
    assert kept.columns[of_day] == pytest.approx(swapped.columns[of_day])
    if changed == 1:
        assert not np.allclose(kept.columns[of_day.stop :], swapped.columns[of_day.stop :])


def test_a_day_alone_in_its_window_is_cut_into_stretches_that_follow_each_other():
    day, label = random_day(4)
    parts = stretches(day, label)
    assert [len(part) for _, part in parts] == [100] * 4
    assert np.concatenate([part.codes for part, _ in parts]) == pytest.approx(day.codes)
    table = training_table(History([day], FEATURES), [day], [label], seed=1)
    assert table.label.tolist() == label[100:].tolist()


def test_afterwards_the_history_holds_all_days():
    days, labels = zip(*map(random_day, range(3)), strict=True)
    history, whole = History(days, FEATURES), History(days, FEATURES)
    training_table(history, days, labels, seed=1)
    for day, label in zip(days, labels, strict=True):
        whole.add(day, label)
    assert history.read(days[0], np.arange(9)) == pytest.approx(whole.read(days[0], np.arange(9)))


def test_of_a_large_window_all_positives_are_kept_and_negatives_weigh_for_those_left_out(monkeypatch):
    monkeypatch.setattr("ctr_retrain.models.yardstick.training_table.LEAST_ROWS", 1000)
    days = [random_day(seed, 4000)[0] for seed in range(3)]
    labels = [(np.random.default_rng(seed).random(4000) < 0.05).astype(int) for seed in range(3)]
    table = training_table(History(days, FEATURES), days, labels, seed=9)
    positives = sum(int(label.sum()) for label in labels[1:])
    assert len(table.label) == pytest.approx(1000, abs=60)
    assert table.label.sum() == positives
    assert set(table.weight[table.label == 1]) == {1}
    assert table.weight.sum() == pytest.approx(8000, rel=0.06)
