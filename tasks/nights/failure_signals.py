"""Signals of a run that ended without a verdict, or whose verdict says that the machinery failed."""

from __future__ import annotations

from datetime import date

from ctr_retrain.models.documents.day_documents import Validation
from ctr_retrain.models.documents.run_documents import DailyAnswer, DayDocument, RunDocument
from ctr_retrain.models.error_origins import is_stop
from ctr_retrain.models.errors import BusyError, DataRejectedError, ProcessDiedError, StorageError
from ctr_retrain.models.incidents.signal import Signal, SignalKind
from ctr_retrain.models.ledger.harm import harm_of
from ctr_retrain.models.outside_text import shown

# A run that came to a verdict has looked at all of these.
RUN_KINDS: tuple[SignalKind, ...] = (
    "no_data",
    "day_rejected",
    "storage_failed",
    "service_failed",
    "run_failed",
    "training_failed",
    "serving_check_failed",
    "run_killed",
    "champion_harmful",
)
# Libraries whose errors are a service's.
SERVICES = ("botocore", "boto3", "prefect", "httpx", "httpcore", "urllib", "distributed")
MOST_TOLD = 400  # characters of an error in a message; the run's log has all of it


def failure_signal(error: BaseException, day: date) -> Signal | None:
    """Return the signal of the error that ended a run; None where somebody else was at it, or stopped it by hand."""
    # Whoever is busy does what this run would have done, and whoever stopped it knows.
    if isinstance(error, (BusyError, SystemExit)) or is_stop(error):
        return None
    if isinstance(error, DataRejectedError):
        return _of_data(error, day)
    kind, what, look = _of_machinery(error)
    return Signal(
        kind=kind,
        level="critical",
        since=day,
        summary=f"{what}: there is no verdict for {day}, and the champion stays as it is.",
        details=(_told(error), look),
        commands=("ctr-retrain doctor", f"ctr-retrain daily --date {day}"),
    )


def verdict_signals(run: RunDocument) -> tuple[Signal, ...]:
    """Return the signals of a run that came to a verdict: training that made no model, an artifact that fails."""
    found: list[Signal] = []
    explain = f"ctr-retrain explain {run.date}"
    for check in run.verdict.checks:
        if check.name == "training" and not check.passed:
            summary = f"Training made no model on {run.date}: its loss, or a logit, was no number any more."
            # What makes a loss no number is nearly always one of these three.
            look = "Look at the newest changes of the recipe, outliers among the numbers, and training.learning_rate."
            found.append(
                Signal(
                    kind="training_failed",
                    level="warning",
                    since=run.date,
                    summary=summary,
                    details=(check.message, look),
                    commands=(explain,),
                )
            )
        if check.name == "serving" and not check.passed:
            summary = f"The model of {run.date} does not serve the numbers that it was judged by, and was rejected."
            found.append(
                Signal(
                    kind="serving_check_failed",
                    level="critical",
                    since=run.date,
                    summary=summary,
                    details=(check.message, "Look at what a fresh process lacks: memory, disk, a layer of one's own."),
                    commands=(explain, f"ctr-retrain daily --date {run.date} --force"),
                )
            )
    harm, back = harm_of(run.evidence), run.rolled_back if isinstance(run, DailyAnswer) else None
    # One that a better model has followed this very night is in service no more.
    if run.evidence and harm and (back or run.champion == run.evidence.champion):
        found.append(_of_champion(run, harm, back))
    return tuple(found)


def looked_at_by(run: RunDocument | None) -> tuple[SignalKind, ...]:
    """Return what a run that came to a verdict has looked at: a champion only where it was scored beside others."""
    measured = run and run.evidence and run.evidence.champion_over
    return RUN_KINDS if measured else tuple(kind for kind in RUN_KINDS if kind != "champion_harmful")


def _of_champion(run: RunDocument, harm: str, back: str | None) -> Signal:
    """Return the signal of a champion that is surely worse than what was there before it; back: what became of it."""
    restored = run.evidence and run.serves.version != run.evidence.champion
    what = "A harmful model was taken out of service" if restored else "The model in service is harmful"
    return Signal(
        kind="champion_harmful",
        level="critical",
        since=run.date,
        summary=f"{what}: {harm}.",
        details=(back or "Roll it back: the gate lets a better one through as soon as there is one.",),
        commands=("ctr-retrain status",) if restored else ("ctr-retrain rollback --reason TEXT", "ctr-retrain models"),
    )


def _of_data(error: DataRejectedError, day: date) -> Signal:
    """Return the signal of a day that has no data, or whose data can't be used."""
    if error.details.get("nothing_landed"):
        return Signal(
            kind="no_data",
            level="critical",
            since=day,
            summary=f"No impressions of {day} have landed: nothing was retrained.",
            details=(_told(error), "Look at the export job and at the landing zone's newest folders."),
            commands=("ctr-retrain doctor", f"ctr-retrain daily --date {day}"),
        )
    document = error.document
    failed = _failed(document.validation) if isinstance(document, DayDocument) else ()
    names = f" ({', '.join(failed)})" if failed else ""
    return Signal(
        kind="day_rejected",
        level="warning",
        since=day,
        size=float(len(failed)) or None,
        touches=failed,
        summary=f"The data of {day} was rejected{names}: nothing was retrained, and it enters no later training.",
        details=(
            _told(error),
            "Accepted as it is, the day trains every model of the coming training windows; left out, it trains none.",
        ),
        commands=(
            f"ctr-retrain validate --date {day}",
            f"ctr-retrain accept --date {day} --reason TEXT",
            f"ctr-retrain daily --date {day}",
        ),
    )


def _of_machinery(error: BaseException) -> tuple[SignalKind, str, str]:
    """Return kind, what happened and what to look at, of an error that is not the data's."""
    if isinstance(error, ProcessDiedError):
        return "training_failed", "The process that trains died", "Look at the machine's memory, and who else uses it."
    if any(type(cause).__module__.split(".")[0] in SERVICES for cause in _chain(error)):
        return "service_failed", "A service did not answer", "Look at the object store's and Prefect's servers."
    # After services, whose errors reach us as a StorageError with theirs as its cause.
    if isinstance(error, StorageError):
        return "storage_failed", "The storage failed", "Look at the disk: room, rights, and its own errors."
    return "run_failed", "The run ended in an error", "Look at the newest change of recipe, settings or software."


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an error and what it came from, the outermost first."""
    found: list[BaseException] = []
    # An error may come round to itself through its contexts.
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _failed(validation: Validation) -> tuple[str, ...]:
    """Return the names of the expectations that a day failed."""
    return tuple(failure.name for failure in validation.failed)


def _told(error: BaseException) -> str:
    """Return an error in one line, fit for a message."""
    text = shown(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:MOST_TOLD]}{'…' if len(text) > MOST_TOLD else ''}"
