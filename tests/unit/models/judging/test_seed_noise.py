"""Rules of what another seed does: estimated from twins, part of a changed recipe's evidence, told in a sentence."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from ctr_retrain.models.gate.judge import judge
from ctr_retrain.models.gate.weighing import Evidence
from ctr_retrain.models.judging.cells import Interval
from ctr_retrain.models.judging.judged_rows import JudgedRows
from ctr_retrain.models.judging.seed_noise import (
    SeedDeviation,
    seed_deviation,
    standard_error,
)
from ctr_retrain.models.judging.seed_twin import compare_with_seed_twin, describe_seed_noise
from ctr_retrain.models.ledger.night_of_rows import night_of
from tests.support.reported_run import DAY, RECIPE
from tests.support.seed_twins import seed_twin

SEND, SKIP = 0.03, 0.01  # on either side of the recipe's threshold of 0.02
N = 4000
LABEL = (np.arange(N) % 50 == 0).astype(int)


def judged(challenger, champion=None):
    return JudgedRows(
        label=LABEL,
        challenger=np.broadcast_to(challenger, N),
        champion=champion if champion is None else np.broadcast_to(champion, N),
        channel=np.where(np.arange(N) % 2, "ad", "push"),
        user_bucket=np.arange(N) % 256,
        campaign=np.arange(N) // 7 % 30,
        day=np.zeros(N, int),
    )


def sending(share):
    """Sends the positives and the first rows of all."""
    return np.where((LABEL == 1) | (np.arange(N) < share * N), SEND, SKIP)


def test_the_deviation_is_what_differences_exceed_their_own_errors_by():
    found = seed_deviation([seed_twin(cost=0.5), seed_twin(cost=-0.3)])  # mean of 0.24 and 0.08
    assert found == SeedDeviation(pytest.approx(0.4), 2)


def test_differences_within_their_errors_show_no_dependence_on_the_seed():
    assert seed_deviation([seed_twin(cost=0.1, error=0.2)]).value == 0


def test_without_twins_that_have_an_interval_nothing_is_known():
    assert seed_deviation([]) is None
    assert seed_deviation([seed_twin(error=None), seed_twin(cost=None)]) is None
    assert standard_error(Interval(0.0, -inf, inf), 0.95) is None


def test_many_twins_find_the_deviation_that_there_is_beneath_the_chance_of_rows():
    chance = np.random.default_rng(3)
    costs = chance.normal(0, 0.3, 2000) + chance.normal(0, 0.5, 2000)
    assert seed_deviation([seed_twin(cost=cost, error=0.5) for cost in costs]).value == pytest.approx(0.3, rel=0.1)


def test_a_changed_recipe_takes_over_only_if_it_is_better_beyond_what_a_seed_does():
    rows = judged(sending(0.1), sending(0.5))  # 1,568 impressions are spared at 0.02 each: -7.84 per 1,000
    gate = RECIPE.gate.model_copy(update={"calibration_ratio": (0.1, 10.0)})  # two probabilities are not calibrated
    recipe = RECIPE.model_copy(update={"gate": gate})
    costs = {name: channel.cost for name, channel in recipe.channels.items() if channel.gated}
    nights = [night_of(replace(rows, day=rows.day - 1 - night), costs) for night in range(9)]
    sure, still, unsure = (
        judge(rows, recipe, same_recipe=False, seeds=seeds, evidence=Evidence(nights=nights))
        for seeds in (None, SeedDeviation(1.0, 40), SeedDeviation(9.0, 1))
    )
    assert sure.decision == still.decision == "promote"
    assert unsure.decision == "hold"
    assert "The interval allows for another seed, which by 1 twin moves it by ±17.64." in unsure.reason
    assert sure.checks[-1].value == unsure.checks[-1].value
    assert sure.evidence.pooled.high < still.evidence.pooled.high < unsure.evidence.pooled.high


def test_a_twin_is_compared_by_decisions_log_loss_and_cost():
    twin = compare_with_seed_twin(judged(sending(0.1)), sending(0.3), RECIPE, DAY, 2.0)
    assert (twin.date, twin.recipe_digest, twin.rows, twin.seconds) == (DAY, RECIPE.digest, N, 2.0)
    assert twin.changed_share == pytest.approx(0.2 * 0.98, abs=0.001)
    assert twin.cost_difference.value == pytest.approx(-1000 * 0.02 * twin.changed_share)
    assert twin.cost_difference.low < twin.cost_difference.value < twin.cost_difference.high
    assert twin.log_loss_difference.value < 0
    assert 0 < twin.cost_standard_error < 3
    alike = compare_with_seed_twin(judged(sending(0.1)), sending(0.1), RECIPE, DAY, 2.0)
    assert (alike.changed_share, alike.cost_difference.value, alike.cost_standard_error) == (0, 0, 0)


def test_the_sentence_puts_the_change_against_the_champion_beside_that_of_a_seed():
    twins = (seed_twin(digest="other"), seed_twin(digest=RECIPE.digest), seed_twin(digest="other", changed=0.3))
    noise = describe_seed_noise(twins, judged(sending(0.1), sending(0.5)), RECIPE)
    assert noise.message == (
        "39.2 % of decisions changed against the champion; another seed alone changes 9.0 %. Measured on 2026-03-20: "
        "log loss +0.00040 (−0.00100 to +0.00200), cost per 1,000 +0.50 (+0.30 to +0.70)."
    )
    assert (noise.twins, noise.cost_deviation) == (1, pytest.approx(0.49, abs=0.001))


def test_without_a_champion_or_a_twin_of_the_recipe_the_sentence_says_what_there_is():
    noise = describe_seed_noise((seed_twin(digest="other"),), judged(SEND), RECIPE)
    assert noise.message.startswith("Another seed alone changes 9.0 %. Measured on 2026-03-20, with an earlier recipe:")
    assert noise.changed_share is None
    undefined = replace(judged(SEND), champion=None)
    assert describe_seed_noise((seed_twin(error=None),), undefined, RECIPE).cost_deviation is None
