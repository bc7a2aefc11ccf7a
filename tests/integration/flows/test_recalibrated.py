"""Rules of `ship = "recalibrated"`: a real run whose level moves after the verdict, the next day, failing checks."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.data.completeness import Completeness, Shortfall
from ctr_retrain.models.data.expected_outcomes import Landing
from ctr_retrain.models.documents.verdict_documents import Check, LevelShift, RecalibrationDocument, Verdict
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.deploy.choose_served import describe_served, ship_challenger
from ctr_retrain.tasks.evaluate.score_models import fair_champion, unfairness
from ctr_retrain.tasks.observe.describe_status import describe_status
from ctr_retrain.tasks.operate.collect_garbage import collect_garbage
from ctr_retrain.tasks.operate.registry import list_models
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.champion import read_champions, roll_back
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.flow_answers import daily
from tests.support.reported_run import RECIPE as REPORTED_RECIPE
from tests.support.reported_run import make_plan
from tests.support.small_world import NEXT_DAY, RUN_DAY, copy_days, write_recipe

CUT, VALIDATED = RUN_DAY - timedelta(days=2), RUN_DAY - timedelta(days=1)
NOW = datetime(2026, 3, 10, tzinfo=UTC)
OK = Check(name="recalibration_shift", value=0.1, bound=0.5, passed=True, message="It moved a little.")
FAR = OK.model_copy(update={"value": 0.9, "passed": False, "message": "It moved too far."})
SHIFT = LevelShift(channel="ad", rows=900, positives=90, predicted=80.0, shift=0.1, standard_error=0.05)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = write_recipe(tmp_path_factory.mktemp("recalibrated-recipe"))
    text = path.read_text(encoding="utf-8").replace("[training]", '[training]\nship = "recalibrated"')
    channel = '[[features]]\nname = "channel"\nkind = "categorical"\n'
    text = text.replace("[[features]]", f"{channel}[[features]]", 1).replace("[gate]", "[gate]\nconfidence = 0.8")
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def first(first_run, small_landing, recipe, tmp_path_factory):
    root = copy_days(first_run, tmp_path_factory.mktemp("recalibrated") / "root")
    document = daily(RUN_DAY, recipe, str(root), str(small_landing))
    return SimpleNamespace(document=document, root=root, run=root / "runs" / document["run_id"])


@pytest.fixture(scope="module")
def second(first, recipe, small_landing, tmp_path_factory):
    """The day after, in a root of its own."""
    root = shutil.copytree(first.root, tmp_path_factory.mktemp("second") / "root")
    return SimpleNamespace(document=daily(NEXT_DAY, recipe, str(root), str(small_landing)), root=root)


@pytest.fixture
def landed(first):
    """Validation rows as they landed, with the judged model's probability, in the order of their events."""
    scores = pq.read_table(first.run / "scores.parquet").to_pandas().set_index("event_id")["challenger"]
    files = (first.root / "days" / str(VALIDATED)).glob(f"*/impressions/{VALIDATED}-*.parquet")
    rows = pa.concat_tables([pq.read_table(file) for file in files])
    rows = rows.filter(pa.array([event in scores.index for event in rows["event_id"].to_pylist()]))
    return rows, scores.loc[rows["event_id"].to_pylist()].to_numpy()


def test_a_promoted_model_serves_at_the_level_of_the_validation_labels(first):
    document = first.document
    assert document["verdict"]["decision"] == "promote"
    made = document["recalibration"]
    assert [check["name"] for check in made["checks"]] == ["recalibration_shift", "recalibration_held_out", "serving"]
    assert all(check["passed"] for check in made["checks"])
    assert made["days"] == [str(CUT - timedelta(days=1)), str(CUT), str(VALIDATED)]
    assert [own["channel"] for own in made["shifts"]] == ["ad", "push"]
    rows = pq.read_table(first.run / "scores.parquet")
    assert sum(own["rows"] for own in made["shifts"]) > len(rows)  # the calibration slice counts too
    assert all(own["shift"] and 0 < own["standard_error"] < 0.5 for own in made["shifts"])
    assert document["serves"]["data_through"] == str(VALIDATED)
    words = document["serves"]["words"]
    assert words.startswith(
        "The recalibrated model serves: after the verdict its level was moved by the labels through"
    )
    assert f"ad {100 * np.expm1(made['shifts'][0]['shift']):+.1f} % (± " in words
    assert f"of data through {CUT}, is kept beside it" in words
    assert [warning for warning in document["warnings"] if warning["name"] == "recalibration"] == []


