"""Rules of policies over a backfill in the shadow: the gate's row is what the gate does, and resuming changes nothing.

Four nights are run as they really are, by the gate; the fifth, and the comparison, in the shadow.
"""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from ctr_retrain.models.documents.comparison_documents import POLICY_NAMES
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.flow_answers import backfill
from tests.support.small_world import FIRST_DAY, LAST_DAY, copy_days, write_recipe

FIRST = FIRST_DAY + timedelta(days=3)  # with two days to train on, of which a first model passes
MARGIN = 4  # of refreshes: so small that the gate holds some of them


@pytest.fixture(scope="module")
def shadowed(first_run, small_landing, tmp_path_factory):
    folder = tmp_path_factory.mktemp("policies")
    root = copy_days(first_run, folder / "root")
    recipe = write_recipe(folder, max_cost_delta_per_1000=MARGIN)
    places = (recipe, str(root), str(small_landing))
    store = LocalStore(root)
    backfill(FIRST, LAST_DAY - timedelta(days=1), "each", *places)
    before = [store.read_ref(name) for name in (layout.CHAMPION_REF, layout.LEDGER_REF)]
    answer = backfill(FIRST, LAST_DAY, "each", *places, shadow=True)
    return SimpleNamespace(store=store, places=places, before=before, answer=answer, table=answer["policies"])


def test_every_policy_stands_in_the_table_with_what_it_costs(shadowed):
    table = shadowed.table
    assert [one["name"] for one in table["policies"]] == [*POLICY_NAMES]
    assert (table["currency"], table["margin"]) == ("EUR", MARGIN)
    assert len(table["days"]) >= 2
    for one in table["policies"]:
        assert one["cost_per_1000"] == pytest.approx(1000 * one["cost"] / table["rows"])


def test_the_gates_champions_are_those_that_it_really_put_into_service(shadowed):
    tenures = read_champions(shadowed.store).tenures
    nights, days = shadowed.table["nights"], shadowed.table["days"]
    served = [[one.version for one in tenures if str(one.run_day) < day][-1] for day in days]
    gate = shadowed.table["policies"][-1]
    told = [one["version"] for one in gate["champions"] for _ in range(one["days"])]
    assert told == served
    always = shadowed.table["policies"][1]
    assert (always["name"], always["promotions"]) == ("always_promote", len(nights))
    assert gate["promotions"] < len(nights)  # or this would be a gate that is open anyway
    really = [one for one in tenures if str(one.run_day) in nights]
    assert gate["promotions"] - len(really) in {0, 1}  # the last night is the shadow's alone


def test_nothing_is_put_into_service_and_no_evidence_is_entered(shadowed):
    assert shadowed.answer["days"][-1]["outcome"] != "skipped"
    after = [shadowed.store.read_ref(name) for name in (layout.CHAMPION_REF, layout.LEDGER_REF)]
    assert after == shadowed.before


def test_the_same_again_trains_nothing_and_gives_the_same_table(shadowed):
    again = backfill(FIRST, LAST_DAY, "each", *shadowed.places, shadow=True)
    assert {day["outcome"] for day in again["days"]} == {"skipped"}
    assert again["policies"] == shadowed.table


def test_without_a_model_of_each_day_there_is_no_table_but_the_reason(shadowed):
    asked = backfill(LAST_DAY, LAST_DAY, "last", *shadowed.places, shadow=True)
    assert asked["policies"]["policies"] == []
    assert "--retrain each" in asked["policies"]["words"]
    assert "policies" not in backfill(LAST_DAY, LAST_DAY, "none", *shadowed.places)
