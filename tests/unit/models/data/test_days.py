"""Which day does what: DESIGN's days, printed and pinned."""

from datetime import date

import pytest

from ctr_retrain.models.data.days import day_range, plan_days

D = date(2026, 3, 31)


def days(*numbers):
    return tuple(date(2026, 3, n) for n in numbers)


@pytest.mark.parametrize(
    ("case", "changes", "m", "validate", "cut", "first", "calibrate"),
    [
        ("ads alone", {"channels": {"push": {"gated": False}}}, 1, days(30), 29, 16, range(23, 30)),
        ("push alone", {"channels": {"ad": {"gated": False}}}, 3, days(28), 27, 14, range(21, 28)),
        ("both", {}, 3, days(28), 27, 14, range(21, 28)),
        ("inline label", {"landing": {"columns": {"label": "click"}}}, 0, days(31), 30, 17, range(24, 31)),
    ],
)
def test_days_of_a_run(tiny_recipe, case, changes, m, validate, cut, first, calibrate):
    plan = plan_days(D, tiny_recipe(**changes))
    print(  # noqa: T201 - a rule of the project: shown, and pinned below
        f"{case}: D {D}, m {plan.maturity_days}, V {plan.validate[0]}..{plan.validate[-1]}, cut {plan.cut}, "
        f"T {plan.train[0]}..{plan.train[-1]}, C in {plan.calibrate[0]}..{plan.calibrate[-1]}"
    )
    assert plan.maturity_days == m
    assert plan.validate == validate
    assert plan.cut == date(2026, 3, cut)
    assert plan.train == days(*range(first, cut + 1))
    assert len(plan.train) == 14
    assert plan.calibrate == days(*calibrate)
    assert plan.all_days == days(*range(first, 32))


def test_two_validation_days_end_at_the_same_day_and_move_the_cut(tiny_recipe):
    plan = plan_days(D, tiny_recipe(training={"validation_days": 2}))
    assert plan.validate == days(27, 28)
    assert plan.cut == date(2026, 3, 26)


def test_grace_and_a_window_of_part_of_a_day_are_rounded_up_to_whole_days(tiny_recipe):
    recipe = tiny_recipe(
        channels={"ad": {"attribution_window_hours": 25}, "push": {"gated": False}}, landing={"grace_days": 2}
    )
    assert recipe.maturity_days == 2 + 2


def test_no_day_both_trains_and_validates_and_none_is_left_between(tiny_recipe):
    plan = plan_days(D, tiny_recipe(training={"validation_days": 3, "window_days": 5}))
    assert (*plan.train, *plan.validate) == day_range(plan.train[0], plan.validate[-1])
    assert plan.calibrate == plan.train  # a window shorter than the calibration days gives all it has


def test_range_of_days_that_ends_before_it_begins_is_empty():
    assert day_range(D, date(2026, 3, 30)) == ()
    assert day_range(date(2024, 2, 28), date(2024, 3, 1)) == (
        date(2024, 2, 28),
        date(2024, 2, 29),
        date(2024, 3, 1),
    )
