"""Rules of decisions in currency: break-even rates, warnings, and where the verdict changes with the prices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.decisions.break_even import describe_money
from ctr_retrain.models.decisions.price_sweep import FACTORS, at_price, describe_sweep, sweep_prices
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.gate.judge import judge
from ctr_retrain.models.judging.costs import thresholds
from ctr_retrain.models.judging.judged_rows import JudgedRows
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.landing_section import Columns, Landing
from ctr_retrain.models.recipe.recipe import Recipe

COST = Cost(true_positive=-0.98, false_positive=0.02)
ROWS = 6000


def recipe(cost=COST, currency="EUR", **gate):
    bounds = {"max_cost_delta_per_1000": 0.5, "max_channel_cost_delta_per_1000": 1000, "max_log_loss_delta": 10}
    return Recipe(
        name="money",
        currency=currency,
        landing=Landing(columns=Columns(value="bid")),
        channels={"ad": Channel(positive_ratio=(0, 1), cost=cost)},
        features=(Categorical(name="user_id"),),
        gate=Gate(**bounds, calibration_ratio=(1e-6, 1e6), min_rows=1, min_positives=1, **gate),
    )


def rows(challenger, champion, rate=0.02, constant_rate=None, value=None):
    """Rows of which the last of each `1 / rate` is a positive, over all users and 40 campaigns."""
    label = (np.arange(ROWS) % round(1 / rate) == 0).astype(int)
    spread = {"user_bucket": np.arange(ROWS) % 251, "campaign": np.arange(ROWS) // 3 % 40, "day": np.zeros(ROWS, int)}
    given_champion = None if champion is None else np.broadcast_to(champion, ROWS)
    ours = np.broadcast_to(challenger, ROWS)
    return JudgedRows(
        label, ours, given_champion, np.full(ROWS, "ad"), **spread, constant_rate=constant_rate, value=value
    )


def graded(seed=0, noise=0.3):
    """Probabilities from 0.1 to 30 %, labels drawn by them, and a copy with errors."""
    rng = np.random.default_rng(seed)
    truth = np.exp(rng.uniform(np.log(0.001), np.log(0.3), ROWS))
    drawn = rows(truth, np.clip(truth * np.exp(rng.normal(0, noise, ROWS)), 0, 1))
    return JudgedRows(**{**vars(drawn), "label": (rng.random(ROWS) < truth).astype(int)})


def test_a_channel_says_break_even_sending_all_and_sending_none():
    money = describe_money(rows(np.repeat([0.5, 0.001], ROWS // 2), 0.001), recipe(), refresh=True)
    (channel,) = money.channels
    assert channel.break_even == pytest.approx(0.02)
    assert (channel.positive_ratio, channel.sent_share, channel.sent_share_before) == (0.02, 0.5, 0)
    # Each of 1,000 costs 0.02, of 20 positives each earns 1; half of both is sent.
    assert channel.send_all_per_1000 == pytest.approx(20 - 20)
    assert channel.cost_per_1000 == pytest.approx(0)
    assert channel.send_none_per_1000 == 0
    assert "sending is worth its price from 2 % on; 2 % were positives, and the new model sends 50 %" in channel.message
    assert "cost EUR " in channel.message
    assert money.warnings == ()


@pytest.mark.parametrize(
    ("probability", "rate", "warning"),
    [
        (
            0.001,
            0.01,
            "hardly anything of channel 'ad' is worth sending: the break-even rate is 2 %, 1 % were positives",
        ),
        (0.5, 0.1, "nearly everything of channel 'ad' is worth sending, and no model changes much"),
        # A tenth of 1 % of positives is sent: each costs 0.02 and none of it pays.
        (np.where(np.arange(ROWS) % 10 == 1, 0.5, 0.001), 0.01, "sending nothing would have cost less"),
        # Of half of positives hardly any is sent, and each would earn.
        (np.where(np.arange(ROWS) % 10 == 1, 0.5, 0.001), 0.5, "sending everything would have cost less"),
    ],
)
def test_prices_at_which_a_model_hardly_matters_are_warned_of(probability, rate, warning):
    money = describe_money(rows(probability, 0.03, rate), recipe(), refresh=True)
    assert any(warning in sentence for sentence in money.warnings), money.warnings
    assert not describe_money(graded(), recipe(), refresh=True).warnings


def test_money_without_a_name_is_warned_of():
    (warning,) = describe_money(graded(), recipe(currency=""), refresh=True).warnings
    assert 'currency = "EUR"' in warning


def test_the_mean_value_stands_beside_the_break_even_rate():
    cost, value = Cost(true_positive="0.02 - value", false_positive=0.02), np.tile([0.5, 1.5], ROWS // 2)
    (channel,) = describe_money(rows(0.03, 0.001, value=value), recipe(cost), refresh=True).channels
    assert (channel.mean_value, channel.break_even) == (1.0, pytest.approx(0.02))
    assert "from 2 % on at the mean value of 1;" in channel.message
    assert channel.sent_share == 0.5  # at 0.5 sending begins at 4 %


@pytest.mark.parametrize("refresh", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_at_the_recipes_own_prices_the_sweep_decides_by_what_the_gate_sees_tonight(refresh, seed):
    drawn, own = graded(seed), recipe()
    limit = own.gate.max_cost_delta_per_1000 if refresh else 0.0
    points = sweep_prices(drawn, {"ad": COST}, own.gate, refresh=refresh)
    middle = next(point for point in points if point.factor == 1)
    verdict = judge(drawn, own, same_recipe=refresh)
    cost = next(check for check in verdict.checks if check.name == "cost_delta_per_1000")
    assert middle.cost_delta_per_1000.value == pytest.approx(cost.value)
    assert (middle.decision == "promote") == (verdict.evidence.tonight.high <= limit)
    dearer = next(point for point in points if point.factor == 2)
    twice = recipe(Cost(true_positive=-0.98, false_positive=0.04))
    again = judge(drawn, twice, same_recipe=refresh)
    cost = next(check for check in again.checks if check.name == "cost_delta_per_1000")
    assert dearer.cost_delta_per_1000.value == pytest.approx(cost.value)
    assert (dearer.decision == "promote") == (again.evidence.tonight.high <= limit)


@settings(deadline=None)
@given(
    factor=st.sampled_from(FACTORS),
    cost=st.sampled_from(
        [
            COST,
            Cost(true_positive="0.02 - value", false_positive=0.02),
            Cost(true_positive="value - 1", false_positive="value"),
            Cost(true_positive=-1, false_positive=1, true_negative=-0.5, false_negative=0.5),
        ]
    ),
    value=st.floats(0.05, 0.9),
)
def test_the_odds_of_the_threshold_rise_with_the_price_of_a_needless_send(factor, cost, value):
    before, after = (thresholds(each, np.array([value]))[0] for each in (cost, at_price(cost, factor)))
    if np.isfinite(before):
        assert after / (1 - after) == pytest.approx(factor * before / (1 - before))


def test_the_words_say_where_the_verdict_changes():
    """A challenger that sends what the champion leaves out: right while a send is cheap, wrong where it is dear."""
    sends_more = rows(np.where(np.arange(ROWS) % 2, 0.5, 0.005), 0.005, 0.1)
    sends_more = JudgedRows(**{**vars(sends_more), "label": (np.arange(ROWS) % 10 == 1).astype(int)})
    points = sweep_prices(sends_more, {"ad": COST}, recipe().gate, refresh=False)
    told = describe_sweep(points)
    assert told.startswith(
        "At the recipe's prices the cost of these rows alone says promote; the nearest prices at which"
    )
    # One in five of what it sends earns 0.98, four cost a send each: at 12 times 0.02 nothing is left. At 5.66
    # times the rest is too little to be sure of, and at an eighth the champion sends everything too.
    assert told.endswith("are 0.21 (hold) and 5.66 (hold) times that of a needless send.")
    assert points[0].cost_delta_per_1000.value == 0
    alike = describe_sweep(sweep_prices(rows(0.5, 0.5), {"ad": COST}, recipe().gate, refresh=True))
    assert "says promote, and so it does at 0.125 to 8 times the price of a needless send" in alike


def test_without_an_opponent_there_is_no_sweep():
    money = describe_money(rows(0.03, None), recipe(), refresh=False)
    assert money.sweep == ()
    assert "nothing to compare" in money.message
    assert money.channels[0].sent_share_before is None
    assert describe_money(rows(0.03, None, constant_rate={"ad": 0.02}), recipe(), refresh=False).sweep
