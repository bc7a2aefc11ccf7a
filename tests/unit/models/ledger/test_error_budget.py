"""Rules of the year's budget."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.ledger.error_budget import share_of_budget
from tests.support.counts import draws

DAY = date(2026, 3, 1)


@pytest.mark.parametrize(("earlier", "share", "number"), [(0, 1 / 2, 1), (1, 1 / 6, 2), (2, 1 / 12, 3)])
def test_each_change_of_a_year_gets_less_than_the_one_before(earlier, share, number):
    days = [DAY - timedelta(days=10 * place) for place in range(earlier)]
    assert share_of_budget(days, DAY) == (pytest.approx(share), number)


def test_a_change_of_more_than_a_year_ago_and_one_that_comes_later_cost_nothing():
    assert share_of_budget([DAY - timedelta(days=365), DAY + timedelta(days=1)], DAY) == (0.5, 1)


@settings(max_examples=draws(20, 1000))
@given(st.lists(st.integers(0, 1500), max_size=60))
def test_whatever_the_days_the_shares_of_any_year_add_up_to_one_at_most(offsets):
    opened, shares = [], []
    for offset in sorted(offsets):
        day = DAY + timedelta(days=offset)
        shares.append(share_of_budget(opened, day)[0])
        opened.append(day)
    for first in opened:
        year = [share for day, share in zip(opened, shares, strict=True) if first <= day < first + timedelta(days=365)]
        assert sum(year) <= 1
