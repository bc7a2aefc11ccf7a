"""Rules of the report and of the list page, looked at in a real browser where what it makes of them matters."""

import json
import re
import shutil
from datetime import timedelta

import numpy as np
import pytest

from ctr_retrain.models.data.completeness import Completeness
from ctr_retrain.models.documents.day_documents import Finding, FindingsDocument
from ctr_retrain.models.documents.maturity_documents import IncompleteDay
from ctr_retrain.models.documents.training_documents import FieldValues, TrainingResult
from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.documents.weights_documents import WeightsDocument
from ctr_retrain.models.drift.finding_signals import alert_of
from ctr_retrain.models.drift.watched_days import watch_channel
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.gate.judge import judge
from ctr_retrain.models.judging.judged_rows import JudgedRows
from ctr_retrain.models.levels.drift_days import ChannelCounts, DriftDay, channel_series
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
from ctr_retrain.models.weights.training_warnings import training_warnings
from ctr_retrain.tasks.evaluate.judge_challenger import judge_without_challenger
from ctr_retrain.tasks.evaluate.score_models import _measure
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.operate.registry import record_run
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.report.run_document import day_document, write_document
from ctr_retrain.tasks.report.run_list import write_run_list
from ctr_retrain.tasks.report.run_page import write_report
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import EVALUATION_FILE, FINDINGS_FILE, MATURITY_FILE, TRAINING_FILE, WEIGHTS_FILE
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.validate.check_outcomes import OutcomeCheck
from ctr_retrain.tasks.validate.detect_drift import DriftReport, describe_channel, rules_of
from ctr_retrain.tasks.validate.validate_day import load_validated_day
from tests.support.browser import in_browser
from tests.support.html_page import Page
from tests.support.reported_run import CHAMPION, DAY, NOW, RECIPE, make_plan

HOSTILE = "<script>document.body.textContent='broken into'</script>"
YOUNG = {"day": "2026-03-25", "channel": "push", "kind": "click", "age_days": 0, "rows": 900, "positives": 9}
MATURITY = {
    "curves": [
        {"channel": "ad", "kind": "click", "days": 8, "positives": 900, "overall": [0.8, 1.0], "shares": []},
        {
            "channel": "push",
            "kind": "click",
            "days": 8,
            "positives": 300,
            "overall": [0.5, 0.7, 0.9, 1.0],
            "shares": [],
        },
    ],
    "young": [
        {**YOUNG, "seen": 0.01, "corrected": 0.02, "standard_error": 0.005},
        {**YOUNG, "channel": "sms", "seen": 0.01, "corrected": None, "standard_error": None},
        {**YOUNG, "channel": "mail", "seen": 0.01, "corrected": None, "standard_error": None, "incomplete": [str(DAY)]},
    ],
    "outcomes": {"attributed": 120, "duplicate": 0, "unknown_impression": 3},
}
INCOMPLETE = IncompleteDay(
    day=DAY, channels=("ad", "push"), kinds=("click",), expected=410.2, received=198, z=-7.1, due=DAY, overdue=False,
    message="Outcomes: expected about 410, received 198.",
)  # fmt: skip
MISSING = OutcomeCheck(Completeness(), (INCOMPLETE,), ())
NOTHING_TRAINED = Check(
    name="training_positives", value=3.0, bound=100, passed=False, message="Too few positives.", kind="evidence"
)


