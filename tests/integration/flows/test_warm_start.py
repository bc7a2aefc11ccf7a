"""Rules of runs that start from the champion: which rows they train on, what they say, and what stands beside them."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from ctr_retrain.flows.commands.print_runs import print_run
from ctr_retrain.models.documents.run_documents import DailyAnswer
from ctr_retrain.models.judging.cold_twin import compare_with_twin
from ctr_retrain.models.judging.judged_rows import JudgedRows
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.training.saved_network import load_trainable
from ctr_retrain.tasks.deploy.publish_model import deploy_challenger
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.plan.choose_start import open_source_model
from ctr_retrain.tasks.plan.plan_run import plan_run
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.train.row_roles import CALIBRATE, TRAIN, TRAINED, labels_of
from tests.support.flow_answers import daily
from tests.support.small_world import NEXT_DAY, RECIPE, RUN_DAY, copy_days
from tests.support.stored import rewrite

WARM = RECIPE + "\n[warm_start]\nenabled = true\ncold_every = 1\nexpire_days = 3\n"


@pytest.fixture(scope="module")
def two_days(first_run, small_landing, tmp_path_factory):
    """A first run, that has no champion to start from, and the next day's, which starts from it."""
    folder = tmp_path_factory.mktemp("warm")
    recipe = folder / "warm.toml"
    recipe.write_text(WARM, encoding="utf-8")
    root = copy_days(first_run, folder / "root")
    first = daily(RUN_DAY, recipe, str(root), str(small_landing))
    deploy_challenger(LocalStore(root), first["run_id"], "override", "whatever luck it had", datetime.now(UTC))
    second = daily(NEXT_DAY, recipe, str(root), str(small_landing))
    return SimpleNamespace(first=first, second=second, root=root, recipe=recipe, landing=small_landing)


def run_folder(two_days, document):
    return two_days.root / "runs" / document["run_id"]


def plan_of(two_days, day=NEXT_DAY, text=WARM):
    path = two_days.root.parent / "changed.toml"
    path.write_text(text, encoding="utf-8")
    recipe = load_recipe(path)
    return recipe, plan_run(LocalStore(two_days.root), recipe, day, {}, FanOut("threads", 1))


def test_the_first_run_starts_from_nothing_and_says_so(two_days):
    start = two_days.first["training"]["start"]
    assert start["words"] == "Cold start on all days of the window: there is no champion to start from yet."
    assert start["carried"] is start["cold_twin"] is None
    assert two_days.first["days"]["train"] == ["2026-03-03", "2026-03-04", "2026-03-05"]


def test_the_next_run_trains_only_on_the_day_after_the_champions(two_days):
    second = two_days.second
    assert second["days"]["train"] == ["2026-03-06"]
    assert second["days"]["calibrate"] == ["2026-03-05", "2026-03-06"]
    assert second["weights"]["days"].keys() == {"2026-03-06"}
    assert second["training"]["rows"] < 0.4 * two_days.first["training"]["rows"]
    start = second["training"]["start"]
    assert start["words"] == (
        f"Warm start from champion {two_days.first['run_id']}, trained through 2026-03-05: trained on 1 of 3 days of "
        "the window, 2026-03-06 to 2026-03-06."
    )
    assert start["carried"]["fresh_layers"] == []
    assert start["carried"]["slots"] > 0
    assert second["verdict"]["decision"] in ("promote", "hold", "reject")


def test_rows_that_calibrate_a_warm_model_were_trained_on_by_none_before_it(two_days):
    recipe, warm = plan_of(two_days)
    cold = plan_of(two_days, RUN_DAY)[1]
    assert [day.day for day in warm.calibrate] == [warm.start.earlier[-1].day, warm.train[0].day]
    with duck.connect(two_days.root.parent, threads=1) as connection:

        def row_ranges(plan, day):
            run = Run(LocalStore(two_days.root), recipe, plan, folder=two_days.root.parent)
            return connection.sql(labels_of(run, day)).to_arrow_table()["slice"]

        new, earlier = row_ranges(warm, warm.train[0]).to_numpy(), row_ranges(warm, warm.start.earlier[-1]).to_numpy()
        champions = row_ranges(cold, warm.start.earlier[-1]).to_numpy()
    assert set(new) == {TRAIN, CALIBRATE}
    assert set(earlier) == {TRAINED, CALIBRATE}
    assert ((champions == CALIBRATE) == (earlier == CALIBRATE)).all()
    assert 0.05 < (earlier == CALIBRATE).mean() < 0.15


def test_means_and_scales_are_the_champions(two_days):
    states = [
        json.loads((run_folder(two_days, d) / "challenger" / "bundle.json").read_text())["numeric_state"]
        for d in (two_days.first, two_days.second)
    ]
    assert states[0] == states[1]


