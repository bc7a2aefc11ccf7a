"""What features bring on later days, in figures and words, and what cannot be told."""

import numpy as np
import pytest

from ctr_retrain.models.feature_worth.feature_judge import FeatureJudge, PredictedRows
from ctr_retrain.models.recipe.channel_section import Cost

COSTS = {"ad": Cost(true_positive=-0.9, false_positive=0.1)}
ROWS = 20_000


def logistic(log_odds):
    return 1 / (1 + np.exp(-log_odds))


def judge_of(log_odds, truth, weight=None, seed=1):
    """The judge of predictions of rows whose true log-odds are given."""
    draw = np.random.default_rng(seed)
    rows = len(truth)
    label = (draw.random(rows) < logistic(truth)).astype(np.uint8)
    predicted = PredictedRows(
        label=label,
        log_odds=log_odds,
        channel=np.full(rows, "ad", object),
        user_bucket=np.arange(rows) % 256,
        campaign=np.zeros(rows),
        weight=np.ones(rows) if weight is None else weight,
    )
    return FeatureJudge(predicted, COSTS, 0.95)


def signal(rows=ROWS, seed=9):
    return np.random.default_rng(seed).normal(size=rows)


def test_a_feature_that_tells_something_brings_what_log_loss_rises_by():
    told = -2.5 + signal()
    worth = judge_of(told, told).judge(("user_id",), np.full(ROWS, -2.5))
    assert worth.finding == "brings"
    assert 0 < worth.log_loss.low < worth.log_loss.value < worth.log_loss.high
    assert worth.cost_per_1000.value > 0
    assert worth.message == (
        f"user_id brings {worth.log_loss.value:.5f} of log loss "
        f"({worth.log_loss.low:.5f} to {worth.log_loss.high:.5f})."
    )


def test_a_feature_that_is_mere_noise_is_said_to_harm():
    known = -2.5 + signal()
    noise = signal(seed=10)
    worth = judge_of(known + noise, known).judge(("user_id",), known)
    assert worth.finding == "harms"
    assert worth.log_loss.high < 0
    assert worth.message.startswith("user_id brings less than nothing on these days: −0.")
    assert worth.message.endswith("; leave it out and compare.")


def test_a_feature_that_changes_hardly_anything_brings_nothing_and_that_is_said():
    known = -2.5 + signal()
    worth = judge_of(known + 0.02 * signal(seed=10), known).judge(("user_id",), known)
    assert worth.finding == "nothing"
    assert worth.message.startswith("user_id brings nothing on these days: ")
    assert worth.message.endswith("; the model may be as good without it.")


def test_features_together_are_told_together():
    known = -2.5 + signal()
    worth = judge_of(known + 0.02 * signal(seed=10), known).judge(("hour", "weekday"), known)
    assert worth.message.startswith("hour, weekday together bring nothing on these days: ")


def test_of_few_positives_nothing_is_said_however_clear_it_looks():
    told = np.random.default_rng(3).choice([-6.0, 6.0], 150)
    judge = judge_of(told, told)
    assert judge.positives < 100
    worth = judge.judge(("user_id",), np.zeros(150))
    assert worth.finding == "unclear"
    assert worth.message == (
        f"What user_id brings cannot be told on these days: {judge.positives} positives, 100 are needed."
    )


def test_a_wide_interval_around_nothing_accuses_no_feature():
    """Twice as strong as it should be, a feature brings nothing in truth; on 200 positives nobody can tell."""
    rows, found = 1200, []
    for seed in range(40):
        known, own = -2.2 + signal(rows, seed), signal(rows, 1000 + seed)
        found.append(judge_of(known + 0.8 * own, known + 0.4 * own, seed=seed).judge(("a",), known).finding)
    assert found.count("unclear") > 30
    assert found.count("nothing") <= 4  # where it is sure that hardly anything is lost


def test_features_that_bring_something_are_hardly_ever_accused():
    """0.3 % of log loss, on as many positives as a small site has: what can't be seen isn't denied."""
    rows, accused = 12_000, 0
    for seed in range(60):
        known = -4 + signal(rows, seed)
        truth = known + 0.25 * signal(rows, 1000 + seed)
        accused += judge_of(truth, truth, seed=seed).judge(("a",), known).finding in ("nothing", "harms")
    assert accused <= 3


def test_the_level_is_nothing_that_a_feature_brings():
    known = -2.5 + signal()
    judge = judge_of(known, known)
    for shift in (-3.0, 0.7, 4.0):
        worth = judge.judge(("a",), known + shift)
        assert worth.log_loss.value == pytest.approx(0, abs=1e-9)
        assert worth.cost_per_1000.value == pytest.approx(0, abs=1e-6)


def test_rows_that_stand_for_many_weigh_as_many():
    """All positives and a tenth of the negatives, ten times their weight, say what all rows say."""
    told = -2.5 + signal()
    whole = judge_of(told, told)
    keep = (whole._rows.label == 1) | (np.arange(ROWS) % 10 == 0)
    part = PredictedRows(
        **{name: value[keep] for name, value in vars(whole._rows).items() if name not in ("weight", "value")},
        weight=np.where(whole._rows.label[keep] == 1, 1.0, 10.0),
    )
    sampled = FeatureJudge(part, COSTS, 0.95).judge(("a",), np.full(keep.sum(), -2.5))
    wanted = whole.judge(("a",), np.full(ROWS, -2.5))
    assert sampled.log_loss.value == pytest.approx(wanted.log_loss.value, rel=0.1)


def test_without_rows_nothing_is_told():
    none = np.empty(0)
    rows = PredictedRows(none, none, none.astype(object), none, none, none)
    judge = FeatureJudge(rows, COSTS, 0.95)
    assert judge.log_loss is None
    worth = judge.judge(("a",), none)
    assert worth.finding == "unclear"
    assert worth.log_loss.value is None
