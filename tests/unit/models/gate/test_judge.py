"""Rules of the gate."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.gate.judge import judge
from ctr_retrain.models.gate.weighing import Evidence
from ctr_retrain.models.judging.judged_rows import JudgedRows
from ctr_retrain.models.ledger.night_of_rows import night_of
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe

COST = Cost(true_positive=-0.98, false_positive=0.02)  # threshold 0.02
SEND, SKIP = 0.03, 0.01  # probabilities on either side of it
UNFAIR = Check(
    name="champion_data_through", value=None, bound=None, passed=False, message="It was trained on V.", kind="evidence"
)


def recipe(**gate):
    gate = {
        "max_cost_delta_per_1000": 0.5,
        "max_channel_cost_delta_per_1000": 2.0,
        "max_log_loss_delta": 10.0,
        "calibration_ratio": (0.001, 1000.0),
        "min_rows": 100,
        "min_positives": 5,
        "bootstrap_draws": 300,
    } | gate
    return Recipe(
        name="test",
        channels={
            "ad": Channel(positive_ratio=(0, 1), cost=COST),
            "push": Channel(positive_ratio=(0, 1), cost=COST, gated=False),
        },
        features=(Categorical(name="user_id"),),
        gate=Gate(**gate),
    )


def rows(n=2000, every=50, challenger=None, champion=None, constant_rate=None, channel="ad"):
    """n rows of 2 % positives over all user buckets and 30 campaigns; predictions default to the positive ratio."""
    label = (np.arange(n) % every == 0).astype(int)
    given_challenger = np.full(n, SEND) if challenger is None else challenger
    return JudgedRows(
        label=label,
        challenger=np.broadcast_to(given_challenger, n),
        champion=None if champion is None else np.broadcast_to(champion, n),
        channel=np.full(n, channel),
        user_bucket=np.arange(n) % 256,
        campaign=np.arange(n) // 7 % 30,
        day=np.zeros(n, dtype=int),
        constant_rate=constant_rate,
    )


def oracle(n=2000, every=50):
    """Sends the positives only."""
    return np.where(np.arange(n) % every == 0, SEND, SKIP)


def nights_before(judged, count):
    """The evidence of as many earlier nights with the same rows, each on days of its own."""
    nights = [night_of(replace(judged, day=judged.day - 1 - night), {"ad": COST}) for night in range(count)]
    return Evidence(nights=nights[::-1], champion_days=1)


def check_of(verdict, name):
    return next(check for check in verdict.checks if check.name == name)


def first_failed(verdict):
    return next(check for check in verdict.checks if not check.passed)


def test_a_refresh_that_predicts_the_same_is_promoted_even_without_a_margin():
    verdict = judge(rows(champion=SEND), recipe(max_cost_delta_per_1000=0), same_recipe=True)
    assert verdict.decision == "promote"
    assert not verdict.bootstrap
    assert check_of(verdict, "cost_delta_per_1000").value == 0


def test_a_changed_recipe_that_predicts_the_same_is_held():
    verdict = judge(rows(champion=SEND), recipe(), same_recipe=False)
    assert verdict.decision == "hold"
    assert check_of(verdict, "cost_delta_per_1000").message == (
        "Cost per 1,000 impressions: expected below 0 against the champion by evidence of 40 at least, "
        "received +0.00 (+0.00 to +0.00) with evidence of 0. Decisions differ on 0 rows with 0 positives."
    )


def test_a_changed_recipe_that_saves_is_promoted_once_its_nights_show_it():
    spared = np.where(np.arange(2000) % 10 == 1, SKIP, SEND)  # 200 impressions without a positive
    judged = rows(challenger=spared, champion=SEND)
    first = judge(judged, recipe(), same_recipe=False)
    assert first.decision == "hold"
    assert "one look shows it, and nights of looking don't yet" in first.reason
    verdict = judge(judged, recipe(), same_recipe=False, evidence=nights_before(judged, 5))
    assert verdict.decision == "promote"
    assert "over 6 nights with evidence of" in verdict.reason
    assert check_of(verdict, "cost_delta_per_1000").value == pytest.approx(-2.0)


def test_a_changed_recipe_that_saves_beyond_all_doubt_is_promoted_on_its_first_night():
    verdict = judge(rows(challenger=oracle(), champion=SEND), recipe(), same_recipe=False)
    assert verdict.decision == "promote"
    # 1,960 of 2,000 impressions are spared at 0.02 each
    assert check_of(verdict, "cost_delta_per_1000").value == pytest.approx(-1000 * 0.02 * 1960 / 2000)
    assert verdict.reason.startswith(
        "Promoted: every check passed. The new model earns 19.60 more per 1,000 impressions (between +1"
    )
    assert "; that it earns nothing more is excluded. Cost per 1,000 impressions: expected below 0" in verdict.reason


def test_a_refresh_within_the_margin_is_promoted_and_a_changed_recipe_with_the_same_figures_held():
    slightly_worse = np.where(np.arange(2000) % 50 == 1, SEND, oracle())  # 40 impressions wasted: +0.40 per 1,000
    judged, lenient = rows(challenger=slightly_worse, champion=oracle()), recipe(max_cost_delta_per_1000=2.0)
    evidence = nights_before(judged, 8)
    refresh = judge(judged, lenient, same_recipe=True, evidence=evidence)
    assert refresh.decision == "promote"
    assert check_of(refresh, "cost_delta_per_1000").value == pytest.approx(0.4)
    assert (
        "expected at most +2.00 against the champion with 95 % confidence however often one looks, received +0.40 ("
        in refresh.reason
    )
    changed = judge(judged, lenient, same_recipe=False, evidence=evidence)
    assert changed.decision == "hold"
    assert check_of(changed, "cost_delta_per_1000").bound == 0


def test_forty_more_impressions_without_a_click_are_no_proof_that_a_model_is_worse():
    """Nor is sparing them proof that it is better: up to 3.7 clicks among them agree with having seen none."""
    forty = np.where(np.arange(2000) % 50 == 1, SEND, oracle())
    for challenger, champion in ((forty, oracle()), (oracle(), forty)):
        verdict = judge(rows(challenger=challenger, champion=champion), recipe(), same_recipe=False)
        assert verdict.decision == "hold"
        assert "Decisions differ on 40 rows with 0 positives." in verdict.reason


def test_a_changed_recipe_that_wastes_four_hundred_impressions_is_surely_worse():
    worse = np.where(np.arange(2000) % 5 == 1, SEND, oracle())
    verdict = judge(rows(challenger=worse, champion=oracle()), recipe(), same_recipe=False)
    assert verdict.decision == "reject"


def test_a_refresh_whose_interval_straddles_the_margin_is_held():
    slightly_worse = np.where(np.arange(2000) % 50 == 1, SEND, oracle())
    verdict = judge(rows(challenger=slightly_worse, champion=oracle()), recipe(), same_recipe=True)
    assert verdict.decision == "hold"
    assert first_failed(verdict).name == "cost_delta_per_1000"
    assert verdict.reason.startswith(
        "Held, not enough evidence. The new model probably earns 0.40 less per 1,000 impressions (between -"
    )
    assert "a loss beyond the allowed 0.50 can't be excluded yet." in verdict.reason


def test_what_an_interval_leaves_open_is_not_shown_as_passed():
    few = rows(challenger=np.where(np.arange(2000) % 9 == 1, SEND, oracle()), champion=oracle())
    verdict = judge(few, recipe(calibration_ratio=(0.7, 1.0)), same_recipe=True)
    open_ones = [check for check in verdict.checks if not check.settled]
    assert open_ones
    for check in verdict.checks:
        assert check.settled or check.passed
    wide = judge(few, recipe(calibration_ratio=(0.01, 100)), same_recipe=True)
    assert check_of(wide, "calibration_ratio").settled


def test_a_refresh_whose_whole_interval_is_worse_than_the_margin_is_rejected():
    tolerant = recipe(max_channel_cost_delta_per_1000=1000)
    verdict = judge(rows(challenger=SEND, champion=oracle()), tolerant, same_recipe=True)
    assert verdict.decision == "reject"
    assert [check.name for check in verdict.checks if not check.passed] == ["cost_delta_per_1000"]


@pytest.mark.parametrize(("gate", "name"), [({"min_rows": 2001}, "rows"), ({"min_positives": 41}, "positives")])
def test_fewer_rows_or_positives_than_the_floor_hold(gate, name):
    verdict = judge(rows(challenger=oracle(), champion=SEND), recipe(**gate), same_recipe=True)
    assert verdict.decision == "hold"
    assert first_failed(verdict).name == name
    assert "expected at least" in verdict.reason


def test_a_hold_for_want_of_evidence_names_the_keys_that_would_change_it():
    verdict = judge(rows(challenger=oracle(), champion=SEND), recipe(min_positives=41), same_recipe=True)
    assert first_failed(verdict).message == (
        "Positives on the validation days: expected at least 41, received 40. What changes that: more days "
        "(training.validation_days = 1), a longer attribution window ([channels] attribution_window_hours: ad 24), "
        "or a lower gate.min_positives."
    )


def test_no_rows_at_all_hold():
    verdict = judge(rows(n=0, champion=SEND), recipe(), same_recipe=True)
    assert verdict.decision == "hold"


def test_a_gated_channel_without_rows_holds():
    two = recipe()
    two = two.model_copy(update={"channels": {**two.channels, "mail": two.channels["ad"]}})
    verdict = judge(rows(champion=SEND), two, same_recipe=True)
    assert verdict.decision == "hold"
    assert first_failed(verdict).message.startswith("Rows of channel 'mail': expected at least 1, received 0. What ")


def test_calibration_vetoes_only_if_its_whole_interval_is_out_of_bounds():
    judged = rows(challenger=SEND, champion=SEND)  # 60 expected, 40 seen: 1.5
    near = judge(judged, recipe(calibration_ratio=(0.8, 1.45)), same_recipe=True)
    assert near.decision == "promote"
    assert check_of(near, "calibration_ratio").value == pytest.approx(1.5)
    far = judge(rows(challenger=0.3, champion=SEND), recipe(calibration_ratio=(0.8, 1.45)), same_recipe=True)
    assert far.decision == "reject"
    assert check_of(far, "calibration_ratio").to_json()["bound"] == [0.8, 1.45]
    assert "expected within 0.8 to 1.45, received 15.000 (" in far.reason


def test_log_loss_vetoes_a_challenger_that_costs_nothing_more():
    verdict = judge(rows(challenger=0.5, champion=SEND), recipe(max_log_loss_delta=0.002), same_recipe=True)
    assert verdict.decision == "reject"
    assert first_failed(verdict).name == "log_loss_delta"


def test_a_channel_that_surely_loses_vetoes_a_total_that_gains():
    n = 4000
    push = np.arange(n) >= 3000
    wanted = np.where(np.arange(n) % 50 == 0, SEND, SKIP)
    judged = replace(
        rows(n=n),
        challenger=np.where(push, SEND, wanted),
        champion=np.where(push, wanted, SEND),
        channel=np.where(push, "push", "ad"),
    )
    evidence = nights_before(judged.of_channels(["ad"]), 5)
    assert judge(judged, recipe(), same_recipe=False, evidence=evidence).decision == "promote"  # push isn't gated
    both = recipe()
    both = both.model_copy(update={"channels": dict.fromkeys(("ad", "push"), both.channels["ad"])})
    verdict = judge(judged, both, same_recipe=False, evidence=evidence)
    assert check_of(verdict, "cost_delta_per_1000").value < 0
    assert verdict.decision == "reject"
    assert first_failed(verdict).name == "cost_delta_per_1000.push"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1, 1.5])
@pytest.mark.parametrize("whose", ["challenger", "champion"])
def test_a_broken_probability_rejects_even_below_the_floors(bad, whose):
    broken = np.full(2000, SEND)
    broken[17] = bad
    judged = replace(rows(champion=SEND), **{whose: broken})
    verdict = judge(judged, recipe(min_rows=10_000), same_recipe=True)
    assert verdict.decision == "reject"
    assert f"received 1 {'challenger' if whose == 'challenger' else 'probabilities of the champion'}" in verdict.reason


def test_labels_and_channels_that_cannot_be_reject():
    half = replace(rows(champion=SEND), label=np.full(2000, 0.5))
    assert judge(half, recipe(), same_recipe=True).decision == "reject"
    assert judge(rows(champion=SEND, channel="sms"), recipe(), same_recipe=True).decision == "reject"


def test_no_champion_is_judged_against_the_constant_rate_and_must_beat_it():
    better = judge(rows(challenger=oracle(), constant_rate={"ad": SEND}), recipe(), same_recipe=True)
    assert (better.decision, better.bootstrap) == ("promote", True)
    assert "against the constant rate per channel" in better.reason
    equal = judge(rows(constant_rate={"ad": SEND}), recipe(), same_recipe=True)
    assert (equal.decision, equal.bootstrap) == ("hold", True)


@pytest.mark.parametrize("rate", [None, {}, {"push": 0.02}, {"ad": float("nan")}])
def test_nothing_to_compare_with_rejects(rate):
    verdict = judge(rows(challenger=oracle(), constant_rate=rate), recipe(), same_recipe=True)
    assert verdict.decision == "reject"
    assert "NaN or absent" in verdict.reason


def test_a_champion_that_cannot_be_scored_fairly_holds_and_says_why():
    verdict = judge(rows(challenger=oracle()), recipe(), same_recipe=True, known=[UNFAIR])
    assert (verdict.decision, verdict.bootstrap) == ("hold", False)
    assert verdict.reason == "Held, not enough evidence. It was trained on V."


def test_a_feature_that_may_be_a_leak_holds_whatever_its_model_saves_and_says_so_first():
    leak = Check(name="known_before", value=1, bound=0, passed=False, message="'watch' tells it.", kind="leak")
    unfair = Check(name="unfair", value=None, bound=None, passed=False, message="It has seen V.", kind="evidence")
    verdict = judge(rows(challenger=oracle()), recipe(), same_recipe=True, known=[unfair, leak])
    assert verdict.decision == "hold"
    assert verdict.reason == "Held, a feature may be known only afterwards. 'watch' tells it."
    broken = Check(name="serving", value=0.3, bound=1e-6, passed=False, message="They differ.", kind="integrity")
    assert judge(rows(challenger=oracle()), recipe(), same_recipe=True, known=[leak, broken]).decision == "reject"


def test_a_failed_serving_check_rejects_before_anything_can_hold():
    known = [
        UNFAIR,
        Check(
            name="serving", value=0.3, bound=1e-6, passed=False, message="Served and trained differ.", kind="integrity"
        ),
    ]
    verdict = judge(rows(champion=SEND), recipe(min_rows=10_000), same_recipe=True, known=known)
    assert verdict.decision == "reject"
    assert verdict.reason == "Rejected. Served and trained differ."


def test_a_known_check_that_passed_on_a_value_that_is_no_number_rejects():
    known = Check(name="serving", value=float("nan"), bound=1e-6, passed=True, message="Largest difference.")
    verdict = judge(rows(champion=SEND), recipe(), same_recipe=True, known=[known])
    assert verdict.decision == "reject"
    assert verdict.checks[0].value is None


def test_positives_of_one_user_bucket_prove_nothing():
    one_user = replace(rows(champion=SEND), user_bucket=np.where(rows().label == 1, 0, np.arange(2000) % 255 + 1))
    verdict = judge(one_user, recipe(), same_recipe=True)
    assert verdict.decision == "hold"
    assert first_failed(verdict).name == "calibration_ratio"


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="expected arrays of one length"):
        replace(rows(), label=np.zeros(3))


def test_a_verdict_is_plain_json_with_the_documented_keys():
    document = judge(rows(champion=SEND), recipe(), same_recipe=True).to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert set(document) == {"decision", "bootstrap", "checks", "reason"}
    assert set(document["checks"][0]) == {"name", "value", "bound", "passed", "words"}
    names = [check["name"] for check in document["checks"]]
    assert names == [
        *("predictions", "rows", "positives", "rows.ad"),
        *("calibration_ratio", "log_loss_delta", "cost_delta_per_1000.ad", "cost_delta_per_1000"),
    ]


def simulated(n=20_000, seed=4):
    """Rows with known probabilities around 2 %, which the champion predicts exactly."""
    rng = np.random.default_rng(seed)
    truth = 1 / (1 + np.exp(-rng.normal(-4.2, 1, n)))
    return truth, replace(
        rows(n=n),
        label=rng.binomial(1, truth),
        champion=truth,
        user_bucket=rng.integers(0, 256, n),
        campaign=rng.integers(0, 40, n),
    )


def test_a_model_of_shuffled_clicks_is_rejected():
    truth, judged = simulated()
    shuffled = replace(judged, challenger=np.random.default_rng(5).permutation(truth))
    for same_recipe in (True, False):
        verdict = judge(shuffled, recipe(max_log_loss_delta=0.002), same_recipe=same_recipe)
        assert verdict.decision == "reject"


@settings(max_examples=40)
@given(
    shift=st.floats(-2, 2) | st.just(float("nan")),
    noise=st.floats(0, 2),
    same_recipe=st.booleans(),
    champion=st.booleans(),
    margin=st.floats(0, 5),
    known=st.booleans(),
)
def test_the_gate_never_promotes_if_a_check_failed_nor_otherwise_if_none_did(
    shift, noise, same_recipe, champion, margin, known
):
    truth, judged = simulated(n=3000)
    wobble = np.random.default_rng(6).normal(0, 1, len(truth))
    challenger = 1 / (1 + np.exp(-(np.log(truth / (1 - truth)) + shift + noise * wobble)))
    judged = replace(judged, challenger=challenger)
    if not champion:
        judged = replace(judged, champion=None, constant_rate={"ad": 0.02})
    gate = recipe(max_cost_delta_per_1000=margin, max_log_loss_delta=0.01, calibration_ratio=(0.8, 1.25))
    serving = Check(name="serving", value=0.0, bound=1e-6, passed=known, message="Served and trained agree.")
    verdict = judge(judged, gate, same_recipe=same_recipe, known=[serving])
    assert (verdict.decision == "promote") == all(check.passed for check in verdict.checks)
    assert verdict.bootstrap == (not champion)
    for check in verdict.checks:
        if check.tested is not None:
            lowest, highest = check.bound if isinstance(check.bound, tuple) else (-np.inf, check.bound)
            assert check.passed == (lowest <= check.tested <= highest)
