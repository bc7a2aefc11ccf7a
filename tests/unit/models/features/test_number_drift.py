"""Rules of numbers that leave the training window's values or move with the date."""

import numpy as np
import pytest

from ctr_retrain.models.features.number_drift import NumberDays, judge_number, number_warnings

ROWS = 2_000


def days(values, count=14, validate=2, later=3):
    """A number's days by a function of a generator and the day's place; the run's own day comes some days later."""
    rng = np.random.default_rng(7)
    drawn = [np.asarray(values(rng, day), np.float32) for day in range(count + validate + later)]
    return NumberDays("age", tuple(drawn[:count]), tuple(drawn[count : count + validate]), drawn[-1])


@pytest.mark.parametrize(
    "values",
    [
        lambda rng, _: rng.normal(40, 10, ROWS),
        lambda rng, _: rng.lognormal(0, 3, ROWS),  # outliers are usual
        lambda rng, _: rng.poisson(0.02, ROWS),
        lambda rng, day: rng.normal(10 + 3 * np.sin(day), 2, ROWS),  # up and down
        lambda rng, day: rng.normal(day % 7, 2, ROWS),  # weekdays
        lambda rng, day: rng.normal(40 + 0.01 * day, 10, ROWS),  # hardly any
        lambda _rng, _: np.full(ROWS, 7),
        lambda _rng, _: np.full(ROWS, np.nan),
        lambda _rng, _: np.empty(0),
    ],
)
def test_a_number_that_stays_is_not_named(values):
    found = judge_number(days(values))
    assert found.message == ""
    assert found.shift is None
    assert number_warnings([found]) == ()


def test_an_age_that_rises_a_day_a_day_is_named_with_shares_and_what_to_do():
    found = judge_number(days(lambda rng, day: rng.integers(0, 20, ROWS) + day))
    assert found.high == 32
    assert found.outside == 0
    assert found.validation_outside == pytest.approx(0.075, abs=0.02)  # of a day later a twentieth, of two a tenth
    assert found.newest_outside == pytest.approx(0.25, abs=0.03)
    assert found.shift == pytest.approx(18 / np.sqrt(400 / 12), rel=0.1)
    assert "leaves the training window's values, 0 to 32, on" in found.message
    assert "of the rows of the run's day" in found.message
    assert "from day to day it rises" in found.message
    assert "remove it from the recipe" in found.message
    (warning,) = number_warnings([found])
    assert warning.name == "number_drift"


def test_a_number_that_falls_slowly_within_the_window_is_named_though_no_value_is_new():
    found = judge_number(days(lambda rng, day: np.clip(rng.normal(-day / 10, 1, ROWS), -2, 2)))
    assert found.shift < -1
    assert "from day to day it falls" in found.message
    assert "leaves the training window's values" not in found.message


def test_a_jump_after_the_window_is_named_by_the_days_that_have_it():
    jumped = judge_number(days(lambda rng, day: rng.uniform(0, 1, ROWS) + 5 * (day == 18)))
    assert jumped.validation_outside < 0.01
    assert jumped.newest_outside == 1
    assert "on 100 % of the rows of the run's day" in jumped.message
    assert "validation days" not in jumped.message


def test_a_few_rows_outside_prove_nothing():
    few = NumberDays("age", (np.arange(100, dtype=np.float32),), (np.array([50, 200], np.float32),), np.empty(0))
    assert judge_number(few).message == ""
    assert judge_number(few).validation_outside == 0.5


def test_a_clock_that_is_the_same_all_day_moves_with_the_date():
    found = judge_number(days(lambda _rng, day: np.full(ROWS, 20_000 + day)))
    assert found.shift > 1
    assert found.newest_outside == 1