def land(landing, day):
    """One good impression a channel, one broken, under hostile names."""
    folder = landing / "impressions" / f"dt={day}"
    folder.mkdir(parents=True)
    rows = [
        {"event_id": f"e{i}", "ts": ts, "user_id": "u", "channel": channel, "campaign_id": HOSTILE, "device": "ios"}
        for i, (ts, channel) in enumerate(
            [(f"{day}T10:00:00", "ad"), (f"{day}T11:00:00", "push"), ("2019-01-01T00:00:00", "ad")]
        )
    ]
    (folder / "<img src=x onerror=document.title=1>.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcomes = landing / "outcomes" / f"dt={day}"
    outcomes.mkdir(parents=True)
    (outcomes / "o.jsonl").write_text(json.dumps({"event_id": "e0", "ts": f"{day}T10:05:00", "kind": "click"}) + "\n")


def accept(store, day, day_object, *, accepted=True):
    """What validation leaves behind, with one hostile finding."""
    path = layout.validation_object(day, "key")
    finding = Finding(name="rows", expected="at least 1", received=HOSTILE, passed=accepted)
    with store.writing(path, {}) as folder:
        FindingsDocument(findings=(finding,)).write(folder / FINDINGS_FILE)
    decision = {"accepted": accepted, "by": "validation", "reason": "failed rows" if not accepted else "all met"}
    store.swap_ref(
        layout.accepted_ref(day), {**decision, "day_object": day_object, "validation": path, "history": []}, None
    )


def judged_rows(champion):
    rng = np.random.default_rng(3)
    probability = np.exp(rng.normal(-3.5, 1, 2000)).clip(0, 0.9)
    return JudgedRows(
        label=(rng.random(2000) < probability).astype(np.int8),
        challenger=probability,
        champion=probability[::-1].copy() if champion else None,
        channel=np.where(np.arange(2000) % 3, "ad", "push"),
        user_bucket=rng.integers(0, 256, 2000),
        campaign=np.zeros(2000, int),
        day=np.zeros(2000, int),
        constant_rate=None if champion else {"ad": 0.04, "push": 0.04},
    )


def drift_report(day, today):
    """Fourteen days alike and one with so many positives among the 1,000 ads of the day."""
    counted = [
        DriftDay(day - timedelta(days=age), dict.fromkeys(RECIPE.channels, ChannelCounts(1000, 20 + age % 3)))
        for age in range(14, 0, -1)
    ]
    own = {name: ChannelCounts(1000, today if name == "ad" else 20) for name in RECIPE.channels}
    series = {name: channel_series(name, [*counted, DriftDay(day, own)]) for name in RECIPE.channels}
    watched = {name: watch_channel(each, rules_of(RECIPE)) for name, each in series.items()}
    shown = {name: describe_channel(series[name], each) for name, each in watched.items()}
    alerts = [alert_of(series[name], finding) for name, each in watched.items() for finding in each[-1].findings]
    history = {name: days for name, (_, days) in shown.items()}
    return DriftReport(tuple(result for result, _ in shown.values()), history, tuple(alerts))


def write_run(root, landing, *, day=DAY, champion=None, trained=True, excluded=None, today=20):
    """A whole run's object, each file by the code that writes it, without the minutes of training."""
    store = LocalStore(root)
    land(landing, day)
    ingested = ingest_day(store, LocalLandingZone(landing), RECIPE, day, NOW)
    accept(store, day, ingested.path)
    plan = make_plan(day, champion, excluded)
    drift = drift_report(day, today)
    days = tuple(d.day for d in plan.train)
    places = np.tile(np.arange(len(days)), 2)
    mass = ClassMass(
        places, places * 0 + np.repeat([0, 1], len(days)), np.ones(2 * len(days)), np.repeat([980, 20], len(days))
    )
    factors = compute_factors(days, plan.data_through, mass, RECIPE.row_weights)
    with store.writing(layout.run_object(plan.run_id), plan.inputs.to_json()) as folder:
        rates = dict.fromkeys(RECIPE.channels, 0.02)
        warnings = training_warnings(RECIPE, factors)
        WeightsDocument(**dict(factors), constant_rate=rates, warnings=warnings).write(folder / WEIGHTS_FILE)
        if trained:
            history = ((4096, 0.4), (8192, 0.3))
            training = {
                "training": TrainingResult(
                    rows=9000,
                    seconds=1.5,
                    rows_per_second=6000.0,
                    device="cpu",
                    replicas=1,
                    precision="float32",
                    history=history,
                    epochs=1,
                    best_epoch=1,
                    stopping_losses=(),
                    resumed_at=0,
                ).to_json(),
                "calibration": Calibration(method="platt", rows=900, positives=250).to_json(),
                "start": {"words": "", "carried": None},
                "values": [
                    FieldValues(
                        name="user", values=9000, own_rows=5000, shared_share=0.31, cut_values=4000, cut_share=0.3
                    ).to_json(),
                ],
            }
            (folder / TRAINING_FILE).write_text(json.dumps(training))
            rows = judged_rows(champion)
            _measure(rows, RECIPE).write(folder / EVALUATION_FILE)
            verdict = judge(rows, RECIPE, same_recipe=True)
            (folder / MATURITY_FILE).write_text(json.dumps(MATURITY))
        else:
            verdict = judge_without_challenger(folder, NOTHING_TRAINED, bootstrap=champion is None)
        validated = load_validated_day(store, day)
        run = Run(store, RECIPE, plan, folder)
        write_document(run, day_document(ingested, validated, drift, MISSING), drift, factors, verdict)
        write_report(run)
    record_run(store, plan)
    return root / layout.run_object(plan.run_id) / "report.html"


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def report(tmp_path_factory, profile):
    """A run with a champion, an alert and a day left out; the page as the browser has it, and its path."""
    folder = tmp_path_factory.mktemp("report")
    excluded = {"2026-03-18": f"rejected: {HOSTILE}"}
    path = write_run(folder / "root", folder / "landing", champion=CHAMPION, excluded=excluded, today=0)
    return in_browser(path, profile), path


def test_the_verdict_and_its_reason_come_before_anything_else(report):
    page, path = report
    run = json.loads((path.parent / "run.json").read_text())
    assert page.texts[0:3] == ["all runs", "of recipe r", "Run for 2026-03-25"]
    assert re.search("Promoted|Held|Rejected", page.texts[3])
    assert page.texts[4] == run["verdict"]["reason"]
    assert page.texts[5] == run["serves"]["words"]  # which model serves now, and how old its data is
    assert page.texts[6] == "Check"


def test_every_check_is_shown_in_words_with_whether_it_passed(report):
    page, path = report
    checks = json.loads((path.parent / "run.json").read_text())["verdict"]["checks"]
    assert len(checks) > 5
    assert all(check["words"] in page.text for check in checks)
    not_known = json.loads((path.parent / "run.json").read_text()).get("not_known", [])
    assert page.text.count("✓ passed") == sum(check["passed"] for check in checks) - len(not_known)
    assert page.text.count("? not known") == len(not_known)


def test_the_report_needs_no_network_and_no_script(report):
    page, path = report
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(", text)
    assert {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object"} == set()
    assert all(reference.startswith("../../") for reference in page.references())
    assert len(text) < 400_000


def test_a_script_that_got_into_a_page_does_not_run_and_nothing_of_the_page_itself_is_refused(report, profile):
    page, path = report
    assert page.console == []
    spoiled = path.with_name("spoiled.html")
    spoiled.write_text(path.read_text(encoding="utf-8").replace("</body>", f"{HOSTILE}</body>"), encoding="utf-8")
    page = in_browser(spoiled, profile)
    assert "Run for 2026-03-25" in page.texts
    assert any("Content Security Policy" in line for line in page.console)


def test_hostile_names_of_campaigns_files_and_reasons_are_text(report):
    page, _ = report
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.texts.count(HOSTILE) == 1  # the finding
    assert f"rejected: {HOSTILE}" in page.text  # the day left out
    assert any(text.startswith('{"event_id":"e2"') and HOSTILE in text for text in page.texts)  # the quarantined row
    assert "<img src=x onerror=document.title=1>.jsonl" in page.text


def test_alerts_and_what_came_in_are_shown(report):
    page, _ = report
    assert "1 alert on 2026-03-25" in page.text
    assert "Not one positive came in" in page.text
    assert page.count("g", "class", "point alert") == 2  # the day and the legend's sample
    assert "impressions 3 2 0 1" in page.text
    assert "ts too old" in page.text


def test_both_models_are_set_side_by_side_by_channel_with_their_charts(report):
    page, _ = report
    assert page.count("tr", "class", "group") == 3  # all, ad, push
    assert page.count("figure", "class", "cost") == 2
    assert page.count("figure", "class", "ratio") == 2
    for chart in ("reliability", "weight", "loss"):
        assert page.count("figure", "id", chart) == 1
    assert CHAMPION.version in page.text
    assert "Constant rate" not in page.text


def test_what_the_training_curve_can_be_compared_with_stands_under_warnings(report):
    page, _ = report
    assert "stands under Warnings." in page.text
    assert page.count("ul", "id", "warnings") == 1
    assert "positives weighed 49 times as much as negatives. It can be compared within this run alone" in page.text


def test_every_day_says_what_it_did(report):
    page, _ = report
    roles = [page.count("li", "class", role) for role in ("train", "calibrate", "validate", "excluded", "waiting")]
    assert roles == [2, 6, 1, 1, 1]  # nine days of T of which one is left out, V, and D itself, a day from final labels


def test_a_landing_day_of_which_outcomes_are_missing_is_said_with_its_deadline(report):
    page, _ = report
    assert page.count("ul", "id", "incomplete") == 1
    said = f"Outcomes: expected about 410, received 198. They count if they land by the end of {DAY}."
    assert said in " ".join(page.text.split())
    assert "2026-03-25 mail click 900 9 1 % incomplete" in " ".join(page.text.split())


def test_ripeness_of_labels_is_drawn_and_young_days_are_shown_as_seen_and_as_corrected(report):
    page, _ = report
    assert page.count("figure", "id", "maturity") == 1
    assert "2026-03-25 push click 900 9 1 % 2 % ± 0.98 %" in " ".join(page.text.split())
    assert "2026-03-25 sms click 900 9 1 % –" in " ".join(page.text.split())
    assert "120 attributed, 3 unknown impression" in " ".join(page.text.split())


def test_expectations_link_to_their_data_docs_by_a_relative_path(report):
    page, _ = report
    assert "../../validations/2026-03-25/key/data_docs/index.html" in page.references()
    assert "1 evaluated, 1 met" in page.text


def test_a_run_without_training_has_a_whole_report(tmp_path):
    text = write_run(tmp_path / "root", tmp_path / "landing", trained=False).read_text(encoding="utf-8")
    page = Page(text)
    assert "Held, nothing was trained. Too few positives." in page.text
    assert page.count("p", "id", "untrained") == 1
    assert page.count("figure", "id", "weight") == 1
    assert page.count("figure", "id", "loss") == page.count("figure", "class", "cost") == 0
    assert text.rstrip().endswith("</html>")


def test_without_a_champion_the_constant_rate_stands_beside_the_challenger(tmp_path):
    page = Page(write_run(tmp_path / "root", tmp_path / "landing").read_text(encoding="utf-8"))
    assert "Challenger and constant rate per channel" in page.texts
    assert "No alerts on 2026-03-25." in page.texts


def test_the_list_shows_all_runs_newest_first_marks_the_champion_and_links_to_reports(tmp_path, profile):
    store = LocalStore(tmp_path / "root")
    for age in (2, 0, 1):
        write_run(tmp_path / "root", tmp_path / "landing", day=DAY - timedelta(days=age), trained=age == 1)
    write_run_list(store, "2026-03-24-first")
    page = in_browser(tmp_path / "root" / layout.RUN_LIST_PAGE, profile)
    days = ["2026-03-25", "2026-03-24", "2026-03-23"]
    assert page.references() == [f"runs/{day}-first/report.html" for day in days]
    assert [text for text in page.texts if text in days] == days
    assert all((tmp_path / "root" / reference).is_file() for reference in page.references())
    champion = page.texts.index("★ champion")
    assert page.texts.index("2026-03-24") < champion < page.texts.index("2026-03-23")
    assert page.texts.count("★ champion") == 1
    assert "Held, nothing was trained. Too few positives." in page.texts
    assert page.console == []


def test_a_bound_that_leaves_values_without_a_row_of_their_own_is_said_with_its_share(tmp_path):
    page = write_run(tmp_path / "root", tmp_path / "landing").read_text(encoding="utf-8")
    row = re.search(r'<table id="values">.*?<td>user</td>(.*?)</tr>', page, re.DOTALL)[1]
    assert re.findall(r">([^<]+)</td>", row) == ["9,000", "5,000", "31 %", "4,000 values on 30 % of the rows"]


def test_of_two_runs_for_one_day_the_later_comes_first(tmp_path):
    write_run(tmp_path / "root", tmp_path / "landing", trained=False)
    store = LocalStore(tmp_path / "root")
    again = make_plan(DAY, CHAMPION)  # its name sorts before the first one's
    shutil.copytree(tmp_path / "root/runs/2026-03-25-first", tmp_path / "root/runs/2026-03-25-champion")
    run = tmp_path / "root/runs/2026-03-25-champion/run.json"
    run.write_text(run.read_text().replace("2026-03-25-first", "2026-03-25-champion"))
    record_run(store, again)
    write_run_list(store, None)
    references = Page((tmp_path / "root" / layout.RUN_LIST_PAGE).read_text()).references()
    assert references == ["runs/2026-03-25-champion/report.html", "runs/2026-03-25-first/report.html"]


def test_the_list_names_days_whose_data_was_rejected(tmp_path):
    store = LocalStore(tmp_path / "root")
    accept(store, DAY, "days/2026-03-25/x", accepted=False)
    write_run_list(store, None)
    page = Page((tmp_path / "root" / layout.RUN_LIST_PAGE).read_text())
    assert "failed rows" in page.text
    assert page.references() == ["validations/2026-03-25/key/data_docs/index.html"]


def test_an_empty_root_gets_a_list_that_says_so_and_nothing_is_left_beside_it(tmp_path):
    write_run_list(LocalStore(tmp_path / "root"), None)
    assert [path.name for path in (tmp_path / "root").iterdir()] == [layout.RUN_LIST_PAGE]
    assert "No run yet." in Page((tmp_path / "root" / layout.RUN_LIST_PAGE).read_text()).text


def test_a_list_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / layout.RUN_LIST_PAGE).mkdir()
    with pytest.raises(StorageError, match="could not write"):
        write_run_list(LocalStore(tmp_path / "root"), None)
    assert [path.name for path in (tmp_path / "root").iterdir()] == [layout.RUN_LIST_PAGE]