def test_the_bundle_keeps_what_serves_and_what_was_judged_and_says_by_how_much_it_moved(first):
    model = first.root / "models" / first.document["run_id"]
    assert (model / "serving" / "saved_model.pb").exists()
    assert (model / "evaluated" / "serving" / "saved_model.pb").exists()
    for file in ("bundle.json", "manifest.json"):
        described = json.loads((model / file).read_text(encoding="utf-8"))
        assert (described["data_through"], described["evaluated_data_through"]) == (str(VALIDATED), str(CUT))
        assert described["recalibration"] == first.document["recalibration"]["shifts"]
    assert not (first.run / "recalibrated").exists()
    assert not (first.run / "recalibrated_scores.parquet").exists()


def test_what_serves_is_what_was_judged_moved_by_its_channels_shift(first, landed):
    from ctr_retrain.models.serving.scorer import Scorer  # noqa: PLC0415
    from ctr_retrain.tasks.deploy.publish_model import served_model  # noqa: PLC0415

    version, bundle = served_model(LocalStore(first.root), "")
    assert version == first.document["run_id"]
    rows, judged = landed
    assert Scorer(bundle / "evaluated" / "serving").score(rows) == pytest.approx(judged, abs=1e-6)
    shift = {own["channel"]: own["shift"] for own in first.document["recalibration"]["shifts"]}
    moved = np.log(judged / (1 - judged)) + [shift[channel] for channel in rows["channel"].to_pylist()]
    served = Scorer(bundle / "serving").score(rows)
    assert served == pytest.approx(1 / (1 + np.exp(-moved)), abs=1e-6)
    unknown = rows.set_column(rows.column_names.index("channel"), "channel", pa.nulls(len(rows), pa.string()))
    both = (Scorer(bundle / name).score(unknown) for name in ("serving", "evaluated/serving"))
    assert next(both) == pytest.approx(next(both), abs=1e-6)  # a missing channel has no shift


def test_a_file_is_scored_by_the_recalibrated_model(first, landed, tmp_path):
    from ctr_retrain.models.serving.scorer import Scorer  # noqa: PLC0415
    from ctr_retrain.tasks.deploy.publish_model import served_model  # noqa: PLC0415
    from ctr_retrain.tasks.deploy.score_file import score_file  # noqa: PLC0415

    rows, _ = landed
    _, bundle = served_model(LocalStore(first.root), "")
    pq.write_table(rows, tmp_path / "rows.parquet")
    score_file(bundle, tmp_path / "rows.parquet", tmp_path / "scores.parquet")
    scored = pq.read_table(tmp_path / "scores.parquet")["probability"].to_numpy()
    assert scored == pytest.approx(Scorer(bundle / "serving").score(rows), abs=1e-7)


def test_status_and_models_say_that_what_serves_has_seen_the_validation_days(first):
    assert describe_status(LocalStore(first.root), NOW).champion_data_through == VALIDATED
    assert list_models(LocalStore(first.root))[-1].data_through == VALIDATED
    assert [tenure.data_through for tenure in read_champions(LocalStore(first.root)).tenures] == [CUT]


def test_the_report_shows_each_channels_move_with_its_error(first):
    page = (first.run / "report.html").read_text(encoding="utf-8")
    assert 'id="recalibration"' in page
    own = first.document["recalibration"]["shifts"][0]
    assert f'data-is="log-odds moved by">{own["shift"]:+.3f}</td>' in page
    assert f'data-is="standard error">{own["standard_error"]:.3f}</td>' in page


def test_the_same_day_again_finds_the_recorded_run(first, recipe, small_landing, tmp_path):
    root = shutil.copytree(first.root, tmp_path / "root")
    again = daily(RUN_DAY, recipe, str(root), str(small_landing))
    assert again["recorded"] is True
    assert again["recalibration"] == first.document["recalibration"]


def test_the_next_days_gate_scores_the_twin_though_what_serves_has_not_seen_its_days(first, second):
    from ctr_retrain.models.serving.scorer import Scorer  # noqa: PLC0415

    document = second.document
    assert document["days"]["validate"] == [str(RUN_DAY)]  # a day after those by whose labels the level was moved
    run = second.root / "runs" / document["run_id"]
    assert json.loads((run / "evaluation.json").read_text(encoding="utf-8"))["champion_data_through"] == str(CUT)
    scores = pq.read_table(run / "scores.parquet").to_pandas().set_index("event_id")["champion"]
    file = next((second.root / "days" / str(RUN_DAY)).glob(f"*/impressions/{RUN_DAY}-*.parquet"))
    rows = pq.read_table(file).slice(0, 500)
    rows = rows.filter(pa.array([event in scores.index for event in rows["event_id"].to_pylist()]))
    twin = Scorer(first.root / "models" / first.document["run_id"] / "evaluated" / "serving")
    assert twin.score(rows) == pytest.approx(scores.loc[rows["event_id"].to_pylist()].to_numpy(), abs=1e-6)


