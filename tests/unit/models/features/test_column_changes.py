"""Rules of columns that aren't the same on all days of the training window."""

from datetime import date, timedelta

import pytest

from ctr_retrain.models.features.column_changes import ColumnDay, column_warnings

FIRST = date(2026, 3, 1)


def days(*filled, rows=1000, sampled=0, numbers=()):
    """A day for each count of values; numbers: of the sampled texts of each day."""
    counts = numbers or [0] * len(filled)
    return [
        ColumnDay(FIRST + timedelta(days=at), rows, count, sampled if count else 0, number)
        for at, (count, number) in enumerate(zip(filled, counts, strict=True))
    ]


def said(found):
    return [warning.message.partition(". ")[0] for warning in column_warnings({"device": found})]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([0, 0, 980, 980], "appears: no value on 2026-03-01 to 2026-03-02, one on 98 % of the rows of other days"),
        ([980, 980, 0, 0], "vanishes: no value on 2026-03-03 to 2026-03-04, one on 98 % of the rows of other days"),
        ([500, 0, 500, 0], "comes and goes: no value on 2026-03-02, 2026-03-04, one on 50 % of the rows of other days"),
    ],
)
def test_a_column_that_has_no_value_on_some_days_is_said_with_these_days(found, words):
    assert said(days(*found)) == [f"Column 'device' {words}"]


@pytest.mark.parametrize("found", [[980, 970, 1000], [0, 0, 0], [300, 1000, 20], [12, 0, 15, 0]])
def test_a_column_that_is_there_each_day_or_never_or_too_rarely_to_tell_needs_no_word(found):
    assert said(days(*found)) == []


def test_a_day_of_few_rows_says_nothing_by_having_no_value():
    assert said([*days(500, 500), ColumnDay(FIRST + timedelta(days=2), 20, 0)]) == []


def test_texts_that_are_numbers_on_some_days_alone_are_said_with_these_days():
    found = days(900, 900, 900, 900, sampled=200, numbers=(0, 3, 200, 199))
    assert said(found) == [
        "Column 'device' changes its kind: numbers on 2026-03-03 to 2026-03-04, other texts on 2026-03-01 to 2026-03-02"
    ]
    assert said(days(900, 900, sampled=200, numbers=(90, 120))) == []  # ids of both kinds, every day
    assert said(days(900, 900, sampled=10, numbers=(0, 10))) == []  # too few to tell


def test_many_gaps_are_told_by_the_first_ones():
    (words,) = said(days(*[500, 0] * 5))
    assert "no value on 2026-03-02, 2026-03-04, 2026-03-06 and later, one on" in words
