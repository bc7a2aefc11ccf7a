"""Rules of the anchor, and of the champion's predecessor."""

from datetime import date, timedelta

import pytest

from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.models.ledger.anchor import choose_anchor, predecessor_of

DAY = date(2026, 3, 1)


def tenure(version, days, question="refresh", action="promote"):
    run_day = DAY + timedelta(days=days)
    return Tenure(
        version=version, run_day=run_day, data_through=run_day, action=action, reason="", at="", question=question
    )


FIRST, SECOND, THIRD = tenure("a", 0, "first"), tenure("b", 2), tenure("c", 4)


def anchor(tenures, champion, days=10, anchor_days=365):
    return choose_anchor(tenures, champion, DAY + timedelta(days=days), anchor_days).version


def test_refreshes_are_held_to_the_first():
    assert anchor([FIRST, SECOND, THIRD], THIRD) == "a"
    assert anchor([FIRST], FIRST) == "a"


@pytest.mark.parametrize("shown", [tenure("b", 2, "change"), tenure("b", 2, None, "override")])
def test_a_better_one_and_one_that_a_person_put_there_become_the_anchor(shown):
    assert anchor([FIRST, shown, THIRD], THIRD) == "b"


def test_the_past_is_measured_by_what_was_before_it():
    assert anchor([FIRST, SECOND, tenure("c", 4, "change")], SECOND) == "a"


def test_a_history_that_says_nothing_begins_with_its_anchor():
    old = [tenure("a", 0, None), tenure("b", 2, None), tenure("c", 4, None)]
    assert anchor(old, old[-1]) == "a"


def test_after_its_days_the_champion_of_then_follows_and_again():
    chain = [FIRST, SECOND, THIRD, tenure("d", 14), tenure("e", 25)]
    assert anchor(chain, chain[-1], days=10, anchor_days=10) == "a"
    assert anchor(chain, chain[-1], days=11, anchor_days=10) == "c"
    assert anchor(chain, chain[-1], days=26, anchor_days=10) == "d"


def test_a_rollback_brings_back_whom_that_champion_was_held_to():
    again = tenure("b", 2, action="rollback")
    assert anchor([FIRST, SECOND, tenure("c", 4, "change"), again], again) == "a"
    assert predecessor_of([FIRST, SECOND, tenure("c", 4, "change"), again], again).version == "a"


def test_the_predecessor_is_who_served_before():
    assert predecessor_of([FIRST, SECOND, THIRD], THIRD).version == "b"
    assert predecessor_of([FIRST], FIRST) is None
