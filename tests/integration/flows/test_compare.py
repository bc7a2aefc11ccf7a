"""`compare` on a simulated world whose tastes change in the middle of the window: a real run of the command line."""

import re
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from ctr_retrain.models.simulation.scenarios import RegimeChange
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.browser import in_browser
from tests.support.command_line import at
from tests.support.small_world import write_recipe

FIRST_DAY, DAYS, WINDOW_DAYS = date(2026, 3, 2), 10, 6
RUN_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
CHANGE = FIRST_DAY + timedelta(days=5)  # T is from the third day to the eighth
ASKED = ("--date", RUN_DAY, "--criterion", "log_loss", "--seeds", 2, "--ages", 2)
ASKED_FAMILIES = ("--strategies", "recency,class_weights,own")


@pytest.fixture(scope="module")
def world(great_expectations, tmp_path_factory):
    """A root beside a landing zone, and the command line over them."""
    folder = tmp_path_factory.mktemp("compare")
    incidents = (RegimeChange(CHANGE),)
    simulate(
        World(seed=3, rows_per_day=14_000, incidents=incidents, ad_ctr=0.12, push_ctr=0.1), FIRST_DAY, DAYS, folder
    )
    recipe = write_recipe(folder, window_days=WINDOW_DAYS, half_life_days=1, batch_rows=512)
    there = at(folder / "root", folder / "landing", recipe)
    return SimpleNamespace(there=there, root=folder / "root", recipe=recipe)


@pytest.fixture(scope="module")
def compared(world):
    return world.there("compare", *ASKED, *ASKED_FAMILIES, "--json")


def strategy(document, name):
    return next(entry for entry in document["strategies"] if entry["name"] == name)


def test_compare_answers_one_document_with_each_strategys_figures_and_differences(compared):
    assert compared.status == 0, compared.stderr
    document = compared.document
    assert [entry["name"] for entry in document["strategies"]] == ["unweighted", "recency", "class_weights", "own"]
    plain, recency = strategy(document, "unweighted"), strategy(document, "recency")
    assert plain["delta"] is None
    assert recency["changes"] == {"weights.class_weight": "none"}
    assert set(recency["delta"]) == {"cost_per_1000", "log_loss"}
    assert set(recency["delta"]["log_loss"]) == {"value", "low", "high", "p", "p_holm"}
    for name in ("cost_per_1000", "log_loss"):
        difference = recency["metrics"][name] - plain["metrics"][name]
        assert recency["delta"][name]["value"] == pytest.approx(difference)
    assert all(entry["seconds"] > 0 and entry["failure"] is None for entry in document["strategies"])
    (day,) = document["days"]
    assert (day["date"], len(day["train"]), day["validate"]) == ("2026-03-11", WINDOW_DAYS, ["2026-03-10"])
    assert 0.9 < plain["metrics"]["positives"] / day["positives"] <= 1


def test_after_a_change_of_tastes_recency_is_worth_more_than_chance_and_inverted_class_weights_add_little(compared):
    """Recency's interval is clear of zero. Class weights move the log loss by less than a quarter of what it does."""
    recency, classes = (strategy(compared.document, name)["delta"]["log_loss"] for name in ("recency", "class_weights"))
    assert recency["high"] < 0
    assert recency["p_holm"] < 0.05
    assert abs(classes["value"]) < abs(recency["value"]) / 4
    assert 0.85 < strategy(compared.document, "class_weights")["metrics"]["calibration_ratio"] < 1.15


def test_the_simplest_that_the_evidence_supports_is_recommended(compared):
    recommended = compared.document["recommendation"]
    assert recommended["strategy"] == "recency"
    assert 'weights.class_weight = "none"' in recommended["words"]


def test_the_recommended_network_is_measured_against_simple_models_in_pairs(compared):
    recency = strategy(compared.document, "recency")["metrics"]
    yardsticks = compared.document["yardsticks"]
    assert [simple["name"] for simple in yardsticks] == ["logistic_regression", "gradient_boosting"]
    for simple in yardsticks:
        assert (simple["network"], simple["failure"]) == ("recency", None)
        assert simple["metrics"]["rows"] == recency["rows"]
        assert 0.6 < simple["metrics"]["calibration_ratio"] < 1.4
        for name, delta in simple["delta"].items():
            assert delta["value"] == pytest.approx(recency[name] - simple["metrics"][name])
        assert simple["worth_it"] == (simple["delta"]["log_loss"]["high"] < 0)


def test_where_no_network_is_surely_better_than_a_simple_model_the_simplest_is_recommended(compared):
    recommended = compared.document["recommendation"]
    enough = [simple for simple in compared.document["yardsticks"] if not simple["worth_it"]]
    assert recommended["name"] == (enough[0]["name"] if enough else recommended["strategy"])
    assert not enough or enough[0]["words"] in recommended["words"]


