"""Once a week a run trains a twin with another seed, on a night without a yardstick, and later nights know it."""

import shutil
from datetime import date
from types import SimpleNamespace

import pytest

from ctr_retrain.tasks.store.layout import SEED_TWINS_FILE
from tests.support.command_line import at
from tests.support.flow_answers import daily
from tests.support.html_page import Page
from tests.support.small_world import LAST_DAY, NEXT_DAY, write_recipe


@pytest.fixture(scope="module")
def twin_recipe(tmp_path_factory):
    """The small recipe with a twin each week; its digest doesn't count that."""
    return write_recipe(tmp_path_factory.mktemp("recipe"), seed_twin_every=7)


@pytest.fixture(scope="module")
def second_run(first_run, small_landing, twin_recipe, tmp_path_factory):
    """The night after the first, which had the yardstick."""
    root = shutil.copytree(first_run.root, tmp_path_factory.mktemp("twin") / "root")
    return SimpleNamespace(root=root, document=daily(NEXT_DAY, twin_recipe, str(root), str(small_landing)))


def folder_of(run):
    return run.root / "runs" / run.document["run_id"]


def test_the_night_of_the_yardstick_has_no_twin(first_run):
    assert "yardstick" in first_run.document
    assert "seed_noise" not in first_run.document


def test_the_next_one_says_how_much_another_seed_changes(second_run):
    noise = second_run.document["seed_noise"]
    twin = noise["twin"]
    assert twin["date"] == str(NEXT_DAY)
    assert twin["rows"] == second_run.document["metrics"]["challenger"]["rows"]
    assert 0 < twin["changed_share"] < 0.5
    assert twin["log_loss_difference"]["low"] < 0 < twin["log_loss_difference"]["high"]
    assert abs(twin["log_loss_difference"]["value"]) < 0.005  # the very rows, start and calibration: only the seed
    assert 0 < noise["changed_share"] < 1
    assert noise["words"].startswith(f"{100 * noise['changed_share']:.1f} % of decisions changed against the champion;")
    assert f"another seed alone changes {100 * twin['changed_share']:.1f} %" in noise["words"]


def test_a_twin_of_the_same_seed_decides_as_the_served_model_on_every_row(
    first_run, small_landing, twin_recipe, tmp_path, monkeypatch
):
    monkeypatch.setattr("ctr_retrain.tasks.evaluate.twin_predictions.ANOTHER", 0)
    root = shutil.copytree(first_run.root, tmp_path / "root")
    twin = daily(NEXT_DAY, twin_recipe, str(root), str(small_landing))["seed_noise"]["twin"]
    assert twin["changed_share"] == 0
    assert twin["log_loss_difference"]["value"] == pytest.approx(0, abs=1e-7)


def test_report_and_explain_tell_it(second_run, small_landing, twin_recipe):
    words = second_run.document["seed_noise"]["words"]
    page = Page((folder_of(second_run) / "report.html").read_text(encoding="utf-8"))
    assert page.count("p", "id", "seed-noise") == 1
    assert words in page.text
    there = at(second_run.root, small_landing, twin_recipe)
    assert there("explain", second_run.document["run_id"], "--json").document["seed_noise"]["words"] == words
    assert words[:60] in " ".join(there("explain", second_run.document["run_id"]).stdout.split())


def test_no_model_of_the_twin_stays_in_the_run(second_run):
    names = {path.name for path in folder_of(second_run).iterdir()}
    assert SEED_TWINS_FILE in names
    assert not names & {"rows", "cold_twin", "seed_twin"}


def test_the_night_after_trains_none_and_a_changed_recipe_is_judged_with_its_noise(second_run, small_landing, tmp_path):
    root = shutil.copytree(second_run.root, tmp_path / "root")
    recipe = write_recipe(tmp_path, half_life_days=2, seed_twin_every=7)
    document = daily(LAST_DAY, recipe, str(root), str(small_landing))
    (cost,) = [check for check in document["verdict"]["checks"] if check["name"] == "cost_delta_per_1000"]
    assert "The interval allows for another seed, which by 1 twin moves it by ±" in cost["words"]
    assert date.fromisoformat(document["seed_noise"]["twin"]["date"]) == LAST_DAY  # the new recipe's own, afterwards
