"""Rules of the champions in a backfill's plan: by what is in service now, and what days before may bring."""

from datetime import date, timedelta

import pytest

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.tasks.backfill.planned_champions import Opponent, opponents_of
from ctr_retrain.tasks.store.champion import Champions

DAYS = [date(2026, 3, 20) + timedelta(days=number) for number in range(4)]


@pytest.fixture
def recipe(tiny_recipe):
    return tiny_recipe()


@pytest.fixture
def promoted(recipe):
    """Champions that runs of some days put into service, in the order of these days."""

    def make(*days, barred=()):
        cuts = [plan_days(day, recipe).cut for day in days]
        tenures = [
            Tenure(version=f"of-{day}", run_day=day, data_through=cut, action="promote", reason="", at="")
            for day, cut in zip(days, cuts, strict=True)
        ]
        return Champions(tuple(tenures), barred, None)

    return make


def test_on_a_fresh_root_each_day_may_meet_what_the_first_one_brings(promoted, recipe):
    found = opponents_of(promoted(), recipe, DAYS[:3], shadow=False)
    assert list(found.values()) == [Opponent(None), Opponent(None, DAYS[0]), Opponent(None, DAYS[0])]


def test_days_before_the_champions_own_bring_nothing_and_later_ones_may(promoted, recipe):
    champions = promoted(DAYS[0] - timedelta(days=9), DAYS[1])
    earlier, current = (f"of-{tenure.run_day}" for tenure in champions.tenures)
    found = opponents_of(champions, recipe, reversed(DAYS), shadow=False)
    assert found == {
        DAYS[0]: Opponent(earlier),
        DAYS[1]: Opponent(current),  # which is in service, and of that very day: who wants its place has to meet it
        DAYS[2]: Opponent(current, DAYS[1]),
        DAYS[3]: Opponent(current, DAYS[1]),
    }


def test_in_the_shadow_no_day_brings_anything_and_what_was_rolled_back_is_met_by_none(promoted, recipe):
    champions = promoted(DAYS[0], DAYS[1], barred=(f"of-{DAYS[1]}",))
    found = opponents_of(champions, recipe, DAYS[2:], shadow=True)
    assert set(found.values()) == {Opponent(f"of-{DAYS[0]}")}
