"""Rules of imbalance drift."""

import json
from datetime import date, timedelta
from math import log

import numpy as np
import pytest

from ctr_retrain.models.data.drift import DayRatio, Level, detect, expected_level, standard_errors, to_alert
from ctr_retrain.models.recipe.validation_section import Drift
from tests.support.counts import draws

TODAY = date(2026, 3, 2)  # a Monday
DRIFT = Drift(min_effect=0.25, min_z=4)


def days_before(n, positives=200, rows=10_000):
    return [DayRatio(TODAY - timedelta(days=i), positives, rows) for i in range(1, n + 1)]


def today(positives, rows=10_000):
    return DayRatio(TODAY, positives, rows)


def simulate(rng, days, rows, *, tau, weekend=0.3, rate=0.02):
    """A stable history with weekday pattern and overdispersion; the last day is today."""
    result = []
    for age in range(days, -1, -1):
        day = TODAY - timedelta(days=age)
        log_odds = log(rate / (1 - rate)) + weekend * (day.weekday() >= 5) + rng.normal(0, tau)
        result.append(DayRatio(day, int(rng.binomial(rows, 1 / (1 + np.exp(-log_odds)))), rows))
    return result


def test_log_odds_count_half_a_positive_and_half_a_negative_more():
    assert DayRatio(TODAY, 0, 99).log_odds == pytest.approx(log(0.5 / 99.5))
    assert DayRatio(TODAY, 1, 4).sampling_variance == pytest.approx(1 / 1.5 + 1 / 3.5)


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="received 5 of 4"):
        DayRatio(TODAY, 5, 4)


def test_a_day_at_its_level_is_quiet_and_its_band_is_the_effect_where_evidence_is_plenty():
    result = detect("ad", today(200), days_before(28), DRIFT)
    assert not result.alert
    assert to_alert(result) is None
    assert result.effect == pytest.approx(0)
    assert result.z == pytest.approx(0)
    assert result.expected == pytest.approx(0.02)
    million = detect("ad", today(20_000, 1_000_000), days_before(28, 20_000, 1_000_000), DRIFT)
    odds = 0.02 / 0.98
    assert million.low == pytest.approx(0.75 * odds / (1 + 0.75 * odds), rel=1e-4)
    assert million.high == pytest.approx(1.25 * odds / (1 + 1.25 * odds), rel=1e-4)


def test_two_point_one_instead_of_two_per_cent_of_a_million_is_evidence_without_effect():
    result = detect("ad", today(21_000, 1_000_000), days_before(28, 20_000, 1_000_000), DRIFT)
    assert result.z > 4
    assert not result.alert


def test_a_doubled_ratio_of_few_impressions_is_effect_without_evidence():
    result = detect("ad", today(4, 100), days_before(28, 2, 100), DRIFT)
    assert result.effect > 0.25
    assert not result.alert


def test_a_logger_that_loses_60_per_cent_alerts_and_says_what_to_check():
    result = detect("push", today(80), days_before(28), DRIFT)
    assert result.alert
    assert result.received < result.low < result.expected
    assert result.message.startswith("Positive ratio of channel 'push' on 2026-03-02: expected 2.00 % (1.4")
    alert = to_alert(result)
    assert (alert.name, alert.level, alert.channel) == ("positive_ratio", "warning", "push")
    assert alert.cause.startswith("The odds of a positive fell by 60 %, ")
    assert "standard errors from the level of 4 same weekdays of history. Check first whether the out" in alert.cause


def test_no_positives_at_all_alert_as_critical():
    alert = to_alert(detect("ad", today(0), days_before(28), DRIFT))
    assert alert.level == "critical"
    assert alert.received == 0
    assert "Not one positive came in." in alert.cause


def test_no_positives_where_hardly_any_are_expected_do_not_alert():
    result = detect("ad", today(0, 100), days_before(28, 2, 100), DRIFT)
    assert not result.alert
    assert result.low == 0


def test_a_bot_flood_alerts_upwards():
    alert = to_alert(detect("ad", today(500), days_before(28), DRIFT))
    assert alert.cause.startswith("The odds of a positive rose by ")
    assert "Check first for bots" in alert.cause


def test_the_band_is_where_alerts_begin():
    history = days_before(28, 20, 1000)
    quiet = detect("ad", today(20, 1000), history, DRIFT)
    lowest_quiet, highest_quiet = int(np.ceil(quiet.low * 1000)), int(np.floor(quiet.high * 1000))
    assert not detect("ad", today(lowest_quiet, 1000), history, DRIFT).alert
    assert not detect("ad", today(highest_quiet, 1000), history, DRIFT).alert
    assert detect("ad", today(lowest_quiet - 1, 1000), history, DRIFT).alert
    assert detect("ad", today(highest_quiet + 1, 1000), history, DRIFT).alert


