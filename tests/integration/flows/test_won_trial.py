"""A changed recipe on trial, night after night, until it takes over: by whole runs.

The champion doesn't know an impression's category. With 8,000 impressions a day to learn it earns some 3.5 more per
1,000, by intervals of ±2.7 a night; with this seed the e-value is 3.4, 9.0 and 61 after one, two and three nights.
"""

from datetime import date, timedelta

import pytest

from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.ledger.read_ledger import load_ledger
from ctr_retrain.tasks.operate.registry import current_champion
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.counts import SOAK
from tests.support.flow_answers import daily
from tests.support.small_world import STRICT, write_recipe

pytestmark = pytest.mark.skipif(not SOAK, reason="four whole days take minutes: make soak")

FIRST_DAY = date(2026, 3, 2)
NIGHTS = [FIRST_DAY + timedelta(days=days) for days in range(3, 7)]
CATEGORY = '[[features]]\nname = "category"\nkind = "categorical"\n'


@pytest.fixture(scope="module")
def trial(great_expectations, tmp_path_factory):
    """The root, the champion's night and those of the trial, as `daily` answered them."""
    folder = tmp_path_factory.mktemp("won")
    simulate(World(seed=3, rows_per_day=8_000, ad_ctr=0.06, push_ctr=0.05), FIRST_DAY, 7, folder)
    changed = write_recipe(folder, **STRICT)
    known = folder / "known.toml"
    known.write_text(changed.read_text(encoding="utf-8").replace(CATEGORY, ""), encoding="utf-8")
    places = (str(folder / "root"), str(folder / "landing"))
    first, *nights = (daily(night, changed if at else known, *places) for at, night in enumerate(NIGHTS))
    return LocalStore(folder / "root"), first, nights


def test_a_changed_recipe_that_is_worth_it_takes_over_within_a_few_nights_and_not_before_it_is_known(trial):
    store, first, nights = trial
    assert [night["verdict"]["decision"] for night in (first, *nights)] == ["promote", "hold", "hold", "promote"]
    *before, last = (night["evidence"] for night in nights)
    assert all(one["question"] == "change" and one["e_value"] < one["e_value_needed"] for one in before)
    assert last["e_value"] >= last["e_value_needed"]
    assert current_champion(store) == nights[-1]["run_id"] == nights[-1]["champion"]


def test_while_it_was_on_trial_the_champions_own_recipe_was_refreshed_and_met(trial):
    store, first, nights = trial
    assert [night.get("champion_refresh", {}).get("decision") for night in nights] == [None, "hold", "hold"]
    questions = [night.question for night in load_ledger(store).nights]
    assert sorted(questions) == ["change", "change", "change", "first", "refresh", "refresh"]
    assert {night["evidence"]["champion"] for night in nights} == {first["run_id"]}


def test_the_last_night_says_by_how_many_nights_it_took_over(trial):
    *_, nights = trial
    assert [night["evidence"]["nights"] for night in nights] == [1, 2, 3]
    assert nights[-1]["verdict"]["reason"].startswith("Promoted: every check passed. The new model earns ")