def test_one_recalibrated_champion_follows_another_and_comes_back_by_rollback(first, second, recipe, tmp_path):
    from ctr_retrain.tasks.deploy.publish_model import served_model  # noqa: PLC0415

    assert second.document["verdict"]["decision"] == "promote"
    store = LocalStore(shutil.copytree(second.root, tmp_path / "root"))
    assert [tenure.data_through for tenure in read_champions(store).tenures] == [CUT, CUT + timedelta(days=1)]
    collect_garbage(store, load_recipe(recipe), min_age=timedelta(0))
    roll_back(store, "complaints", NOW)
    version, bundle = served_model(store, "")
    assert version == first.document["run_id"]
    assert (bundle / "serving" / "saved_model.pb").exists()
    assert (bundle / "evaluated" / "serving" / "saved_model.pb").exists()
    assert describe_status(store, NOW).champion_data_through == VALIDATED


def test_of_a_recalibrated_champion_the_twin_alone_is_scored(tmp_path):
    seen = {"data_through": "2026-03-06", "evaluated_data_through": "2026-03-04", "recalibration": []}
    store = LocalStore(tmp_path)
    with store.writing("models/v", {"recipe_digest": "0" * 64, **seen}):
        pass
    later, same = (
        SimpleNamespace(champion=SimpleNamespace(version="v"), validate=(SimpleNamespace(day=day),))
        for day in (RUN_DAY, CUT - timedelta(days=1))
    )
    assert fair_champion(store, later) == (store.open("models/v") / "evaluated/serving", "2026-03-04")
    assert unfairness(store, later) is None
    assert fair_champion(store, same) is None
    assert "received 2026-03-04 (its evaluated twin)" in unfairness(store, same)


@pytest.mark.parametrize("failing", ["level", "serving"])
def test_where_a_check_fails_the_judged_model_serves_and_the_run_warns(first, recipe, tmp_path, monkeypatch, failing):
    from ctr_retrain.tasks.report.run_document import _warn_of_level  # noqa: PLC0415

    folder = tmp_path / "run"
    (folder / "challenger" / "serving").mkdir(parents=True)
    (folder / "recalibrated" / "serving").mkdir(parents=True)
    shutil.copy(first.run / "challenger" / "bundle.json", folder / "challenger")
    monkeypatch.setattr(
        "ctr_retrain.tasks.deploy.choose_served.check_serving",
        lambda *_: FAR.model_copy(update={"name": "serving", "message": "It answered something else."}),
    )
    found = RecalibrationDocument(checks=(FAR if failing == "level" else OK,), days=(CUT, VALIDATED), shifts=(SHIFT,))
    models = SimpleNamespace(call=lambda *_: found, compute=None)
    plan = SimpleNamespace(
        run_id="r", day=RUN_DAY, data_through=CUT, fresh=(), champion=None, validate=(SimpleNamespace(day=VALIDATED),)
    )
    verdict = Verdict(decision="promote", bootstrap=True, checks=(), reason="")
    store = LocalStore(first.root)
    ship_challenger(Run(store, load_recipe(recipe), plan, folder), verdict, models)
    assert not (folder / "recalibrated").exists()
    assert not (folder / "challenger" / "evaluated").exists()
    why = "It moved too far." if failing == "level" else "It answered something else."
    served = describe_served(store, plan, verdict, folder)
    assert served.data_through == CUT
    assert f"The model that was judged serves, not a recalibrated one. {why}" in served.message
    (warning,) = _warn_of_level(RecalibrationDocument.read(folder / "recalibration.json"))
    assert warning.message == f"The level of the promoted model stays as it was judged. {why}"


def test_no_level_follows_labels_that_lack_outcomes(tmp_path):
    from ctr_retrain.tasks.deploy.recalibrate import recalibrate  # noqa: PLC0415 - TensorFlow takes seconds to import

    plan = make_plan(RUN_DAY)
    late = plan.validate[-1].day
    short = Shortfall(late, frozenset({("ad", "click")}), Landing(100.0, 40, -6.0))
    plan = replace(plan, completeness=Completeness((short,), {("ad", "click"): frozenset({0})}))
    found = recalibrate(None, Run(None, REPORTED_RECIPE, plan, tmp_path))
    (check,) = found.checks
    assert not check.passed
    assert f"{late} among them, outcomes that should have landed on {late} are missing" in check.message
    assert found.shifts == ()


def test_a_held_challenger_keeps_its_level(recipe, tmp_path):
    verdict = Verdict(decision="hold", bootstrap=False, checks=(), reason="")
    ship_challenger(Run(LocalStore(tmp_path), load_recipe(recipe), SimpleNamespace(fresh=()), tmp_path), verdict, None)
    assert not list(tmp_path.iterdir())
