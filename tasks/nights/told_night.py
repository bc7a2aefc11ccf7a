"""One night's run, told as it goes: a story in the log, and name, tags and artifacts on Prefect's pages."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.errors import CtrRetrainError, StorageError
from ctr_retrain.models.incidents.night_ref import NightEnd
from ctr_retrain.tasks.execution.shown_logs import logged_to_file
from ctr_retrain.tasks.nights.night_marks import load_nights
from ctr_retrain.tasks.nights.night_story import sentence_of
from ctr_retrain.tasks.nights.stage_times import told_of_stages
from ctr_retrain.tasks.nights.usual_seconds import NIGHTS
from ctr_retrain.tasks.nights.watched_night import Night, end_of
from ctr_retrain.tasks.orchestration.run_notes import RunProgress, name_run, note_link, note_table, note_words
from ctr_retrain.tasks.report.run_summary import DECIDED, metric_rows, run_summary
from ctr_retrain.tasks.store.protocol import Store

log = logging.getLogger(__name__)

ENDS: Mapping[NightEnd, str] = {
    "done": "done",
    "rejected": "data rejected",
    "failed": "failed",
    "left": "left to another run",
}
MOST_SHARE = 0.99  # of the run, before its end: stages that no earlier night had are still to come


@contextmanager
def told_night(night: Night, recipe: str) -> Iterator[None]:
    """Tell whoever looks on how a night's run goes and how it ends; nothing of it costs the run."""
    with logged_to_file(), _told(night, recipe):
        yield


@contextmanager
def _told(night: Night, recipe: str) -> Iterator[None]:
    name = f"{recipe} {night.day}"
    log.info("The run for %s of recipe %s begins, in %s.", night.day, recipe, night.store.root)
    name_run(name, recipe=recipe, day=night.day)
    told = _ToldStages(RunProgress(f"{recipe}-progress", f"Run for {night.day}"), _usual_stages(night.store))
    try:
        with told_of_stages(told.stage_ended):
            yield
    except BaseException as error:
        _tell_end(name, recipe, error)
        raise
    told.progress.tell(1, "done")
    if night.run:
        _tell_verdict(name, recipe, night.run)


class _ToldStages:
    """The stages of a run as they end: each is a line of the story, and moves the progress on."""

    def __init__(self, progress: RunProgress, usual: Mapping[str, float]) -> None:
        """Take the seconds that each stage usually takes, by which the progress is measured."""
        self.progress = progress
        self._usual = usual
        self._done: set[str] = set()

    def stage_ended(self, stage: str, seconds: float, result: object) -> None:
        """Tell of a stage that came to a good end."""
        sentence = sentence_of(stage, result)
        log.info("%s (%.1f s)", sentence, seconds)
        self._done.add(stage)
        whole = sum(self._usual.values())
        if whole:
            share = sum(self._usual.get(name, 0.0) for name in self._done) / whole
            self.progress.tell(min(share, MOST_SHARE), sentence)


def _usual_stages(store: Store) -> Mapping[str, float]:
    """Return the seconds of each stage of the newest run that trained; empty where none did, or nobody can say."""
    try:
        nights = load_nights(store, NIGHTS)
    except StorageError:  # the run itself will say so
        return {}
    attempts = (attempt for night in nights for attempt in reversed(night.attempts))
    return next((one.stages for one in attempts if one.end == "done" and "train_challenger" in one.stages), {})


def _tell_end(name: str, recipe: str, error: BaseException) -> None:
    """Tell of a run without a verdict: one sentence, which is all that a person needs of an error of ours."""
    end, sentence = end_of(error)
    # A line of the story, not an error: whoever began the run gets the error itself, and says it once.
    log.info("The run ended without a verdict, %s: %s", ENDS[end], sentence)
    name_run(f"{name} {ENDS[end]}", end=end)
    mend = "" if isinstance(error, CtrRetrainError) else "\n\nThe log of the run has its traceback."
    note_words(f"{recipe}-summary", f"**{name}: {ENDS[end]}.** {sentence}{mend}", "How the run ended")


def _tell_verdict(name: str, recipe: str, run: RunDocument) -> None:
    """Tell of a run that came to a verdict."""
    decided = DECIDED[run.verdict.decision]
    log.info("%s: %s. %s %s Report: %s", name, decided, run.verdict.reason, run.serves.message, run.report)
    name_run(f"{name} {decided}", verdict=run.verdict.decision)
    note_words(f"{recipe}-summary", run_summary(run), "The verdict and its reasons")
    if rows := metric_rows(run):
        note_table(f"{recipe}-metrics", rows, "Figures on the validation days")
    if run.report:
        note_link(f"{recipe}-report", run.report, f"Report for {run.date}")
