"""Rules of label maturity: F by channel, kind, hour and age, and what it says of days that are too young."""

import json
from datetime import date

import pyarrow as pa
import pytest

from ctr_retrain.models.data.maturity import (
    FLOOR,
    HOURS,
    PRIOR_POSITIVES,
    correct_ratio,
    estimate_maturity,
    final_age,
    seen_shares,
)
from ctr_retrain.models.documents.maturity_documents import Maturity


def arrivals(*rows):
    """Rows of (channel, kind, hour, days_late, age_days, rows)."""
    names = ("channel", "kind", "hour", "days_late", "age_days", "rows")
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def test_share_is_what_had_landed_by_an_age_of_what_landed_in_the_end():
    day = arrivals(
        ("ad", "click", 10, 0, 0, 600),
        ("ad", "click", 10, 0, 1, 300),
        ("ad", "click", 20, 0, 1, 100),
        ("ad", "click", 20, 0, None, 5000),
        ("push", "click", 20, 0, 3, 70),
    )
    found = estimate_maturity([day, day], "ad", "click", 1)
    assert (found.days, found.positives) == (2, 2000)
    assert found.overall == (0.6, 1.0)
    assert found.shares[10][0] == pytest.approx((1200 + PRIOR_POSITIVES * 0.6) / (1800 + PRIOR_POSITIVES))
    assert found.shares[20][0] == pytest.approx(PRIOR_POSITIVES * 0.6 / (200 + PRIOR_POSITIVES))
    assert found.shares[3] == (0.6, 1.0)  # an hour without outcomes is like all of them


def test_impression_that_landed_late_counts_from_the_age_at_which_it_was_there():
    day = arrivals(("ad", "click", 1, 0, 0, 100), ("ad", "click", 1, 1, 0, 50), ("ad", "click", 1, 1, 1, 50))
    assert estimate_maturity([day], "ad", "click", 1).overall == (1.0, 1.0)


def test_nothing_is_known_of_a_channel_without_positives_or_without_mature_days():
    assert estimate_maturity([], "ad", "click", 1) is None
    assert estimate_maturity([arrivals(("ad", "click", 1, 0, None, 9))], "ad", "click", 1) is None
    young = correct_ratio(
        arrivals(("ad", "click", 1, 0, 0, 1), ("ad", "click", 1, 0, None, 99)), None, "ad", "click", date(2026, 3, 2), 0
    )
    assert (young.rows, young.seen, young.corrected, young.standard_error) == (100, 0.01, None, None)


def test_corrected_ratio_lets_each_positive_stand_for_those_that_have_not_landed():
    mature = arrivals(*(("ad", "click", hour, 0, age, 10**6) for hour in range(HOURS) for age in (0, 1)))
    curve = estimate_maturity([mature], "ad", "click", 1)
    day = arrivals(("ad", "click", 5, 0, 0, 100), ("ad", "click", 5, 0, None, 9900))
    young = correct_ratio(day, curve, "ad", "click", date(2026, 3, 2), 0)
    assert young.seen == 0.01
    assert young.corrected == pytest.approx(0.02)
    # Beside chance the curve's own error, which is small here.
    assert young.standard_error == pytest.approx((100 * 0.5 / 0.5**2) ** 0.5 / 10_000, rel=1e-4)
    assert correct_ratio(day, curve, "ad", "click", date(2026, 3, 2), 1).corrected == pytest.approx(0.01)


def test_a_share_that_differs_from_day_to_day_is_in_the_standard_error():
    # Of 10,000 clicks a day nine tenths land at once on one half of the days, seven tenths on the other.
    days = [arrivals(("ad", "click", 5, 0, 0, n), ("ad", "click", 5, 0, 1, 10_000 - n)) for n in (9000, 7000) * 8]
    curve = estimate_maturity(days, "ad", "click", 1)
    assert curve.variation[0] == pytest.approx(0.1 * (16 / 15 * 17 / 16 * 15 / 13) ** 0.5, rel=0.01)
    assert curve.variation[1] == 0
    day = arrivals(("ad", "click", 5, 0, 0, 8000), ("ad", "click", 5, 0, None, 92_000))
    young = correct_ratio(day, curve, "ad", "click", date(2026, 3, 2), 0)
    assert young.corrected == pytest.approx(0.1, rel=1e-3)
    assert young.standard_error == pytest.approx(0.1 * curve.variation[0] / 0.8, rel=0.01)
    older = curve.model_copy(update={"variation": ()})  # as an older version measured it
    assert correct_ratio(day, older, "ad", "click", date(2026, 3, 2), 0).standard_error < 0.001


def test_no_outcome_seen_is_no_certainty():
    curve = estimate_maturity([arrivals(*(("ad", "click", 5, 0, age, 5000) for age in (0, 1)))], "ad", "click", 1)
    day = arrivals(("ad", "click", 5, 0, None, 1000))
    young = correct_ratio(day, curve, "ad", "click", date(2026, 3, 2), 0)
    assert young.corrected == 0
    assert young.standard_error == pytest.approx(2**0.5 / 1000, rel=0.01)  # that of a single click, half of which land


def test_a_day_that_lacks_outcomes_has_no_corrected_ratio():
    mature = arrivals(*(("ad", "click", hour, 0, age, 10**6) for hour in range(HOURS) for age in (0, 1)))
    curve = estimate_maturity([mature], "ad", "click", 1)
    day = arrivals(("ad", "click", 5, 0, 0, 100), ("ad", "click", 5, 0, None, 9900))
    late = date(2026, 3, 2)
    young = correct_ratio(day, curve, "ad", "click", late, 0, (late,))
    assert (young.seen, young.corrected, young.standard_error, young.incomplete) == (0.01, None, None, (late,))


def test_shares_that_training_reads_are_each_hours_own_all_one_once_final_and_none_where_nothing_is_known(tiny_recipe):
    late = [("ad", "click", 7, 0, 1, 10**6)]  # of this hour's impressions nothing lands on the day itself
    mature = arrivals(*(("ad", "click", hour, 0, 0, 10**6) for hour in range(HOURS) if hour != 7), *late)
    curve = estimate_maturity([mature], "ad", "click", 1)
    again = Maturity.from_json(json.loads(json.dumps(curve.to_json())))
    assert again == curve
    shares = seen_shares([again], tiny_recipe(), 0)
    assert shares["ad"][6] == curve.shares[6][0]
    assert shares["ad"][7] is None  # below FLOOR
    assert shares["push"] == (None,) * HOURS
    assert seen_shares([], tiny_recipe(), 1)["ad"] == (1.0,) * HOURS
    assert seen_shares([], tiny_recipe(), 3)["push"] == (1.0,) * HOURS


def test_a_share_too_small_to_divide_by_is_raised_to_the_floor():
    mature = arrivals(*(("ad", "click", hour, 0, 1, 10**6) for hour in range(HOURS)))
    curve = estimate_maturity([mature], "ad", "click", 1)
    day = arrivals(("ad", "click", 5, 0, 0, 1), ("ad", "click", 5, 0, None, 999))
    assert correct_ratio(day, curve, "ad", "click", date(2026, 3, 2), 0).corrected == pytest.approx(1 / FLOOR / 1000)


def test_final_age_is_the_window_in_whole_days_and_the_grace(tiny_recipe):
    recipe = tiny_recipe(landing={"grace_days": 1}, channels={"ad": {"more_kinds": {"conversion": 100}}})
    ages = [final_age(recipe, *pair) for pair in (("ad", "click"), ("push", "click"), ("ad", "conversion"))]
    assert ages == [2, 4, 6]