def test_older_data_costs_more_the_more_of_the_new_days_it_misses(compared):
    youngest, older = compared.document["freshness_curve"]
    assert (youngest["age_days"], older["age_days"]) == (0, 2)
    assert youngest["low"] == youngest["log_loss"] == strategy(compared.document, "own")["metrics"]["log_loss"]
    assert older["low"] <= older["log_loss"] <= older["high"]
    assert older["low"] > youngest["log_loss"]


def test_the_same_comparison_is_found_again_and_nothing_is_trained(world, compared, monkeypatch):
    monkeypatch.setattr("ctr_retrain.flows.compare.models_on", None)  # calling it would fail
    again = world.there("compare", *ASKED, *ASKED_FAMILIES, "--json")
    assert again.status == 0, again.stderr
    assert again.document == {**compared.document, "recorded": True}
    assert compared.document["recorded"] is False


def test_a_comparison_touches_neither_champion_nor_runs(world, compared):
    store = LocalStore(world.root)
    assert store.list_refs("runs") == []
    assert store.read_ref("champion") is None
    assert store.list_objects("runs") == []
    assert store.list_objects("comparisons") == [f"comparisons/{compared.document['comparison_id']}"]
    assert sorted(path.name for path in (world.root / store.list_objects("comparisons")[0]).iterdir()) == [
        *("comparison.json", "manifest.json", "report.html")
    ]


def test_a_person_gets_tables_and_the_recommendation(world, compared):
    answer = world.there("compare", *ASKED, *ASKED_FAMILIES)
    assert answer.status == 0, answer.stderr
    assert "(recorded before)" in answer.stdout
    assert re.search(r"recency +-\d+\.\d\d ± \d", answer.stdout)
    assert "data 2 day(s) older: log loss +0.0" in answer.stdout
    assert "recency (half-life 1 days) is better than unweighted" in answer.stdout
    assert answer.stdout.count("beside simple models: The network (recency)") == 2


def test_the_page_shows_it_all_in_a_browser_without_a_network(compared, tmp_path):
    page = in_browser(Path(compared.document["report"]), tmp_path)
    assert page.console == []
    assert page.references() == []
    assert compared.document["recommendation"]["words"] in page.text
    assert page.count("figure", "class", "forest") == 2
    assert page.count("figure", "id", "freshness") == 1
    assert page.count("tr", "class", "recommended") == 1
    assert sum(tag == "svg" for tag, _ in page.tags) == 3
    assert all(entry["words"] in page.text for entry in compared.document["strategies"])


def test_several_days_are_pooled_and_shown_each_a_grid_is_tried_and_windows_too_short_are_left_out(world):
    answer = world.there(
        *("compare", "--date", RUN_DAY, "--days", 2, "--seeds", 1, "--ages", 7, "--json"),
        *("--strategies", "recency", "--half-lives", "0.5"),
    )
    assert answer.status == 0, answer.stderr
    assert [day["validate"] for day in answer.document["days"]] == [["2026-03-09"], ["2026-03-10"]]
    assert [entry["name"] for entry in answer.document["strategies"]] == ["unweighted", "recency_0.5d"]
    shortest = strategy(answer.document, "recency_0.5d")
    rows = {day["date"]: day["rows"] for day in answer.document["days"]}
    pooled = sum(rows[day] * value for day, value in shortest["delta_by_day"]["log_loss"].items()) / sum(rows.values())
    assert shortest["delta"]["log_loss"]["value"] == pytest.approx(pooled)
    assert answer.document["freshness_curve"] == []
    assert "days fewer than the youngest has" in answer.document["left_out"]["age 7"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--strategies", "recency,smote"), 2, "expected some of unweighted, .*received 'smote'"),
        (("--half-lives", "3,x"), 2, "--half-lives: expected numbers separated by commas, received '3,x'"),
        (("--half-lives", "-3"), 2, "--half-lives: expected days above 0, received -3"),
        (("--class-powers", "2"), 2, "--class-powers: expected 0 to 1, received 2"),
        (("--ages", "1.5"), 2, "--ages: expected whole days from 0 to 400, received '1.5'"),
        (("--days", "0"), 2, "days"),
        (("--criterion", "auc"), 2, "criterion"),
        (("--date", "yesterday"), 2, "--date: expected a day such as"),
        (("--date", "2027-01-01"), 3, "expected at least one accepted day to train on"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_right_status(world, arguments, status, words):
    answer = world.there("compare", "--date", RUN_DAY, *arguments, "--json")
    assert answer.status == status, answer.stderr
    assert re.search(words, answer.document["error"]["message"]), answer.document["error"]["message"]
    assert "Traceback" not in answer.stderr
