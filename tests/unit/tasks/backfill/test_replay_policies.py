"""Rules of policies on past nights, by scripted models: who takes over, what it costs, and what can't be told."""

from datetime import timedelta

import pytest

from ctr_retrain.models.documents.comparison_documents import POLICY_NAMES
from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.models.policies.policy_words import LIMITS
from ctr_retrain.tasks.integrity.manifest import PublishedModel
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions, take_over
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.scripted_policies import FIRST, RECIPE, ScriptedModels, past_night, replay, run_of

NIGHTS, HARMFUL = 8, 3
MATURITY = RECIPE.maturity_days


def by_name(table):
    return {one.name: one for one in table.policies}


def day(number):
    return FIRST + timedelta(days=number)


@pytest.fixture(scope="module")
def harmed(tmp_path_factory):
    """Nine nights, of which two train models that are upside down."""
    store = LocalStore(tmp_path_factory.mktemp("harmed") / "root")
    return replay(
        store, [past_night(number) for number in range(NIGHTS)], ScriptedModels(harmful=[HARMFUL, HARMFUL + 1])
    )


def test_a_harmful_model_is_put_into_service_by_always_promoting_alone(harmed):
    took = {name: run_of(HARMFUL) in [own.version for own in one.champions] for name, one in by_name(harmed).items()}
    assert took == {name: name == "always_promote" for name in POLICY_NAMES}


def test_what_a_harmful_model_costs_stands_with_whoever_took_it(harmed):
    always, gate = by_name(harmed)["always_promote"], by_name(harmed)["gate"]
    assert always.over_gate.low > 0
    assert always.cost_per_1000 - gate.cost_per_1000 == pytest.approx(always.over_gate.value)
    assert (always.worse_days, always.surely_worse_days) == (1, 1)
    assert gate.worse_days == 0
    assert "Surely dearer than the gate: always promote." in harmed.message


def test_event_days_are_compared_from_the_first_that_a_decision_serves_to_the_last_with_final_labels(harmed):
    # The first night's model is everybody's; the second night is the first to decide, from the third day on.
    assert harmed.nights == tuple(day(number) for number in range(1, NIGHTS))
    assert harmed.days == tuple(day(number) for number in range(2, NIGHTS - MATURITY))
    assert harmed.rows == 2500 * len(harmed.days)
    assert all(sum(own.days for own in one.champions) == len(harmed.days) for one in harmed.policies)
    assert by_name(harmed)["always_promote"].promotions == NIGHTS - 1
    assert by_name(harmed)["never_retrain"].promotions == 0
    assert harmed.message.endswith(LIMITS)


def test_models_that_are_alike_cost_the_same_under_every_policy(store):
    table = replay(store, [past_night(number) for number in range(5)], ScriptedModels(error=0.0))
    assert len({one.cost for one in table.policies}) == 1
    assert {(one.worse_days, one.over_gate and one.over_gate.low) for one in table.policies} == {(0, 0.0), (0, None)}
    named = "never retrain, always promote, better AUC, estimate within the margin"
    assert f"Like the gate in every decision: {named}." in table.message


def test_a_night_that_fails_is_left_out_and_the_others_are_told(store):
    nights = [past_night(number) for number in range(6)]
    table = replay(store, nights, ScriptedModels(unscored=[day(3)]), {day(6): "failed"})
    left = {one: why for one, why in table.left_out.items() if one != day(0)}
    assert left == {day(3 + MATURITY): "expected a disk, received none", day(6): "failed"}
    assert table.days == (day(2), day(4))
    assert day(3 + MATURITY) not in table.nights


def test_without_a_champion_the_first_model_that_passed_serves_under_every_policy(store):
    nights = [past_night(number, "promote" if number else "hold") for number in range(6)]
    table = replay(store, nights, ScriptedModels())
    assert list(table.left_out) == [day(0), day(1)]
    assert by_name(table)["never_retrain"].champions[0].version == run_of(1)


def test_the_gate_begins_with_what_served_and_rolls_back_what_it_finds_harmful(store):
    """The champion is upside down, and so is every model that the nights train: none may follow it, and it goes."""
    serve(store, 0, "first")
    serve(store, 1, "refresh")
    nights, before = [past_night(number) for number in range(2, 7)], store.read_ref(layout.CHAMPION_REF)
    table = replay(store, nights, ScriptedModels(harmful=range(1, 7)))
    gate = by_name(table)["gate"]
    assert [own.version for own in by_name(table)["never_retrain"].champions] == [run_of(1)]
    assert gate.champions[-1].version == run_of(0)
    assert gate.promotions == 0
    assert table.left_out == {}
    assert by_name(table)["never_retrain"].over_gate.value > 0
    assert store.read_ref(layout.CHAMPION_REF) == before


def test_what_came_into_service_later_is_not_known_then(store):
    serve(store, 0, "first")
    serve(store, 6, "refresh")
    table = replay(store, [past_night(number) for number in range(1, 5)], ScriptedModels())
    assert {one.champions[0].version for one in table.policies if one.name == "never_retrain"} == {run_of(0)}


@pytest.mark.parametrize("count", [0, 1, 2 + MATURITY])
def test_too_few_nights_are_said_in_words(store, count):
    table = replay(store, [past_night(number) for number in range(count)], ScriptedModels())
    assert table.policies == ()
    assert table.message.startswith("No policies are compared: expected at least 2 event days with final labels")


def serve(store, number, question):
    """Put a night's model into service, as its run did."""
    plan = past_night(number).plan
    model = PublishedModel(data_through=plan.data_through, recipe_digest="d1", training_digest="t1")
    with store.writing(layout.model_object(run_of(number)), model.to_json()):
        pass
    met = read_champions(store).current
    tenure = Tenure(
        version=run_of(number),
        run_day=plan.day,
        data_through=plan.data_through,
        action="promote",
        reason="",
        at="",
        question=question,
    )
    assert take_over(store, tenure, met and met.version) is None
