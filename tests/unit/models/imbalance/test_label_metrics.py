"""Rules of the figures of several labels: each label's own, their mean, and all pairs pooled."""

import json

import numpy as np
import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.imbalance.label_metrics import measure_labels
from ctr_retrain.models.judging.head_metrics import measure_label

RNG = np.random.default_rng(5)
LABEL = (RNG.random((400, 4)) < [0.5, 0.2, 0.1, 0.03]).astype(float)
PROBABILITY = np.clip(0.25 * LABEL + 0.75 * RNG.random((400, 4)), 0, 1)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_means_are_those_of_scikit_learn(average):
    from sklearn import metrics  # noqa: PLC0415 - half a second, of the one process that comes here

    figures = measure_labels(LABEL, PROBABILITY, threshold=0.6).to_json()[average]
    assert figures["auc"] == pytest.approx(metrics.roc_auc_score(LABEL, PROBABILITY, average=average))
    assert figures["average_precision"] == pytest.approx(
        metrics.average_precision_score(LABEL, PROBABILITY, average=average)
    )
    assert figures["f1"] == pytest.approx(metrics.f1_score(LABEL, PROBABILITY >= 0.6, average=average))
    assert figures["log_loss"] == pytest.approx(metrics.log_loss(LABEL.ravel(), PROBABILITY.ravel()))
    ratio = PROBABILITY.sum(axis=0) / LABEL.sum(axis=0)
    assert figures["calibration_ratio"] == pytest.approx(
        ratio.mean() if average == "macro" else PROBABILITY.sum() / LABEL.sum()
    )


def test_a_label_without_positives_is_named_and_in_no_mean_but_that_of_log_loss():
    label = LABEL.copy()
    label[:, 3] = 0
    figures = measure_labels(label, PROBABILITY, ["sports", "news", "games", "cars"])
    three = measure_labels(label[:, :3], PROBABILITY[:, :3])
    assert figures.by_label["cars"].auc is figures.by_label["cars"].f1 is figures.by_label["cars"].average_precision
    assert figures.by_label["cars"].auc is None
    assert figures.left_out == {"cars": "no positive among 400 rows: in the mean log loss alone"}
    assert {**figures.macro, "log_loss": 0} == {**three.macro, "log_loss": 0}
    assert figures.macro["log_loss"] > three.macro["log_loss"]


def test_an_unknown_label_is_left_out_of_its_own_figures_alone():
    label = LABEL.copy()
    label[::2, 1] = np.nan
    figures = measure_labels(label, PROBABILITY)
    assert figures.by_label["1"] == measure_label(LABEL[1::2, 1], PROBABILITY[1::2, 1])
    assert figures.by_label["0"] == measure_label(LABEL[:, 0], PROBABILITY[:, 0])
    assert figures.micro.rows == 400 * 3 + 200


def test_one_class_alone_and_no_known_row_are_said_in_words_and_never_nan():
    label = np.stack([np.ones(5), np.full(5, np.nan)], axis=1)
    figures = measure_labels(label, np.full((5, 2), 0.5), ["always", "never known"])
    assert figures.left_out == {
        "always": "no negative among 5 rows: not in the mean AUC",
        "never known": "known for no row: in no mean",
    }
    assert figures.macro["auc"] is None
    assert "NaN" not in json.dumps(figures.to_json())


def test_labels_predicted_counts_those_that_reach_their_threshold_somewhere():
    probability = np.array([[0.9, 0.2, 0.4], [0.1, 0.3, 0.4]])
    label = np.array([[1, 0, 1], [0, 1, 0]])
    assert measure_labels(label, probability).labels_predicted == 1
    assert measure_labels(label, probability, threshold=[0.5, 0.3, 0.3]).labels_predicted == 3


@pytest.mark.parametrize(
    ("label", "probability", "message"),
    [
        (np.zeros(3), np.zeros(3), r"expected \(rows, labels\) .* received \(3,\)"),
        (np.zeros((3, 2)), np.zeros((3, 3)), r"received \(3, 2\) and \(3, 3\)"),
        (np.full((3, 2), 2), np.zeros((3, 2)), "expected 0, 1 and NaN for unknown, received .*2"),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), r"expected numbers in \[0, 1\], received 6 others"),
    ],
)
def test_other_shapes_and_values_are_refused(label, probability, message):
    with pytest.raises(UsageError, match=message):
        measure_labels(label, probability)
    with pytest.raises(UsageError, match="names: expected 4 different ones"):
        measure_labels(LABEL, PROBABILITY, ["a", "a", "b", "c"])
