import gzip
import json
import shutil
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.operate.registry import current_champion
from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.validate.ingest_and_validate import catch_up
from ctr_retrain.tasks.validate.validate_day import accept_day, load_validated_day
from tests.support.flow_answers import daily
from tests.support.small_world import FIRST_DAY, LAST_DAY, NEXT_DAY, RUN_DAY, write_recipe

METRICS = {
    "rows",
    "positives",
    "auc",
    "pr_auc",
    "log_loss",
    "normalized_entropy",
    "calibration_ratio",
    "cost_per_1000",
    "threshold",
    "by_channel",
}


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def runs_under(root):
    return LocalStore(root).list_objects("runs")


def test_the_first_run_bootstraps_a_champion(first_run):
    verdict = first_run.document["verdict"]
    assert (verdict["decision"], verdict["bootstrap"]) == ("promote", True)
    assert first_run.document["champion"] == first_run.document["run_id"]
    assert first_run.document["metrics"]["champion"] is None


def test_the_document_has_every_key_of_the_contract(first_run):
    document = first_run.document
    assert document["date"] == "2026-03-07"
    assert document["days"] == {
        "train": ["2026-03-03", "2026-03-04", "2026-03-05"],
        "calibrate": ["2026-03-04", "2026-03-05"],
        "validate": ["2026-03-06"],
    }
    for stream in ("impressions", "outcomes"):
        counts = document["ingest"][stream]
        assert counts["received"] == counts["kept"] + counts["duplicates"] + counts["quarantined"] > 0
    assert document["validation"]["passed"] is True
    assert document["validation"]["failed"] == document["alerts"] == []
    assert document["weights"].keys() >= {"rows", "effective_sample_size", "class_weight", "days"}
    assert document["training"].keys() >= {"rows", "rows_per_second", "device"}
    unseen = {one["name"]: one for one in document["training"]["unseen"]}
    assert unseen.keys() == {"segment", "category", "position"}
    assert all(0 <= share <= 0.1 for one in unseen.values() for share in (one["calibration"], one["validation"]))
    assert document["metrics"]["challenger"].keys() >= METRICS
    assert document["metrics"]["challenger"]["by_channel"].keys() == {"ad", "push"}
    for check in document["verdict"]["checks"]:
        assert check.keys() == {"name", "value", "bound", "passed", "words"}
        if (tested := document["tested"].get(check["name"])) is not None:
            assert check["passed"] == (tested <= check["bound"])
    assert "cost_delta_per_1000" in document["tested"]
    json.dumps(document)


def test_the_run_keeps_what_it_was_made_of(first_run):
    manifest = json.loads(
        (first_run.root / "runs" / first_run.document["run_id"] / "manifest.json").read_text(encoding="utf-8")
    )
    assert (manifest["train_through"], manifest["labels_as_of"]) == ("2026-03-05", "2026-03-07")
    assert manifest["data_through"] == "2026-03-05"
    assert len(manifest["labels"]) == 4
    assert {file["path"] for file in manifest["files"]} >= {
        "run.json",
        "verdict.json",
        "evaluation.json",
        "report.html",
        "challenger/bundle.json",
        "challenger/serving/saved_model.pb",
    }


def test_a_second_run_for_the_same_day_returns_the_recorded_verdict_and_trains_nothing(
    root, small_landing, recipe_file, monkeypatch
):
    monkeypatch.setattr("ctr_retrain.flows.daily.train_challenger", None)  # calling it would fail
    document = daily(RUN_DAY, recipe_file, str(root), str(small_landing))
    assert document["recorded"] is True
    assert len(runs_under(root)) == 1
    assert document["champion"] == document["run_id"]


