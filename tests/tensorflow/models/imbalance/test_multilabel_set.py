"""Rules of the published multi-label set: its counts, its folds, and thresholds by label."""

import numpy as np
import pytest

from tests.benchmarks.multilabel import best_thresholds
from tests.benchmarks.multilabel_set import COUNTS, LABELS, ROWS, draw, stratified_folds


@pytest.fixture(scope="module")
def drawn():
    return draw(1)


def test_the_set_has_the_published_counts_overlaps_and_rows_with_none(drawn):
    x, y = drawn
    assert len(x) == len(y) == ROWS < sum(COUNTS.values()) == 6790
    assert y.sum(axis=0).tolist() == [COUNTS.get(label, 0) for label in range(LABELS)]
    labels_a_row = y.sum(axis=1)
    assert (labels_a_row == 0).sum() > 100
    assert (labels_a_row > 1).sum() > 100


@pytest.mark.parametrize("folds", [2, 4])
def test_folds_are_of_one_size_and_each_label_is_spread_evenly_over_them(drawn, folds):
    _, y = drawn
    fold = stratified_folds(y, folds, seed=1)
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= 2
    counts = np.stack([y[fold == number].sum(axis=0) for number in range(folds)])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 2).all()
    assert (counts[:, [2, 10]] == 4 / folds).all()  # the labels with four positives


def test_folds_follow_their_seed(drawn):
    _, y = drawn
    np.testing.assert_array_equal(stratified_folds(y, 4, seed=1), stratified_folds(y, 4, seed=1))
    assert (stratified_folds(y, 4, seed=1) != stratified_folds(y, 4, seed=2)).any()


def test_a_threshold_lies_where_f1_is_best_and_a_label_without_positives_is_never_predicted():
    y = np.array([[1, 0], [0, 0], [1, 0], [0, 0]])
    probability = np.array([[0.9, 0.99], [0.1, 0.5], [0.2, 0.5], [0.4, 0.5]])
    # Label 0: one hit of one, F1 2/3; with 0.4, 2/4; with 0.2, two hits of three, 4/5; so between 0.2 and 0.1.
    assert best_thresholds(y, probability) == pytest.approx([0.15, 2])
