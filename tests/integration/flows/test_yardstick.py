"""A run measures its network against simple models once a week, and never depends on it: real runs of a small world."""

import json
from pathlib import Path

import pytest

from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.command_line import at
from tests.support.flow_answers import daily
from tests.support.html_page import Page
from tests.support.small_world import NEXT_DAY, write_recipe

NAMES = ["logistic_regression", "gradient_boosting"]


def page_of(root, document):
    return Page((Path(root) / "runs" / document["run_id"] / "report.html").read_text(encoding="utf-8"))


def test_the_first_run_says_what_its_network_is_worth_over_simple_models(first_run):
    yardstick = first_run.document["yardstick"]
    assert [model["name"] for model in yardstick["models"]] == NAMES
    assert 0 < yardstick["rows_used"] < yardstick["rows"]  # the window's first day only gives history
    network = first_run.document["metrics"]["challenger"]
    for model in yardstick["models"]:
        figures, worth, apart = (model[key] for key in ("metrics", "worth_per_1000", "log_loss_difference"))
        assert figures["rows"] == network["rows"]
        assert worth["value"] == pytest.approx(figures["cost_per_1000"] - network["cost_per_1000"])
        assert apart["value"] == pytest.approx(network["log_loss"] - figures["log_loss"])
        assert worth["low"] <= worth["value"] <= worth["high"]
        assert 0.7 < figures["calibration_ratio"] < 1.4
        assert figures["auc"] > 0.6  # the world's own is far from 0.5
        assert model["worth_it"] == (worth["low"] > 0)
    assert yardstick["worth_it"] == all(model["worth_it"] for model in yardstick["models"])


def test_the_verdict_does_not_depend_on_it(first_run):
    assert all("yardstick" not in check["name"] for check in first_run.document["verdict"]["checks"])
    assert first_run.document["verdict"]["decision"] == "promote"


def test_report_explain_and_status_tell_it(first_run, small_landing, recipe_file):
    yardstick, there = first_run.document["yardstick"], at(first_run.root, small_landing, recipe_file)
    page = page_of(first_run.root, first_run.document)
    assert page.count("table", "id", "yardstick") == 1
    assert page.count("p", "id", "worthless") == (not yardstick["worth_it"])
    explained = there("explain", first_run.document["run_id"], "--json").document
    assert explained["yardstick"] == yardstick
    shown = " ".join(there("explain", first_run.document["run_id"]).stdout.split())
    assert yardstick["models"][0]["words"][:60] in shown
    status = there("status", "--json").document["yardstick"]
    assert status == {
        "date": first_run.document["date"], "worth_it": yardstick["worth_it"], "words": yardstick["words"]
    }  # fmt: skip
    assert "beside simple models" in there("status").stdout


@pytest.fixture
def worthless(root):
    """A root whose first run found its network not worth more than a linear model."""
    (path,) = Path(root).glob("runs/*/run.json")
    run = json.loads(path.read_text(encoding="utf-8"))
    run["yardstick"] |= {"worth_it": False, "words": "The network is worse than a linear model, by 2.00 per 1,000."}
    path.write_text(json.dumps(run), encoding="utf-8")
    (Path(root) / layout.HISTORY_FILE).unlink()  # which knows the run as it was; no run of ours ever changes
    return root


def test_where_the_network_is_worth_nothing_explain_says_so_before_its_checks(worthless, small_landing, recipe_file):
    there = at(worthless, small_landing, recipe_file)
    (run,) = LocalStore(worthless).list_objects("runs")
    shown = there("explain", run.removeprefix("runs/")).stdout
    assert shown.index("The network is worse than a linear model") < shown.index("in words")
    assert "The network is worse than a linear model" in there("status").stdout


def test_within_a_week_of_it_no_run_has_another(root, small_landing, recipe_file):
    document = daily(NEXT_DAY, recipe_file, str(root), str(small_landing))
    assert "yardstick" not in document
    status = at(root, small_landing, recipe_file)("status", "--json").document
    assert status["yardstick"]["date"] < status["runs"][0]["date"]


def test_where_it_fails_the_night_goes_on_and_the_document_has_a_warning(
    root, small_landing, tmp_path, monkeypatch, recipe_file
):
    def fail(*_):
        msg = "no memory"
        raise MemoryError(msg)

    monkeypatch.setattr("ctr_retrain.tasks.evaluate.simple_predictions.training_table", fail)
    recipe = write_recipe(tmp_path)
    text = recipe.read_text(encoding="utf-8").replace("[training]\n", "[training]\nyardstick_every = 1\n")
    recipe.write_text(text, encoding="utf-8")
    document = daily(NEXT_DAY, recipe, str(root), str(small_landing))
    assert document["verdict"]["checks"]
    assert "yardstick" not in document
    (warning,) = [one for one in document["warnings"] if one["name"] == "yardstick"]
    assert "MemoryError: no memory" in warning["words"]
    assert warning["words"] in page_of(root, document).text
