"""Rules of missing hours: those are named that a day lacks and others have."""

import pytest

from ctr_retrain.models.drift.missing_hours import hours_sentence

USUAL = [[100 + hour for hour in range(24)]] * 3


def without(*hours, left=0):
    return [left if hour in hours else 100 + hour for hour in range(24)]


def test_hours_in_a_row_are_named_from_one_to_the_end_of_another():
    said = hours_sentence(without(*range(6, 18)), USUAL)
    assert said == "12 hours are missing, 06:00 to 18:00 UTC, which usually have 50 % of the impressions."


def test_each_stretch_is_named_and_what_is_late_of_others_is_no_hour():
    assert "3 hours are missing, 00:00 to 02:00, 23:00 to 24:00 UTC" in hours_sentence(without(0, 1, 23, left=9), USUAL)
    assert hours_sentence(without(5), USUAL).startswith("1 hour is missing, 05:00 to 06:00 UTC")


@pytest.mark.parametrize("today", [[50] * 24, without(3, left=60)])
def test_a_part_of_every_hour_is_no_missing_hour(today):
    assert hours_sentence(today, USUAL) == "No whole hour is missing: look for files that hold a part of each."


def test_hours_that_usually_have_next_to_nothing_are_not_missed():
    nights = [[3] * 6 + [500] * 18] * 3
    assert hours_sentence([0] * 6 + [200] * 18, nights).startswith("No whole hour")