def test_a_cold_twin_on_all_days_stands_beside_it_and_the_report_says_how_the_two_compare(two_days):
    twin = two_days.second["training"]["start"]["cold_twin"]
    assert twin["low"] <= twin["difference"] <= twin["high"]
    assert twin["behind"] == (twin["low"] > 0)
    assert twin["log_loss"] == pytest.approx(two_days.second["metrics"]["challenger"]["log_loss"])
    trained = json.loads((run_folder(two_days, two_days.second) / "cold_twin" / "training.json").read_text())
    assert trained["training"]["rows"] > 2 * two_days.second["training"]["rows"]
    page = (run_folder(two_days, two_days.second) / "report.html").read_text()
    assert "Where training started" in page
    assert "A cold twin, trained from nothing" in page
    assert "Where training started" in (run_folder(two_days, two_days.first) / "report.html").read_text()


def test_explain_says_where_training_started_and_how_the_twin_compares(two_days, capsys):
    print_run(DailyAnswer.from_json(two_days.second))
    shown = " ".join(capsys.readouterr().out.split())
    assert "Warm start from champion" in shown
    assert "A cold twin, trained from nothing" in shown


def test_the_same_warm_run_again_is_found_and_made_anew_has_identical_weights(two_days, tmp_path):
    root = shutil.copytree(two_days.root, tmp_path / "root")
    again = daily(NEXT_DAY, two_days.recipe, str(root), str(two_days.landing))
    assert again["recorded"]
    assert again["verdict"] == two_days.second["verdict"]
    forced = daily(NEXT_DAY, two_days.recipe, str(root), str(two_days.landing), force=True)
    folders = (root / "runs" / forced["run_id"], run_folder(two_days, two_days.second))
    one, other = (load_trainable(folder / "challenger" / "trainable") for folder in folders)
    assert all(
        np.array_equal(a, b) for a, b in zip(one.network + one.optimizer, other.network + other.optimizer, strict=True)
    )


def test_why_a_run_starts_cold_although_it_should_be_warm_is_said(two_days):
    def words(text=WARM):
        plan = plan_of(two_days, text=text)[1]
        assert plan.train == plan.window
        return plan.start.message

    wider = WARM.replace("embedding_dim = 2", "embedding_dim = 3")
    assert "has weights that don't fit: its training.embedding_dim is 2, the recipe's 3" in words(wider)
    folder = run_folder(two_days, two_days.first) / "challenger" / "trainable"
    folder.rename(folder.with_name("hidden"))
    assert "has no trainable state in its run" in words()
    folder.with_name("hidden").rename(folder)
    listed = folder / "variables.json"
    text = listed.read_text()
    listed.write_text(json.dumps({name: files for name, files in json.loads(text).items() if name != "known"}))
    assert "has embedding rows by hashes of values, as older versions of this software had" in words()
    listed.write_text(text)
    assert plan_of(two_days)[1].start.warm


def test_a_champion_of_before_is_read_as_it_was_trained_and_its_numbers_begin_anew_in_pieces(two_days):
    version, run = two_days.first["run_id"], run_folder(two_days, two_days.first)
    text = (run / "challenger" / "bundle.json").read_text()
    before = json.loads(text)
    for key in ("bounds", "knots"):
        del before["numeric_state"][key]
    for feature in before["recipe"]["features"]:
        feature.pop("encoding", None)
    rewrite(run, "challenger/bundle.json", json.dumps(before))
    source_model = open_source_model(LocalStore(two_days.root), version)
    rewrite(run, "challenger/bundle.json", text)
    assert [f.encoding for f in source_model.recipe.features if f.holds == "number"] == ["standardized"]
    assert source_model.state.bounds == source_model.state.knots == ()
    numbers = [feature for feature in plan_of(two_days)[0].features if feature.holds == "number"]
    assert not any(feature.has_rows_of(old) for feature in numbers for old in source_model.recipe.features)


def judged(n=20_000, campaigns=40):
    rng = np.random.default_rng(4)
    probability = rng.uniform(0.02, 0.3, n)
    label = (rng.random(n) < probability).astype(np.uint8)
    codes = rng.integers(0, 256, n), rng.integers(0, campaigns, n), np.zeros(n, np.int64)
    return JudgedRows(label, probability, None, np.full(n, "ad"), *codes, constant_rate={"ad": 0.1})


def test_a_warm_model_that_is_surely_worse_than_its_twin_has_fallen_behind():
    gate = SimpleNamespace(bootstrap_draws=400, confidence=0.95)
    rows = judged()
    assert not compare_with_twin(rows, rows.challenger, gate).behind
    stale = replace(rows, challenger=np.clip(rows.challenger * 2, 0, 1))
    found = compare_with_twin(stale, rows.challenger, gate)
    assert found.behind
    assert "has fallen behind: train once from nothing" in found.message
    assert not compare_with_twin(rows, stale.challenger, gate).behind
    assert "is ahead of the cold one" in compare_with_twin(rows, stale.challenger, gate).message