def test_force_makes_a_run_of_its_own_against_what_is_in_service(root, small_landing, recipe_file, first_run):
    document = daily(RUN_DAY, recipe_file, str(root), str(small_landing), force=True)
    assert document["recorded"] is False
    assert len(runs_under(root)) == 2
    assert document["verdict"]["bootstrap"] is False
    met = {run["run_id"]: run["champion"] for run in map(read_json, (root / "runs").glob("*/run.json"))}
    assert met == {first_run.document["run_id"]: None, document["run_id"]: first_run.document["run_id"]}
    again = daily(RUN_DAY, recipe_file, str(root), str(small_landing))
    assert again["recorded"] is True  # of the newest run from these inputs, whomever it met
    assert document["metrics"]["challenger"]["rows"] == first_run.document["metrics"]["challenger"]["rows"]


def test_in_the_shadow_nothing_is_put_into_service(root, small_landing, recipe_file):
    shutil.rmtree(root / "models")
    (root / "refs" / "champion.json").unlink()
    document = daily(RUN_DAY, recipe_file, str(root), str(small_landing), shadow=True)
    assert document["verdict"]["decision"] == "promote"
    assert document["champion"] is None
    assert current_champion(LocalStore(root)) is None


def test_a_rejected_day_enters_no_window_until_it_is_accepted_by_hand(great_expectations, small_landing, tmp_path):
    strict = write_recipe(tmp_path, min_rows=4000)  # the gate's floor has the same name, so both days' rows are asked
    root = tmp_path / "root"
    with pytest.raises(DataRejectedError, match=r"ctr-retrain accept --date") as rejected:
        daily(FIRST_DAY, strict, str(root), str(small_landing))
    document = rejected.value.document.to_json()
    assert document["validation"]["passed"] is False
    assert {"name", "expected", "received"} == document["validation"]["failed"][0].keys()
    accept_day(LocalStore(root), FIRST_DAY, "a quiet Monday", "ann", read_time())
    with pytest.raises(DataRejectedError, match="expected at least one accepted day to train on"):
        daily(FIRST_DAY, strict, str(root), str(small_landing))


def test_a_day_without_accepted_days_in_its_window_is_refused_with_reasons(small_landing, recipe_file, tmp_path):
    with pytest.raises(DataRejectedError, match=r"to train on from 2026-02-26 to 2026-02-28") as refused:
        daily(FIRST_DAY, recipe_file, str(tmp_path / "root"), str(small_landing))
    assert "nothing landed on 2026-02-28" in str(refused.value)


def test_too_few_positives_hold_and_train_nothing(root, small_landing, tmp_path):
    greedy = write_recipe(tmp_path, min_positives=100_000)
    document = daily(NEXT_DAY, greedy, str(root), str(small_landing))
    assert document["verdict"]["decision"] == "hold"
    assert document["training"] is None
    assert "Effective positives" in document["verdict"]["reason"]
    assert (root / "runs" / document["run_id"] / "report.html").exists()


def test_a_day_that_no_file_landed_for_changes_nothing(root, small_landing, recipe_file):
    before = read_champions(LocalStore(root)).ref
    with pytest.raises(DataRejectedError, match=r"nothing landed on 2026-04-01: expected files under"):
        daily(LAST_DAY.replace(month=4, day=1), recipe_file, str(root), str(small_landing))
    assert read_champions(LocalStore(root)).ref == before


def test_a_missed_night_is_made_good_by_the_next_run(root, small_landing, tmp_path):
    untrained = write_recipe(tmp_path, min_positives=100_000)
    document = daily(LAST_DAY, untrained, str(root), str(small_landing))  # the day before was never run
    assert document["days"]["validate"] == ["2026-03-08"]
    assert document["excluded"] == {}


def test_scores_of_the_validation_day_agree_with_the_labels_that_were_judged(first_run):
    run = first_run.root / "runs" / first_run.document["run_id"]
    scores = pq.read_table(run / "scores.parquet").to_pandas()
    challenger = first_run.document["metrics"]["challenger"]
    assert len(scores) == challenger["rows"]
    assert scores["label"].sum() == challenger["positives"]
    assert scores["challenger"].sum() / scores["label"].sum() == pytest.approx(challenger["calibration_ratio"])


