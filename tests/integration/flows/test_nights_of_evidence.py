"""Rules of the gate's evidence over several nights of whole runs: entered once, added up, told, and kept."""

import shutil

import pytest

from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.ledger.read_ledger import load_ledger
from ctr_retrain.tasks.operate.collect_garbage import collect_garbage
from ctr_retrain.tasks.report.recorded_run import load_document
from ctr_retrain.tasks.store.layout import run_object
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.flow_answers import daily
from tests.support.small_world import LAST_DAY, NEXT_DAY, RUN_DAY, write_recipe


@pytest.fixture(scope="module")
def nights(first_run, small_landing, recipe_file, tmp_path_factory):
    """A root after its first day, a refresh, and a run of a changed recipe; and that recipe's file."""
    folder = tmp_path_factory.mktemp("ledger")
    root = shutil.copytree(first_run.root, folder / "root")
    changed = write_recipe(folder, embedding_learning_rate=0.1)
    second = daily(NEXT_DAY, recipe_file, str(root), str(small_landing))
    third = daily(LAST_DAY, changed, str(root), str(small_landing))
    return root, changed, (first_run.document, second, third)


def test_each_night_is_entered_with_its_question(nights):
    ledger = load_ledger(LocalStore(nights[0]))
    assert [(night.day, night.question) for night in ledger.nights] == [
        (RUN_DAY, "first"),
        (NEXT_DAY, "refresh"),
        (LAST_DAY, "change"),
    ]
    assert [(change.opened, change.number, change.share) for change in ledger.changes] == [(LAST_DAY, 1, 0.5)]


def test_a_changed_recipe_says_what_evidence_it_has_and_needs(nights):
    evidence = nights[2][2]["evidence"]
    assert evidence["question"] == "change"
    assert evidence["e_value_needed"] == pytest.approx(40)
    assert evidence["nights"] == 1
    assert len(evidence["nights_needed"]) == 3


def test_what_the_champion_is_measured_by_is_scored_beside_it(nights):
    first, second, third = nights[2]
    if second["verdict"]["decision"] != "promote":
        pytest.fail(f"expected a promotion, received {second['verdict']}")
    evidence = third["evidence"]
    assert evidence["champion"] == second["run_id"]
    assert evidence["earlier"] == {"anchor": first["run_id"], "predecessor": first["run_id"]}
    for part in evidence["champion_over"].values():
        assert part["low"] < part["value"] < part["high"]


def test_the_verdict_of_the_contract_has_no_more_keys(nights):
    for document in nights[2]:
        assert set(document["verdict"]) == {"decision", "bootstrap", "checks", "reason"}


def test_the_same_day_again_adds_nothing_and_the_ledger_survives_garbage_collection(nights, small_landing):
    root, changed, _ = nights
    store = LocalStore(root)
    before = load_ledger(store)
    assert daily(LAST_DAY, changed, str(root), str(small_landing))["recorded"]
    collect_garbage(store, load_recipe(changed))
    assert load_ledger(store) == before
    assert [store.manifest(f"ledger/{night.run_id}") is not None for night in before.nights] == [True] * 3


def test_a_run_that_died_before_the_ledger_is_entered_by_the_next(nights, small_landing, tmp_path):
    root = shutil.copytree(nights[0], tmp_path / "root")
    shutil.rmtree(root / "ledger" / nights[2][2]["run_id"])
    store = LocalStore(root)
    ref = store.read_ref("ledger/nights")
    without = [night for night in ref.value["nights"] if night["run_id"] != nights[2][2]["run_id"]]
    store.swap_ref("ledger/nights", {**ref.value, "nights": without}, ref)
    daily(LAST_DAY, nights[1], str(root), str(small_landing))
    assert len(load_ledger(store).nights) == 3


@pytest.fixture(scope="module")
def trial(first_run, small_landing, tmp_path_factory):
    """A root in which a changed recipe is on trial for its second night, that recipe's file, and the night's answer."""
    folder = tmp_path_factory.mktemp("trial")
    root = shutil.copytree(first_run.root, folder / "root")
    changed = write_recipe(folder, embedding_learning_rate=0.1)
    first = daily(NEXT_DAY, changed, str(root), str(small_landing))
    assert "champion_refresh" not in first  # which may be the only one
    return root, changed, daily(LAST_DAY, changed, str(root), str(small_landing))


def test_while_a_changed_recipe_is_on_trial_the_champions_own_refreshes_it(trial, first_run):
    root, _, answer = trial
    store = LocalStore(root)
    *_, refresh, change = sorted(load_ledger(store).nights, key=lambda night: (night.day, night.question == "change"))
    assert (refresh.day, refresh.question, refresh.challenger) == (LAST_DAY, "refresh", refresh.champion)
    assert (change.day, change.question, change.run_id) == (LAST_DAY, "change", answer["run_id"])
    assert change.champion == refresh.challenger
    decision = load_document(store, run_object(refresh.run_id)).verdict.decision
    told = answer["champion_refresh"]
    assert (told["run_id"], told["decision"]) == (refresh.run_id, decision)
    assert told["words"].endswith(f"own goes on refreshing it: run {refresh.run_id}, {decision}.")
    # Which the changed one then has to beat.
    served = refresh.run_id if decision == "promote" else first_run.document["run_id"]
    assert (change.champion_version, answer["champion"]) == (served, served)


def test_a_night_of_a_trial_that_is_asked_for_again_is_found_and_the_changed_recipes_run_is_the_days(
    trial, small_landing
):
    root, changed, answer = trial
    store = LocalStore(root)
    before = [store.read_ref(name).value for name in (f"runs/{LAST_DAY}", "champion", "ledger/nights")]
    again = daily(LAST_DAY, changed, str(root), str(small_landing))
    assert (again["recorded"], again["champion_refresh"]) == (True, answer["champion_refresh"])
    assert [store.read_ref(name).value for name in (f"runs/{LAST_DAY}", "champion", "ledger/nights")] == before
    assert before[0]["current"] == answer["run_id"]
    assert len(before[0]["history"]) == 2


def test_the_report_shows_the_evidence(nights):
    page = next((nights[0] / "runs" / nights[2][2]["run_id"]).glob("report.html")).read_text(encoding="utf-8")
    assert "Evidence on the cost" in page
    assert "needs evidence of 40 to take over" in page
