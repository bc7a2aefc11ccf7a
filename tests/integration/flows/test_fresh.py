"""Rules of `ship = "fresh"`: one real run that ships fresh, the day after it, and what happens where a check fails."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.models.documents.verdict_documents import Check, Verdict
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.serving.fresh_checks import check_fresh
from ctr_retrain.tasks.deploy.choose_served import describe_served, ship_challenger
from ctr_retrain.tasks.evaluate.score_models import fair_champion, unfairness
from ctr_retrain.tasks.observe.describe_status import describe_status
from ctr_retrain.tasks.operate.collect_garbage import collect_garbage
from ctr_retrain.tasks.operate.registry import list_models
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.champion import read_champions, roll_back
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.flow_answers import daily
from tests.support.small_world import NEXT_DAY, RUN_DAY, copy_days, write_recipe

CUT = RUN_DAY - timedelta(days=2)
NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def fresh_recipe(tmp_path_factory):
    path = write_recipe(tmp_path_factory.mktemp("fresh-recipe"))
    text = path.read_text(encoding="utf-8").replace("[training]", '[training]\nship = "fresh"')
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def first(first_run, small_landing, fresh_recipe, tmp_path_factory):
    root = copy_days(first_run, tmp_path_factory.mktemp("fresh") / "root")
    document = daily(RUN_DAY, fresh_recipe, str(root), str(small_landing))
    return SimpleNamespace(document=document, root=root)


@pytest.fixture(scope="module")
def second(first, fresh_recipe, small_landing, tmp_path_factory):
    """The day after, in a root of its own."""
    root = shutil.copytree(first.root, tmp_path_factory.mktemp("second") / "root")
    return SimpleNamespace(document=daily(NEXT_DAY, fresh_recipe, str(root), str(small_landing)), root=root)


def test_a_promoted_challenger_goes_on_through_the_young_days_and_serves(first):
    document = first.document
    assert document["verdict"]["decision"] == "promote"
    assert document["fresh"]["days"] == [str(RUN_DAY - timedelta(days=1)), str(RUN_DAY)]
    assert [check["name"] for check in document["fresh"]["checks"]] == ["fresh_churn", "fresh_calibration", "serving"]
    assert all(check["passed"] for check in document["fresh"]["checks"])
    assert (document["serves"]["data_through"], document["serves"]["age_days"]) == (str(RUN_DAY), 0)
    assert f"of data through {CUT}, is kept beside it" in document["serves"]["words"]


def test_the_bundle_keeps_what_serves_and_what_was_judged_and_says_what_each_has_seen(first):
    model = first.root / "models" / first.document["run_id"]
    assert (model / "serving" / "saved_model.pb").exists()
    assert (model / "evaluated" / "serving" / "saved_model.pb").exists()
    for file in ("bundle.json", "manifest.json"):
        described = json.loads((model / file).read_text(encoding="utf-8"))
        assert (described["data_through"], described["evaluated_data_through"]) == (str(RUN_DAY), str(CUT))
    run = first.root / "runs" / first.document["run_id"]
    assert not (run / "fresh").exists()
    assert not (run / "fresh_scores.parquet").exists()
    assert str(RUN_DAY) in "".join(json.loads((run / "manifest.json").read_text(encoding="utf-8"))["labels"])


def test_served_is_the_fresh_one_and_the_gate_judged_the_other(first):
    from ctr_retrain.models.serving.scorer import Scorer  # noqa: PLC0415
    from ctr_retrain.tasks.deploy.publish_model import served_model  # noqa: PLC0415

    store = LocalStore(first.root)
    version, bundle = served_model(store, "")
    assert version == first.document["run_id"]
    scores = pq.read_table(first.root / "runs" / version / "scores.parquet")
    day = first.document["days"]["validate"][0]
    judged = dict(zip(scores["event_id"].to_pylist(), scores["challenger"].to_pylist(), strict=True))
    landed = pq.read_table(next((first.root / "days" / day).glob(f"*/impressions/{day}-*.parquet")))
    rows = landed.filter(pa.array([event_id in judged for event_id in landed["event_id"].to_pylist()]))
    ids = rows["event_id"].to_pylist()
    assert len(ids) > 100
    twin = Scorer(bundle / "evaluated" / "serving").score(rows)
    assert twin == pytest.approx([judged[event_id] for event_id in ids], abs=1e-6)
    moved = np.abs(Scorer(bundle / "serving").score(rows) / twin - 1)
    assert 0.01 < moved.mean() < 1


def test_status_and_models_say_how_old_the_data_of_what_serves_is(first):
    status = describe_status(LocalStore(first.root), NOW + timedelta(days=6))
    assert (status.champion_data_through, status.champion_data_age_days) == (RUN_DAY, 0)
    assert status.champion_calendar_age_days == 9  # grows also where the export has died
    assert list_models(LocalStore(first.root))[-1].data_through == RUN_DAY


def test_the_report_says_it_too(first):
    page = (first.root / "runs" / first.document["run_id"] / "report.html").read_text(encoding="utf-8")
    assert f"Its newest data is of {RUN_DAY}, 0 days before the run&#39;s day." in page
    assert 'id="fresh"' in page
    assert "trains the fresh model with the labels that have landed so far" in page


def test_the_same_day_again_finds_the_recorded_run(first, fresh_recipe, small_landing, tmp_path):
    root = shutil.copytree(first.root, tmp_path / "root")
    again = daily(RUN_DAY, fresh_recipe, str(root), str(small_landing))
    assert again["recorded"] is True
    assert again["serves"] == first.document["serves"]


def test_the_next_day_the_gate_scores_the_twin_since_the_served_model_has_seen_v(second):
    document = second.document
    assert document["days"]["validate"] == [str(RUN_DAY)]  # which the champion in service was trained on
    run = second.root / "runs" / document["run_id"]
    evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation["champion_data_through"] == str(CUT)
    assert document["metrics"]["champion"] is not None
    assert "champion_unseen_rows" not in [check["name"] for check in document["verdict"]["checks"]]


def test_one_fresh_champion_follows_another_by_the_age_of_what_was_judged(second):
    assert second.document["verdict"]["decision"] == "promote"
    tenures = read_champions(LocalStore(second.root)).tenures
    assert [tenure.data_through for tenure in tenures] == [CUT, CUT + timedelta(days=1)]


def test_a_fresh_bundle_survives_gc_and_comes_back_by_rollback(first, second, fresh_recipe, tmp_path):
    from ctr_retrain.tasks.deploy.publish_model import served_model  # noqa: PLC0415

    store = LocalStore(shutil.copytree(second.root, tmp_path / "root"))
    collect_garbage(store, load_recipe(fresh_recipe), min_age=timedelta(0))
    roll_back(store, "complaints", NOW)
    version, bundle = served_model(store, "")
    assert version == first.document["run_id"]
    assert (bundle / "serving" / "saved_model.pb").exists()
    assert (bundle / "evaluated" / "serving" / "saved_model.pb").exists()
    assert describe_status(store, NOW).champion_data_through == RUN_DAY


def test_a_fresh_model_is_put_into_service_by_hand_from_its_run_with_its_twin(first, second, tmp_path):
    from ctr_retrain.tasks.deploy.publish_model import deploy_challenger, served_model  # noqa: PLC0415

    version = first.document["run_id"]
    store = LocalStore(shutil.copytree(second.root, tmp_path / "root"))
    shutil.rmtree(tmp_path / "root" / "models" / version)
    assert deploy_challenger(store, version, "override", "the newer one sells nothing", NOW) is None
    champion, bundle = served_model(store, "")
    assert champion == version
    assert {path.parent.parent.name for path in bundle.rglob("saved_model.pb")} == {version, "evaluated"}
    assert describe_status(store, NOW).champion_data_through == RUN_DAY


def test_a_champion_shipped_as_judged_may_follow_a_fresh_one(second):
    champions = read_champions(LocalStore(second.root))  # its served model has seen more than the later one
    later = Tenure(
        version="later",
        run_day=NEXT_DAY + timedelta(days=1),
        data_through=CUT + timedelta(days=2),
        action="promote",
        reason="",
        at="",
    )
    assert champions.refuses(later, champions.current.version) is None
    assert "is newer" in champions.refuses(later.model_copy(update={"data_through": CUT}), champions.current.version)


def champion_with(tmp_path, **through):
    store = LocalStore(tmp_path)
    with store.writing("models/v", {"recipe_digest": "0" * 64, **through}):
        pass
    day = SimpleNamespace(day=date(2026, 3, 7))
    return store, SimpleNamespace(champion=SimpleNamespace(version="v"), validate=(day,))


def test_whichever_of_the_champions_two_has_not_seen_v_is_scored(tmp_path):
    both = {"data_through": "2026-03-06", "evaluated_data_through": "2026-03-04"}
    store, plan = champion_with(tmp_path / "a", **both)
    assert fair_champion(store, plan) == (store.open("models/v") / "serving", "2026-03-06")
    store, plan = champion_with(tmp_path / "b", **both | {"data_through": "2026-03-07"})
    assert fair_champion(store, plan) == (store.open("models/v") / "evaluated/serving", "2026-03-04")
    assert unfairness(store, plan) is None


def test_where_both_have_seen_v_none_is_scored_and_the_words_say_why(tmp_path):
    store, plan = champion_with(tmp_path, data_through="2026-03-09", evaluated_data_through="2026-03-07")
    assert fair_champion(store, plan) is None
    expected = (
        "expected data through a day before 2026-03-07, received 2026-03-09 (what serves) and 2026-03-07 "
        "(its evaluated twin): it has seen the validation days"
    )
    assert unfairness(store, plan) == expected


@pytest.mark.parametrize("failing", ["diverged", "serving"])
def test_where_a_check_fails_the_twin_serves_and_says_so(first, fresh_recipe, tmp_path, monkeypatch, failing):
    ok = Check(name="fresh_churn", value=0.1, bound=0.5, passed=True, message="Churn is small.")
    failed = Check(
        name="fresh_training", value=None, bound=None, passed=False, message="Fresh pass: the loss is no number."
    )
    run = first.root / "runs" / first.document["run_id"]
    folder = tmp_path / "run"
    (folder / "challenger" / "serving").mkdir(parents=True)
    (folder / "fresh" / "serving").mkdir(parents=True)
    shutil.copy(run / "challenger" / "bundle.json", folder / "challenger")
    monkeypatch.setattr(
        "ctr_retrain.tasks.deploy.choose_served.check_serving",
        lambda *_: failed.model_copy(update={"name": "serving"}),
    )
    models = SimpleNamespace(call=lambda *_: (failed,) if failing == "diverged" else (ok,), compute=None)
    plan = SimpleNamespace(
        run_id="r", day=RUN_DAY, data_through=CUT, fresh=(SimpleNamespace(day=RUN_DAY),), champion=None
    )
    verdict = Verdict(decision="promote", bootstrap=True, checks=(), reason="")
    store = LocalStore(first.root)
    ship_challenger(Run(store, load_recipe(fresh_recipe), plan, folder), verdict, models)
    assert not (folder / "fresh").exists()
    assert not (folder / "challenger" / "evaluated").exists()
    served = describe_served(store, plan, verdict, folder)
    assert (served.data_through, served.age_days) == (CUT, 2)
    assert "The model that was judged serves, not a fresh one. Fresh pass: the loss is no number." in served.message


def test_a_held_challenger_goes_through_no_young_day(fresh_recipe, tmp_path):
    verdict = Verdict(decision="hold", bootstrap=False, checks=(), reason="")
    plan = SimpleNamespace(fresh=(SimpleNamespace(day=RUN_DAY),))
    ship_challenger(Run(LocalStore(tmp_path), load_recipe(fresh_recipe), plan, tmp_path), verdict, None)
    assert not list(tmp_path.glob("fresh*"))


GATE = Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1)
PLAIN = Calibration(method="identity", rows=0, positives=0)


def fresh_checks(*, shift, positives=100, rows=1000):
    logit = np.full(rows, np.log(0.1 / 0.9), np.float32)
    label = (np.arange(rows) < positives).astype(np.uint8)
    return check_fresh(logit, (logit + shift).astype(np.float32), label, PLAIN, GATE)


def test_churn_is_the_mean_move_of_the_log_odds():
    churn, calibrated = fresh_checks(shift=np.tile([0.3, -0.1], 500))
    assert churn.value == pytest.approx(0.2, abs=1e-5)
    assert churn.passed
    assert calibrated.passed


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({"shift": 0.0}, (True, True)),
        ({"shift": np.tile([2.0, -2.0], 500)}, (False, False)),  # Σp moves too: the logistic function is convex here
        ({"shift": 0.4}, (True, False)),
        ({"shift": np.nan}, (False, False)),
        ({"shift": 0.0, "positives": 0}, (True, False)),
    ],
)
def test_a_fresh_model_that_moved_far_or_is_off_on_c_may_not_serve(given, passed):
    assert tuple(check.passed for check in fresh_checks(**given)) == passed


def test_no_rows_of_c_fail_closed():
    empty = np.empty(0, np.float32)
    assert not any(check.passed for check in check_fresh(empty, empty, empty, PLAIN, GATE))
