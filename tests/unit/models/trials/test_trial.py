"""Rules of a trial: differences are those of the rows' losses, intervals as wide as rows and seeds make them."""

import numpy as np
import pytest

from ctr_retrain.models.judging.metrics import log_losses, roc_auc
from ctr_retrain.models.trials.trial import Trial, TrialRows
from tests.support.counts import draws

USERS, CAMPAIGNS = 256, 25


@pytest.fixture
def recipe(tiny_recipe):
    return tiny_recipe(gate={"bootstrap_draws": 200})


def world(seed, rows=2000):
    """Rows with their true probability; users and campaigns differ."""
    rng = np.random.default_rng(seed)
    user, campaign = rng.integers(0, USERS, rows), rng.integers(0, CAMPAIGNS, rows)
    log_odds = -3 + 0.7 * rng.normal(size=USERS)[user] + 0.7 * rng.normal(size=CAMPAIGNS)[campaign]
    probability = 1 / (1 + np.exp(-log_odds))
    label = (rng.random(rows) < probability).astype(np.uint8)
    channel = np.where(rng.random(rows) < 0.5, "ad", "push")
    return TrialRows(label, channel, user, campaign, np.arange(rows) % 2), probability, rng


def off(probability, shift):
    return (probability * np.exp(shift)).clip(0, 0.99).astype(np.float32)


def test_a_difference_is_the_mean_of_the_paired_losses_over_seeds(recipe):
    rows, p, _ = world(1)
    scores = {"plain": [off(p, 0.3), off(p, 0.1)], "other": [off(p, 0.0), off(p, -0.1)]}
    found = Trial(rows, scores, recipe).difference("log_loss", "other", "plain")
    by_hand = [
        log_losses(rows.label, scores["other"][seed]).mean() - log_losses(rows.label, scores["plain"][seed]).mean()
        for seed in (0, 1)
    ]
    assert found.value == pytest.approx(np.mean(by_hand))
    assert found.low < found.value < found.high


def test_metrics_are_means_over_seeds_and_days_add_up_to_the_whole(recipe):
    rows, p, _ = world(2)
    trial = Trial(rows, {"plain": [off(p, 0.3), off(p, 0.1)], "other": [off(p, 0), off(p, 0)]}, recipe)
    assert trial.metrics("plain").auc == pytest.approx(roc_auc(rows.label, p), abs=1e-6)
    assert trial.metrics("plain").rows == 2000
    by_day = trial.by_day("cost_per_1000", "other", "plain")
    assert np.mean(list(by_day.values())) == pytest.approx(trial.difference("cost_per_1000", "other", "plain").value)
    total = trial.metrics("other").cost_per_1000 - trial.metrics("plain").cost_per_1000
    assert trial.difference("cost_per_1000", "other", "plain").value == pytest.approx(total)


def test_channels_that_are_not_gated_judge_nothing(tiny_recipe):
    rows, p, _ = world(3)
    recipe = tiny_recipe(channels={"push": {"gated": False}}, gate={"bootstrap_draws": 200})
    assert Trial(rows, {"plain": [off(p, 0)]}, recipe).metrics("plain").rows == int((rows.channel == "ad").sum())


def test_few_changed_decisions_without_a_positive_are_no_sure_gain(recipe):
    """Sparing 30 rows of which none was a click looks like a gain in each draw; exact counts allow the contrary."""
    rows, p, _ = world(4)
    sends, spares = np.full(len(p), 0.5, np.float32), np.full(len(p), 0.5, np.float32)
    spares[np.flatnonzero(rows.label == 0)[:30]] = 0.0
    found = Trial(rows, {"plain": [sends], "other": [spares]}, recipe).difference("cost_per_1000", "other", "plain")
    assert found.value == pytest.approx(1000 * -0.02 * 30 / len(p))
    assert found.high > 0
    assert found.p > 0.05


def test_where_nothing_but_seeds_and_rows_differ_hardly_any_difference_is_sure(recipe):
    """Two ways that are equally good on average, whose models differ by seed: 150 worlds were rejected 3 times.

    At 5 %, a fifth of 50 has a chance of 1 in 5,000. Without the seeds' part 46 of the 150 were: it is needed.
    """
    worlds = draws(50, 400)
    with_seeds = without = 0
    for number in range(worlds):
        rows, p, rng = world(number, rows=1500)
        shifts = 0.25 * rng.normal(size=(2, 3))
        scores = {name: [off(p, s) for s in shifts[place]] for place, name in enumerate(("plain", "other"))}
        trial = Trial(rows, scores, recipe)
        with_seeds += trial.difference("log_loss", "other", "plain").p < 0.05
        drawn = trial._draws["log_loss"]["other"] - trial._draws["log_loss"]["plain"]
        value = np.mean(trial._means["log_loss"]["other"] - trial._means["log_loss"]["plain"])
        without += abs(value) > 1.96 * drawn.std()
    assert with_seeds < worlds / 5 < without