def test_a_day_that_this_recipe_reads_otherwise_and_whose_files_are_gone_is_left_out(root, small_landing, tmp_path):
    landing = shutil.copytree(small_landing, tmp_path / "landing")
    shutil.rmtree(landing / "impressions" / "dt=2026-03-05")
    recipe = write_recipe(tmp_path, min_positives=1_000_000)
    feature = '[[features]]\nname = "device"\nkind = "categorical"\n[training]'
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("[training]", feature), encoding="utf-8")
    document = daily(NEXT_DAY, recipe, str(root), str(landing))
    assert document["days"]["train"] == ["2026-03-04", "2026-03-06"]
    assert document["excluded"].keys() == {"2026-03-05"}
    assert "nothing landed on 2026-03-05" in document["excluded"]["2026-03-05"]


def test_other_bounds_judge_earlier_days_anew(root, small_landing, recipe_file, tmp_path):
    store, day = LocalStore(root), RUN_DAY - timedelta(days=1)
    lenient, strict = load_recipe(recipe_file), load_recipe(write_recipe(tmp_path, min_rows=100_000))
    for recipe, accepted in ((strict, False), (lenient, True)):
        zone, fan_out = LocalLandingZone(small_landing), FanOut("threads", 2)
        catch_up(store, zone, recipe, RUN_DAY, read_time(), fan_out)
        assert load_validated_day(store, day).accepted is accepted


def test_an_earlier_day_that_was_restated_is_ingested_again_and_the_run_is_made_anew_once(
    root, small_landing, tmp_path
):
    landing = shutil.copytree(small_landing, tmp_path / "landing")
    recipe = write_recipe(tmp_path, min_positives=1_000_000)  # a verdict without training, to keep this short
    arguments = (RUN_DAY, recipe, str(root), str(landing))
    before = daily(*arguments)
    restated = next((landing / "outcomes" / f"dt={RUN_DAY - timedelta(days=1)}").iterdir())
    restated.write_bytes(gzip.compress(b"\n".join(gzip.decompress(restated.read_bytes()).splitlines()[:-5])))
    after = daily(*arguments)
    assert (after["recorded"], after["run_id"] == before["run_id"]) == (False, False)
    again = daily(*arguments)
    assert (again["recorded"], again["run_id"]) == (True, after["run_id"])


def test_a_day_that_was_rejected_for_want_of_a_file_is_accepted_once_it_has_landed(
    great_expectations, small_landing, recipe_file, tmp_path
):
    landing = shutil.copytree(small_landing, tmp_path / "landing")
    store, zone, recipe = LocalStore(tmp_path / "root"), LocalLandingZone(landing), load_recipe(recipe_file)
    day = RUN_DAY - timedelta(days=1)
    late, aside = landing / "outcomes" / f"dt={day}", tmp_path / "late"
    shutil.move(late, aside)
    for accepted in (False, True):
        catch_up(store, zone, recipe, RUN_DAY, read_time(), FanOut("threads", 2))
        assert load_validated_day(store, day).accepted is accepted
        if not accepted:
            shutil.move(aside, late)


def test_a_root_serves_one_recipe_name(root, small_landing, tmp_path):
    other = write_recipe(tmp_path)
    other.write_text(other.read_text(encoding="utf-8").replace('"small"', '"other"'), encoding="utf-8")
    with pytest.raises(UsageError, match="expected recipe name 'small', whose runs it holds, received 'other'"):
        daily(RUN_DAY, other, str(root), str(small_landing))


def test_a_run_that_dies_half_way_leaves_nothing_that_a_reader_could_see(root, small_landing, recipe_file, monkeypatch):
    def crash(*_):
        msg = "power cut"
        raise KeyboardInterrupt(msg)

    monkeypatch.setattr("ctr_retrain.flows.daily.write_report", crash)
    before = runs_under(root), read_champions(LocalStore(root)).ref
    with pytest.raises(KeyboardInterrupt):
        daily(NEXT_DAY, recipe_file, str(root), str(small_landing))
    assert (runs_under(root), read_champions(LocalStore(root)).ref) == before
    assert not list((root / "staging").iterdir())


def read_time():
    return datetime(2026, 3, 10, tzinfo=UTC)
