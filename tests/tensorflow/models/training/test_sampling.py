"""Rules of downsampling negatives and of repeating positives while rows are streamed."""

from datetime import date, timedelta
from math import log

import numpy as np
import pytest

from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.training.batches import RUN_ROWS, TrainingRows, make_batches
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
from ctr_retrain.models.weights.sampling import choose_rows

CUT = date(2026, 3, 8)
DAYS = (CUT - timedelta(days=7), CUT)  # with a half-life of 7 days: recency 1/2 and 1
ROWS = 20_000  # that can be told apart by their id: 10,000 a day, every tenth a positive
NUMBER = np.arange(ROWS, dtype=np.int32)
LABEL = (NUMBER % 10 == 3).astype(np.uint8)
DAY = (NUMBER >= ROWS // 2).astype(np.int16)


def factors_of(**weights):
    cell, rows = np.unique(2 * DAY + LABEL, return_counts=True)
    return compute_factors(
        DAYS, CUT, ClassMass(cell // 2, cell % 2, np.ones(4), rows), Weights(half_life_days=7, **weights)
    )


def batches_of(factors, seed=1):
    rows = TrainingRows(NUMBER[:, None], NUMBER[:, None].astype(np.float32), LABEL, DAY)
    return make_batches(rows, factors, 500, seed)


def epoch_of(factors, epoch=0, first=0, seed=1):
    """Rows' numbers and weights of one epoch's batches, one after the other."""
    streamed = batches_of(factors, seed).stream(epoch, first).as_numpy_iterator()
    ids, weight = zip(*((inputs["ids"][:, 0], weight) for inputs, _, weight in streamed), strict=True)
    return np.concatenate(ids), np.concatenate(weight)


def test_a_share_of_each_days_negatives_is_streamed_and_every_positive():
    rows, _ = epoch_of(factors_of(negative_share=0.1))
    assert len(set(rows)) == len(rows)
    assert set(rows[LABEL[rows] == 1]) == set(NUMBER[LABEL == 1])
    assert np.bincount(DAY[rows[LABEL[rows] == 0]]).tolist() == [900, 900]


def test_an_epoch_of_a_sample_is_as_much_shorter_as_the_sample_is_smaller():
    batches = batches_of(factors_of(negative_share=0.1))
    assert (batches.rows, batches.count) == (2000 + 1800, 8)
    assert sum(sum(batches.days_of(0, number).values()) for number in range(8)) == 3800


def test_each_epoch_draws_its_own_negatives_and_the_seed_decides_which():
    factors = factors_of(negative_share=0.1)
    first, second, again, other = (set(epoch_of(factors, *which)[0]) for which in ((0,), (1,), (1,), (0, 0, 2)))
    assert second == again
    for drawn in (second, other):
        shared = len({row for row in first & drawn if not LABEL[row]})
        assert 100 < shared < 260  # 1,800 · 0.1, as chance has it


def test_a_stream_of_a_sample_that_begins_in_the_middle_goes_on_as_the_whole_one():
    factors = factors_of(negative_share=0.1, positive_copies=2)
    whole, rest = epoch_of(factors, epoch=1)[0], epoch_of(factors, epoch=1, first=3)[0]
    assert np.array_equal(whole[3 * 500 :], rest)


def test_each_positive_comes_as_often_as_asked_and_negatives_once():
    rows, _ = epoch_of(factors_of(positive_copies=5))
    assert np.array_equal(np.bincount(rows), np.where(LABEL == 1, 5, 1))


def test_repetitions_of_a_positive_are_spread_over_the_epoch():
    chosen = choose_rows(LABEL, DAY, (1.0, 1.0), 5, 1)
    places = np.stack([np.flatnonzero(chosen == row) for row in NUMBER[LABEL == 1]])
    assert np.diff(places, axis=1).min() > 1000
    shares = LABEL[chosen].reshape(100, -1).mean(axis=1)  # of positives in neighbouring hundredths, 10 of 28 rows
    assert shares.min() > 0.25
    assert shares.max() < 0.45
    streamed = LABEL[epoch_of(factors_of(positive_copies=5))[0]].reshape(-1, 500).mean(axis=1)
    assert streamed.min() > 0.3
    assert streamed.max() < 0.42


def test_neighbours_on_disk_stay_neighbours_so_that_maps_are_read_in_runs():
    chosen = choose_rows(LABEL, DAY, (0.1, 0.1), 3, 1).astype(int)
    runs = np.sort(chosen[: len(chosen) // RUN_ROWS * RUN_ROWS].reshape(-1, RUN_ROWS), axis=1)
    assert (np.diff(runs, axis=1) > 500).sum(axis=1).max() <= 3  # a run's rows lie in three places, one a repetition


def test_class_mass_is_what_is_streamed():
    plain, sampled = factors_of(), factors_of(negative_share=1 / 9)
    assert plain.class_weight == pytest.approx((10_000 / 18_000, 10_000 / 2000))
    assert sampled.class_weight == pytest.approx((1, 1))  # as many negatives as positives are left
    assert factors_of(positive_copies=9).class_weight == pytest.approx((1, 1))
    assert factors_of(positive_copies=3).class_weight == pytest.approx((4 / 6, 4 / 2))  # of masses 9 and 3


@pytest.mark.parametrize(
    "weights",
    [{"negative_share": 0.1}, {"positive_copies": 4}, {"negative_share": 0.25, "positive_copies": 2, "cap": 0.7}],
)
def test_mean_weight_and_shares_are_those_of_the_streamed_rows(weights):
    factors = factors_of(**weights)
    rows, weight = epoch_of(factors)
    assert len(rows) == factors.rows
    assert factors.rows_before_sampling == ROWS
    assert weight.mean() == pytest.approx(1, abs=1e-5)
    assert np.bincount(DAY[rows], weight) / len(rows) == pytest.approx(factors.day_shares, abs=1e-5)
    assert np.bincount(LABEL[rows], weight) / len(rows) == pytest.approx(factors.class_shares, abs=1e-5)
    summed = np.bincount(rows, weight)  # a row's repetitions are one row of more weight, not more evidence
    assert summed.sum() ** 2 / (summed**2).sum() == pytest.approx(factors.effective_sample_size, rel=1e-4)


def test_the_offset_has_what_sampling_did_to_the_odds():
    plain = factors_of(class_weight="none")
    sampled = factors_of(class_weight="none", negative_share=0.25, positive_copies=3)
    day = np.array([0, 1])
    assert plain.offset(day).tolist() == [0, 0]
    assert sampled.offset(day) == pytest.approx([log(3 / 0.25)] * 2)
    assert sampled.base_log_odds == plain.base_log_odds  # of the real world
    whole = factors_of(negative_share=0.25, positive_copies=3)
    assert whole.offset(day) == pytest.approx([log(9)] * 2)  # balanced to the same odds, whatever was sampled before
    assert not factors_of(negative_share=0.25, offset=False).offset(day).any()


def test_where_the_share_is_not_of_whole_rows_the_offset_knows_the_real_one():
    mass = ClassMass(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.ones(4), np.array([3, 1, 7, 1]))
    factors = compute_factors(DAYS, CUT, mass, Weights(half_life_days=7, class_weight="none", negative_share=0.2))
    assert factors.negative_share == pytest.approx((1 / 3, 1 / 7))  # one of 3, one of 7, none lost altogether
    assert factors.offset(np.array([0, 1])) == pytest.approx([log(3), log(7)])
    assert factors.rows == 4


def test_effective_positives_do_not_grow_by_repetition():
    assert factors_of(positive_copies=7).effective_positives == factors_of().effective_positives


def test_without_sampling_nothing_is_chosen():
    assert not factors_of().samples
    assert factors_of().model_copy(update={"positive_copies": 2}).samples
    assert np.array_equal(choose_rows(LABEL, DAY, (1.0, 1.0), 1, 1), NUMBER)
