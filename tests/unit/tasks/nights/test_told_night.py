"""Rules of a night that is told as it goes: its story in the log, and its notes for Prefect's pages."""

import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from ctr_retrain.models.documents.day_documents import Counts, Finding
from ctr_retrain.models.documents.drift_documents import Alert
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.documents.verdict_documents import Check, Verdict
from ctr_retrain.models.errors import BusyError, DataRejectedError, StorageError
from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.tasks.alerts.delivery import Delivery
from ctr_retrain.tasks.ingest.ingest_day import IngestedDay
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.nights import told_night as telling
from ctr_retrain.tasks.nights.night_marks import begin_night, end_night
from ctr_retrain.tasks.nights.night_story import sentence_of
from ctr_retrain.tasks.nights.stage_times import timed
from ctr_retrain.tasks.nights.told_night import told_night
from ctr_retrain.tasks.nights.watched_night import Night
from ctr_retrain.tasks.report.run_summary import metric_rows, run_summary
from ctr_retrain.tasks.validate.detect_drift import DriftReport
from ctr_retrain.tasks.validate.validate_day import ValidatedDay

RUN = RunDocument.read(Path(__file__).parents[2] / "models" / "documents" / "before" / "run.json")


class Notes:
    """What would stand on Prefect's pages: the run's names in order, its tags, its artifacts by key, its progress."""

    def __init__(self, monkeypatch):
        self.names, self.tags, self.artifacts, self.progress = [], {}, {}, []
        notes = self

        class Progress:
            def __init__(self, key, about):
                assert key
                assert about

            def tell(self, share, words):
                assert words
                notes.progress.append(share)

        for name in ("note_words", "note_table", "note_link"):
            monkeypatch.setattr(telling, name, lambda key, content, about: self.artifacts.update({key: content}))
        monkeypatch.setattr(telling, "name_run", lambda name, **tags: (self.names.append(name), self.tags.update(tags)))
        monkeypatch.setattr(telling, "RunProgress", Progress)


@pytest.fixture
def notes(monkeypatch):
    return Notes(monkeypatch)


@pytest.fixture
def night(store, tmp_path, day, now):
    delivery = Delivery("tiny", Alerts(), (), tmp_path / "spool", "docs/runbook.md")
    return Night(store, LocalLandingZone(tmp_path / "landing"), delivery, tmp_path, SecretStr(""), day, now)


@timed
def ingest_day():
    """Ingest."""


@timed
def train_challenger():
    """Train."""


def test_a_night_with_a_verdict_is_told_by_name_tags_words_figures_and_report(night, notes, day, caplog):
    with caplog.at_level(logging.INFO), told_night(night, "tiny"):
        ingest_day()
        night.run = RUN.model_copy(update={"report": "s3://bucket/report.html"})
    decided = {"promote": "promoted", "hold": "held", "reject": "rejected"}[RUN.verdict.decision]
    assert notes.names == [f"tiny {day}", f"tiny {day} {decided}"]
    assert notes.tags == {"recipe": "tiny", "day": day, "verdict": RUN.verdict.decision}
    assert notes.artifacts.keys() == {"tiny-summary", "tiny-metrics", "tiny-report"}
    assert notes.progress == [1]
    assert "Ingest day: done." in caplog.text
    assert f"tiny {day}: {decided}." in caplog.text


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (DataRejectedError("nothing landed"), "data rejected"),
        (StorageError("disk full"), "failed"),
        (ZeroDivisionError("a mistake of ours"), "failed"),
        (BusyError("eva is at it"), "left to another run"),
    ],
)
def test_a_night_without_a_verdict_says_why_in_one_sentence(night, notes, day, caplog, error, end):
    with caplog.at_level(logging.INFO), pytest.raises(type(error)), told_night(night, "tiny"):
        raise error
    assert notes.names[-1] == f"tiny {day} {end}"
    assert str(error) in notes.artifacts["tiny-summary"]
    (line,) = [record for record in caplog.records if str(error) in record.getMessage()]
    assert (line.levelno, line.exc_info) == (logging.INFO, None)  # whoever began the run says it, and once


def test_progress_goes_by_the_seconds_that_stages_usually_take(night, notes, store, day, now):
    attempt = begin_night(store, day, now)
    end_night(store, day, attempt, "done", now, decision="hold", stages={"ingest_day": 10, "train_challenger": 30})
    with told_night(night, "tiny"):
        ingest_day()
        train_challenger()
        train_challenger()  # a stage that is made twice is no more than itself
    assert notes.progress == [0.25, 0.99, 0.99, 1]


def test_each_kind_of_result_has_a_sentence_of_its_own(day):
    counts = Counts(received=1_234, kept=1_000, duplicates=34, quarantined=200)
    ingested = IngestedDay(day, "", counts, counts, {"x.csv": "torn"}, (), {}, {}, {}, 0, None, ())
    finding = Finding(name="rows", passed=False, expected="", received="")
    validated = ValidatedDay(day, (finding,), accepted=False, by="validation", reason="", path="")
    alert = Alert(
        name="positive_ratio", level="critical", channel="ad", expected=(0.01, 0.02), received=0.5, cause="it doubled"
    )
    verdict = Verdict(decision="hold", bootstrap=False, checks=(), reason="Too few positives.")
    failed = Check(name="training", value=None, bound=None, passed=False, message="it diverged")
    said = [
        sentence_of("s", one) for one in (ingested, validated, DriftReport((), {}, (alert,)), verdict, failed, None)
    ]
    assert said == [
        f"1,234 impressions and 1,234 outcomes landed on {day}; 1,000 and 1,000 are kept. 1 files can't be read.",
        "The day is rejected: it failed rows.",
        "it doubled",
        "Verdict: hold. Too few positives.",
        "training: it diverged",
        "S: done.",
    ]


def test_a_summary_names_failed_checks_and_shows_markup_of_the_data_as_it_is():
    check = Check(name="rows", value=1, bound=2, passed=False, message="*few* <b>rows</b> | of [ad](x)")
    verdict = RUN.verdict.model_copy(update={"checks": (check,), "reason": "It_is_so"})
    words = run_summary(RUN.model_copy(update={"verdict": verdict}))
    assert "- \\*few\\* \\<b\\>rows\\</b\\> \\| of \\[ad\\](x)" in words
    assert "It\\_is\\_so" in words


def test_the_table_of_figures_has_each_metric_of_all_rows_and_of_each_channel():
    rows = metric_rows(RUN)
    assert {row["rows"] for row in rows} == {"all", *RUN.metrics.challenger.by_channel}
    auc = next(row for row in rows if row["metric"] == "AUC")
    assert auc["challenger"] == f"{RUN.metrics.challenger.auc:.4f}"
    assert metric_rows(RUN.model_copy(update={"metrics": type(RUN.metrics)()})) == []
