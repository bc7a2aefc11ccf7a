"""What a network is worth over simple models: a world that is linear, one that isn't, and how either is told."""

import numpy as np
import pytest

from ctr_retrain.models.documents.comparison_documents import ComparedSimply, Recommendation
from ctr_retrain.models.gate.judge import judge
from ctr_retrain.models.judging.cells import Interval
from ctr_retrain.models.judging.judged_rows import JudgedRows
from ctr_retrain.models.trials.recommendation import prefer_simpler
from ctr_retrain.models.yardstick.simple_models import FITS, SimpleRows
from ctr_retrain.models.yardstick.worth import ADVICE, UNSHOWN, compare_with_simpler, telling, worth_words

ROWS = 20_000


def logistic(logit):
    return 1 / (1 + np.exp(-logit))


def world(log_odds):
    """Columns to train on and to judge by, labels of both, and the truth of the latter."""
    chance = np.random.default_rng(5)
    columns = chance.normal(size=(2 * ROWS, 2)).astype(np.float32)
    truth = logistic(log_odds(*columns.T))
    label = (chance.random(2 * ROWS) < truth).astype(int)
    return columns[:ROWS], label[:ROWS], columns[ROWS:], label[ROWS:], truth[ROWS:]


def judged(recipe, log_odds, network, name="logistic_regression"):
    """A simple model of the world beside a network whose log-odds are given."""
    columns, label, asked, wanted, _ = world(log_odds)
    rows = JudgedRows(
        label=wanted,
        challenger=logistic(network(*asked.T)),
        champion=None,
        channel=np.full(ROWS, "ad"),
        user_bucket=np.arange(ROWS) % 256,
        campaign=np.arange(ROWS) % 50,
        day=np.zeros(ROWS, int),
        constant_rate={"ad": 0.1},
    )
    probability = FITS[name](SimpleRows(columns, label, np.ones(ROWS)), 7)(asked)
    return compare_with_simpler(rows, name, probability, recipe, seconds=1.5), rows, probability


def linear(one, two):
    return -2.5 + one - 0.5 * two


def together(one, two):
    return -2.5 + 2.5 * np.sign(one * two)


def carried_away(one, two):
    return linear(one, two) + 2 * np.sin(5 * one)


@pytest.fixture
def recipe(tiny_recipe):
    cost = {"cost": {"true_positive": -0.85, "false_positive": 0.15}}
    return tiny_recipe(channels={"ad": cost, "push": {"gated": False}}, gate={"bootstrap_draws": 200})


def test_where_the_world_is_linear_a_network_that_is_carried_away_is_worth_nothing(recipe):
    found, _, _ = judged(recipe, linear, carried_away)
    assert not found.worth_it
    assert found.worth_per_1000.high < 0
    assert found.log_loss_difference.low > 0
    assert found.message.startswith("The network is worse than a linear model, by ")


def test_where_only_two_columns_together_tell_a_network_that_sees_it_is_worth_its_nights(recipe):
    found, _, _ = judged(recipe, together, together)
    assert found.worth_it
    assert found.worth_per_1000.low > 0
    assert found.log_loss_difference.high < 0
    assert found.message.startswith("The network is worth ")
    assert 0.9 < found.metrics.calibration_ratio < 1.1


def test_where_both_know_the_truth_nothing_is_shown(recipe):
    found, _, _ = judged(recipe, linear, linear)
    assert not found.worth_it
    assert found.worth_per_1000.low < 0 < found.worth_per_1000.high
    assert "is not shown to be worth anything over a linear model" in found.message


def test_the_interval_is_the_gates_own(recipe):
    found, rows, probability = judged(recipe, together, together)
    against = JudgedRows(**{**vars(rows), "champion": probability, "constant_rate": None})
    checks = {check.name: check for check in judge(against, recipe, same_recipe=False).checks}
    assert found.worth_per_1000.value == pytest.approx(-checks["cost_delta_per_1000"].value)
    low, high = (f"{-bound:+.2f}" for bound in (found.worth_per_1000.high, found.worth_per_1000.low))
    assert f"({low} to {high})" in checks["cost_delta_per_1000"].message


@pytest.mark.parametrize(
    ("worth", "words"),
    [
        (Interval(1.2, 0.31, 2.09), "The network is worth 1.20 per 1,000 over a linear model (0.31 to 2.09)."),
        (
            Interval(0.2, -0.31, 0.71),
            "The network is not shown to be worth anything over a linear model: 0.20 per 1,000 (−0.31 to 0.71).",
        ),
        (Interval(-1.2, -2.09, -0.31), "The network is worse than a linear model, by 1.20 per 1,000 (0.31 to 2.09)."),
    ],
)
def test_the_worth_is_told_in_a_sentence(worth, words):
    assert worth_words("a linear model", worth) == words


def test_the_simplest_model_that_the_network_is_not_worth_more_than_is_told_first_with_what_to_do(recipe):
    linear_one = judged(recipe, together, together)[0]
    trees = judged(recipe, linear, carried_away, "gradient_boosting")[0]
    assert telling([linear_one, trees]) == f"{trees.message} {ADVICE}"
    assert telling([linear_one, linear_one]) == linear_one.message


def test_where_only_the_log_loss_is_surely_lower_more_rows_are_asked_for(recipe):
    found = judged(recipe, together, together)[0].model_copy(update={"worth_it": False})
    assert "Its log loss is surely lower: −0." in found.message
    assert telling([found]) == f"{found.message} {UNSHOWN}"


def simple(name, worth_it):
    nothing = dict.fromkeys(("failure", "metrics", "seconds", "delta"))
    return ComparedSimply(name=name, network="own", worth_it=worth_it, message=f"Beside {name}.", **nothing)


@pytest.mark.parametrize(
    ("linear_worth", "trees_worth", "recommended"),
    [
        (True, True, "recency"),
        (False, True, "logistic_regression"),
        (False, False, "logistic_regression"),
        (True, False, "gradient_boosting"),
        (None, None, "recency"),  # neither could be trained
    ],
)
def test_the_simplest_model_that_no_network_is_surely_better_than_is_recommended(
    linear_worth, trees_worth, recommended
):
    networks = Recommendation(name="recency", message="Recency it is.")
    yardsticks = [simple("logistic_regression", linear_worth), simple("gradient_boosting", trees_worth)]
    found = prefer_simpler(networks, yardsticks)
    assert (found.name, found.strategy) == (recommended, "recency")
    assert found.message.endswith("Recency it is.")
    assert (f"Beside {recommended}." in found.message) == (recommended != "recency")