def test_a_day_is_held_against_its_own_weekdays_where_there_are_three():
    weekends_double = [
        DayRatio(d.day, d.positives * (2 if d.day.weekday() >= 5 else 1), d.rows) for d in days_before(28)
    ]
    monday = detect("ad", today(200), weekends_double, DRIFT)
    assert (monday.basis, monday.days) == ("same weekdays", 4)
    assert monday.expected == pytest.approx(0.02, rel=1e-3)
    fortnight = detect("ad", today(200), weekends_double[:14], DRIFT)
    assert (fortnight.basis, fortnight.days) == ("all days", 14)
    assert fortnight.expected > 0.02


def test_overdispersion_is_pooled_over_weekdays():
    # Each weekday has log-odds m ± a by turns, so that τ² = (28 a² − counting) / 21 with counting = Σ (3/4) v_d.
    history = [DayRatio(TODAY - timedelta(days=i), 30_000 if i <= 14 else 20_000, 10**6) for i in range(1, 29)]
    a = (history[0].log_odds - history[-1].log_odds) / 2
    v_high, v_low = history[0].sampling_variance, history[-1].sampling_variance
    tau2 = (28 * a**2 - 0.75 * 14 * (v_high + v_low)) / 21
    level_error2 = (4 * tau2 + 2 * v_high + 2 * v_low) / 16
    level = expected_level(today(0), history)
    assert level.standard_deviation == pytest.approx(((tau2 + level_error2) * 21 / 19) ** 0.5)


def test_standard_errors_are_the_deviance_for_few_positives_and_the_variation_of_days_for_many():
    exact = Level(log(0.1 / 0.9), 0.0, "all days", 9)
    n, k = 100, 0.5  # none of 99 rows, with half a positive
    change = log(k / (n - k)) - exact.log_odds
    deviance = 2 * (k * log(k / 10) + (n - k) * log((n - k) / 90))
    assert standard_errors(change, exact, n - 1) == pytest.approx(-(deviance**0.5))
    varying = Level(exact.log_odds, 0.2, "all days", 9)
    assert standard_errors(1.0, varying, 10**9) == pytest.approx(5, abs=1e-3)
    assert standard_errors(0.0, exact, 99) == 0


def test_too_little_history_never_alerts_and_says_so():
    result = detect("ad", today(0), days_before(6), DRIFT)
    assert (result.alert, result.basis, result.days) == (False, "too little history", 6)
    assert result.expected is result.low is result.z is None
    assert "expected at least 7 days of history to compare with, received 6" in result.message


def test_history_is_what_lies_before_the_day_and_not_too_long_ago():
    too_old = [DayRatio(TODAY - timedelta(days=29), 200, 10_000)]
    later = [DayRatio(TODAY + timedelta(days=i), 200, 10_000) for i in range(5)]
    assert detect("ad", today(200), days_before(6) + too_old + later, DRIFT).basis == "too little history"


def test_no_impressions_alert_only_where_the_weekday_usually_has_some():
    result = detect("ad", today(0, 0), days_before(28), DRIFT)
    alert = to_alert(result)
    assert (alert.level, alert.received, alert.expected) == ("critical", None, None)
    assert "received no impressions" in result.message
    never_on_mondays = [d for d in days_before(28) if d.day.weekday() != 0]
    assert not detect("ad", today(0, 0), never_on_mondays, DRIFT).alert


def test_an_alert_is_plain_json_with_the_documented_keys():
    document = to_alert(detect("ad", today(0), days_before(28), DRIFT)).to_json()
    assert list(document) == ["name", "level", "channel", "expected", "received", "cause"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize(
    ("days", "rows", "tau"), [(28, 20_000, 0.05), (28, 2_000, 0.1), (28, 10**6, 0.2), (7, 20_000, 0.1)]
)
def test_stable_histories_hardly_ever_alert(days, rows, tau):
    rng = np.random.default_rng(8)
    histories = [simulate(rng, days, rows, tau=tau) for _ in range(draws(500, 4000))]
    assert np.mean([detect("ad", h[-1], h[:-1], DRIFT).alert for h in histories]) <= 0.01


def test_standard_errors_have_spread_one_on_stable_histories():
    rng = np.random.default_rng(9)
    histories = [simulate(rng, 28, 20_000, tau=0.1) for _ in range(draws(800, 4000))]
    assert np.std([detect("ad", h[-1], h[:-1], DRIFT).z for h in histories]) == pytest.approx(1, abs=0.12)


def test_a_logger_that_loses_60_per_cent_is_nearly_always_found_on_a_varying_history():
    rng = np.random.default_rng(10)
    histories = [simulate(rng, 28, 20_000, tau=0.1) for _ in range(draws(200, 2000))]
    found = [
        detect("ad", DayRatio(TODAY, int(0.4 * h[-1].positives), h[-1].rows), h[:-1], DRIFT).alert for h in histories
    ]
    assert np.mean(found) >= 0.95
