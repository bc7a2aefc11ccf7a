"""Rules of policies on counted rows: who serves when, which rule promotes, and sums that are worked out by hand."""

from datetime import date, timedelta

import numpy as np
import pytest

from ctr_retrain.models.judging.judged_rows import COST_DELTA, JudgedRows
from ctr_retrain.models.ledger.night_of_rows import night_of
from ctr_retrain.models.ledger.pooled_nights import pool
from ctr_retrain.models.policies.compare_policies import ComparedPolicies, ScoredDay
from ctr_retrain.models.policies.policy_champions import PolicyChampions
from ctr_retrain.models.policies.takeover_rules import RULES
from tests.support.reported_run import RECIPE

DAY = date(2026, 3, 10)
COSTS = {name: channel.cost for name, channel in RECIPE.channels.items()}  # a send costs 0.02, a click brings 1
SEND, KEEP = 0.9, 0.001


def rows_of(label, challenger=SEND, champion=SEND, **more):
    """Rows of one channel; probabilities are one for all rows, or one a row."""
    label = np.asarray(label)
    count = len(label)
    given = {
        "channel": np.full(count, "ad"),
        "user_bucket": np.arange(count) % 256,
        "campaign": np.arange(count) % 7,
        "day": np.zeros(count, int),
    }
    models = (np.broadcast_to(p, (count,)).astype(float) for p in (challenger, champion))
    return JudgedRows(label, *models, **(given | more))


def two_policies():
    """The gate keeps `a`; always promoting has `b` after the first night."""
    champions = {name: PolicyChampions("a") for name in ("always_promote", "gate")}
    champions["always_promote"].put_into_service("b", DAY)
    return champions


def test_a_night_decides_from_the_day_after_it_on():
    own = PolicyChampions("a")
    own.put_into_service("b", DAY)
    own.put_into_service("b", DAY + timedelta(days=1))  # which serves already
    own.put_into_service("a", DAY + timedelta(days=2), promoted=False)
    serves = [own.on(DAY + timedelta(days=days)) for days in range(-1, 4)]
    assert [(reign.version, reign.predecessor) for reign in serves] == [
        ("a", None),
        ("a", None),
        ("b", "a"),
        ("b", "a"),
        ("a", "b"),
    ]
    assert (own.current, own.promotions) == ("a", 1)


@pytest.mark.parametrize(
    ("challenger", "champion", "promotes"),
    [
        # orders rows better, and sends all alike
        ([0.9, 0.8, 0.7], [0.7, 0.8, 0.9], {"always_promote", "best_auc", "estimate_within_margin"}),
        # the same order, which is no better one; and nothing is sent of what pays
        ([0.003, 0.002, 0.001], [0.9, 0.8, 0.7], {"always_promote"}),
        # a worse order that sends what pays
        ([0.7, 0.8, 0.9], [0.003, 0.002, 0.001], {"always_promote", "estimate_within_margin"}),
    ],
)
def test_each_simple_rule_goes_by_its_own_figure(challenger, champion, promotes):
    rows = rows_of([1, 0, 0], challenger, champion)
    assert {name for name, rule in RULES.items() if rule(rows, RECIPE)} == promotes


def test_rows_without_a_click_have_no_auc_and_promote_nothing_by_it():
    assert not RULES["best_auc"](rows_of([0, 0], [0.9, 0.1], [0.1, 0.9]), RECIPE)


def test_costs_and_worse_days_are_those_of_the_models_that_serve():
    # Of 100 rows 10 are clicks. Sending all costs 90 * 0.02 - 10 * 0.98 = -8; sending nothing costs nothing.
    label = np.repeat([1, 0], [10, 90])
    compared, champions = ComparedPolicies(COSTS), two_policies()
    for days in (1, 2):
        probability = {"a": np.full(100, SEND), "b": np.full(100, KEEP)}
        compared.add(ScoredDay(DAY + timedelta(days=days), rows_of(label), probability), champions)
    always, gate = compared.outcomes(champions, 5.0, 0.95)
    assert (always.cost, gate.cost) == (0.0, pytest.approx(-16.0))
    assert (always.cost_per_1000, gate.cost_per_1000) == (0.0, pytest.approx(-80.0))
    assert always.over_gate.value == pytest.approx(80.0)
    assert gate.over_gate is None
    assert (always.promotions, always.worse_days, always.surely_worse_days) == (1, 2, 2)
    assert (gate.promotions, gate.worse_days) == (0, 0)
    served = always.champions[0]
    assert (served.version, served.since, served.days) == ("b", DAY + timedelta(days=1), 2)
    assert served.over_predecessor.value == pytest.approx(80.0)


def test_a_model_that_is_worse_by_less_than_the_margin_has_no_worse_days():
    label = np.repeat([1, 0], [10, 90])
    compared, champions = ComparedPolicies(COSTS), two_policies()
    probability = {"a": np.full(100, SEND), "b": np.full(100, KEEP)}
    compared.add(ScoredDay(DAY + timedelta(days=1), rows_of(label), probability), champions)
    always, _ = compared.outcomes(champions, 80.1, 0.95)
    assert (always.worse_days, always.surely_worse_days) == (0, 0)


def test_days_added_up_have_the_interval_of_the_ledgers_nights():
    rng, count = np.random.default_rng(2), 2000
    compared, champions, nights = ComparedPolicies(COSTS), two_policies(), []
    for days in (1, 2, 3):
        own = rows_of(
            (rng.random(count) < 0.03).astype(int),
            *(rng.beta(1, 40, count) for _ in range(2)),
            user_bucket=rng.integers(0, 256, count),
            campaign=rng.integers(0, 30, count),
            day=np.full(count, days),
        )
        compared.add(ScoredDay(DAY + timedelta(days=days), own, {"b": own.challenger, "a": own.champion}), champions)
        nights.append(night_of(own, COSTS))
    whole = pool(nights, COST_DELTA, 0.95, None).interval(0.95)
    found = compared.outcomes(champions, 1.0, 0.95)[0].over_gate
    assert (found.value, found.low, found.high) == pytest.approx((whole.estimate, whole.low, whole.high))


def test_models_that_decide_alike_differ_by_nothing_for_sure():
    compared, champions = ComparedPolicies(COSTS), two_policies()
    probability = {"a": np.full(50, 0.5), "b": np.full(50, 0.6)}
    compared.add(ScoredDay(DAY + timedelta(days=1), rows_of(np.arange(50) % 2), probability), champions)
    over = compared.outcomes(champions, 1.0, 0.95)[0].over_gate
    assert (over.value, over.low, over.high) == (0, 0, 0)
