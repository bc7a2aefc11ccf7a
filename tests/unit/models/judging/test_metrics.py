"""Rules of the metrics block."""

import json
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctr_retrain.models.described_model import descriptions
from ctr_retrain.models.documents.comparison_documents import CRITERIA
from ctr_retrain.models.documents.evaluation_documents import METRICS, Figures
from ctr_retrain.models.judging.metrics import (
    VALUES,
    average_precision,
    log_losses,
    measure,
    normalized_entropy,
    reliability,
    roc_auc,
    wilson_interval,
)
from ctr_retrain.models.recipe.channel_section import Cost

COSTS = {
    "ad": Cost(true_positive=-0.98, false_positive=0.02),
    "push": Cost(true_positive=-0.9, false_positive=0.1),
}
KEYS = {"rows", "positives", *METRICS, "threshold", "by_channel"}


def test_the_documented_metrics_have_their_keys():
    keys = ["auc", "pr_auc", "log_loss", "normalized_entropy", "calibration_ratio", "cost_per_1000"]
    assert list(METRICS) == keys, "the keys of a metrics block are a contract: add some, change and remove none"


def test_each_metric_has_all_its_parts():
    assert list(VALUES) == list(METRICS), "a metric is a key of Figures with its Metric, and a formula in VALUES"
    silent = sorted(Figures.model_fields.keys() - descriptions(Figures).keys())
    assert not silent, f"Figures: write a docstring below {silent}; the documents' schema shows it"
    assert set(Figures.model_fields) == {"rows", "positives", *METRICS}, "give each metric its Metric, as auc has one"
    losses = {key for key, metric in METRICS.items() if metric.criterion}
    assert losses == set(CRITERIA), "a metric with the words of a criterion is one of CRITERIA, and the other way round"


def measured():
    label = np.array([1, 0, 0, 0])
    probability = np.array([0.5, 0.5, 0.25, 0.01])
    return measure(label, probability, np.array(["ad", "ad", "push", "ad"]), COSTS)


def test_a_block_has_the_documented_keys_and_is_plain_json():
    block = measured().to_json()
    assert set(block) == KEYS
    assert set(block["by_channel"]) == {"ad", "push"}
    assert set(block["by_channel"]["ad"]) == KEYS
    assert json.loads(json.dumps(block, allow_nan=False)) == block


def test_figures_of_four_rows_agree_with_pen_and_paper():
    m = measured()
    assert (m.rows, m.positives) == (4, 1)
    assert m.auc == pytest.approx(2.5 / 3)  # above two negatives, tied with the third
    assert m.pr_auc == pytest.approx(1 / 2)  # one of the two rows at 0.5
    log_loss = -(log(0.5) + log(0.5) + log(0.75) + log(0.99)) / 4
    assert m.log_loss == pytest.approx(log_loss)
    assert m.normalized_entropy == pytest.approx(log_loss / -(0.25 * log(0.25) + 0.75 * log(0.75)))
    assert m.calibration_ratio == pytest.approx(1.26)
    assert m.cost_per_1000 == pytest.approx(1000 * (-0.98 + 0.02 + 0.1) / 4)
    assert m.threshold == pytest.approx({"ad": 0.02, "push": 0.1})


def test_a_channel_is_measured_on_its_own_rows():
    ad = measured().by_channel["ad"]
    assert (ad.rows, ad.positives) == (3, 1)
    assert ad.calibration_ratio == pytest.approx(1.01)
    assert ad.threshold == pytest.approx({"ad": 0.02})


def test_undefined_figures_are_none():
    push = measured().by_channel["push"]  # one negative
    assert (push.rows, push.positives) == (1, 0)
    assert push.auc is push.pr_auc is push.normalized_entropy is push.calibration_ratio is None
    assert push.log_loss == pytest.approx(-log(0.75))
    nothing = measure(np.array([]), np.array([]), np.array([]), COSTS)
    assert nothing.rows == 0
    assert nothing.log_loss is nothing.cost_per_1000 is nothing.auc is None
    assert set(nothing.by_channel) == {"ad", "push"}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.1])
def test_a_broken_probability_leaves_no_figure_that_depends_on_it(bad):
    m = measure(np.array([1, 0]), np.array([0.5, bad]), np.array(["ad", "ad"]), COSTS)
    assert (m.rows, m.positives) == (2, 1)
    assert m.auc is m.pr_auc is m.log_loss is m.normalized_entropy is m.calibration_ratio is m.cost_per_1000 is None


def test_labels_other_than_0_and_1_are_refused():
    with pytest.raises(ValueError, match=r"label: expected only 0 and 1, received \[2\]"):
        measure(np.array([0, 2]), np.array([0.5, 0.5]), np.array(["ad", "ad"]), COSTS)


def test_a_certain_and_wrong_probability_costs_a_finite_log_loss():
    assert log_losses(np.array([1, 0]), np.array([0.0, 1.0])) == pytest.approx(-log(1e-7))


def test_the_constant_base_rate_has_normalized_entropy_one():
    assert normalized_entropy(-(0.02 * log(0.02) + 0.98 * log(0.98)), 0.02) == pytest.approx(1)
    assert normalized_entropy(0.1, 0.0) is None


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0])), min_size=2, max_size=40))
def test_ranking_figures_agree_with_scikit_learn_ties_included(pairs):
    from sklearn import metrics  # noqa: PLC0415 - half a second, of the one process that comes here

    label, probability = np.array(pairs).T
    if 0 < label.sum() < len(label):
        assert roc_auc(label, probability) == pytest.approx(metrics.roc_auc_score(label, probability))
        assert average_precision(label, probability) == pytest.approx(
            metrics.average_precision_score(label, probability)
        )


def test_reliability_bins_have_equal_mass_and_rising_probability():
    probability = np.linspace(0.01, 0.99, 120)
    bins = reliability((probability > 0.5).astype(int), probability, bins=12)
    assert [b.rows for b in bins] == [10] * 12
    assert bins[0].mean_probability == pytest.approx(probability[:10].mean())
    assert [b.rate for b in bins] == [0.0] * 6 + [1.0] * 6
    assert bins[0].low == 0
    assert bins[0].high == pytest.approx(0.2775, abs=1e-4)  # z² / (n + z²) with z = 1.96


def test_reliability_never_splits_equal_probabilities():
    probability = np.array([0.1] * 9 + [0.2] * 3)
    label = np.array([1] * 3 + [0] * 9)
    bins = reliability(label, probability, bins=4)
    assert [(b.rows, b.rate) for b in bins] == [(9, 3 / 9), (3, 0.0)]


def test_reliability_of_no_rows_has_no_bins_and_of_few_rows_few():
    assert reliability(np.array([]), np.array([])) == []
    assert sum(b.rows for b in reliability(np.array([0, 1]), np.array([0.1, 0.2]))) == 2


def test_wilson_interval_agrees_with_the_published_example():
    low, high = wilson_interval(81, 263)  # Newcombe 1998, table I, method 3
    assert (low, high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
