"""The answers of the other commands with --json; those on models are in bundle_documents.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field

from ctr_retrain.models.documents.comparison_documents import PolicyTable
from ctr_retrain.models.documents.document import Day, Document, Part
from ctr_retrain.models.documents.run_documents import DailyAnswer
from ctr_retrain.models.documents.verdict_documents import Decision

BackfillOutcome = Literal["ingested", "skipped", "rejected", "data rejected", "failed", "promote", "hold", "reject"]
# missing: never made; failed: tried, to no end or with data that was rejected; restated: what it reads has landed anew;
# other columns: ingested by a recipe that reads other columns; finished: nothing is left to do.
BackfillReason = Literal["missing", "failed", "restated", "other columns", "finished"]


class VersionAnswer(Document):
    """The answer of `--version`."""

    version: str
    """Version of this software."""
    code: str
    """Version and digest of the code, as runs record it."""


class SimulateAnswer(Document):
    """The answer of `simulate`: where the simulated days lie."""

    landing: str
    """Landing zone with the events."""
    truth: str
    """The true probabilities, apart from the landing zone."""
    days: int
    """Number of simulated days."""


class LandAnswer(Document):
    """The answer of `land`: what one file became, by landing day."""

    landing: str
    """The landing zone."""
    rows: Mapping[Day, int]
    """Impressions of each landing day."""
    outcomes: Mapping[Day, int]
    """Outcomes of each landing day."""
    malformed: int
    """Lines that could not be read; they landed too, for `ingest` to quarantine."""


class InitAnswer(Document):
    """The answer of `init`: a first recipe for one's own file, and what it rests on."""

    recipe: str
    """Path of the recipe."""
    rows: int
    """Rows of the file."""
    time: str
    """Column with the impression's time, and how it is written."""
    event_id: str
    """Column that tells one impression from another; `file_row` where the file's name and the row's number do."""
    user_id: str | None
    """Column with the user; null where none was found."""
    campaign_id: str | None
    """Column with the campaign; null where none was found."""
    channels: tuple[str, ...]
    """Names of the channels."""
    outcomes: Mapping[str, str]
    """Column of each kind of outcome in the impression's own row, of which the first makes a positive; of outcomes that
    are rows of their own, the column that says of which impression."""
    seen_rate: float
    """Positive ratio of the rows that were looked at."""
    break_even_rate: float
    """Positive ratio from which on sending to everybody pays, by the two prices."""
    first_verdict_day: Day
    """The first day that can have a full verdict."""
    missing_days: int
    """Days that have to land before that; 0: all are there."""
    unsure: tuple[str, ...]
    """Choices that the file alone could not decide, each a sentence."""
    leaks: Mapping[str, str]
    """Features that seem to be known only afterwards, and so are left out, with the reason."""
    left_out: Mapping[str, str]
    """Columns that became no feature, with the reason."""
    next_commands: tuple[str, ...]
    """Commands to type next."""
    verdict: Decision | None = None
    """With --check, the verdict of the first full day; null where days are missing."""
    verdict_reason: str | None = None
    """That verdict in words; where there is none, why."""


class OpenIncident(Part):
    """An open incident in brief; `alerts list` has all of it."""

    kind: str
    """The kind, which has an entry in docs/runbook.md."""
    subject: str
    """What it is about; empty for the root as a whole."""
    level: str
    """notice, warning or critical."""
    since: Day
    """The first day that showed it."""
    message: str = Field(alias="words")
    """A sentence."""


class PromoteAnswer(Document):
    """The answer of `promote`."""

    champion: str
    """The model in service."""
    reason: str
    """The reason, as the history keeps it."""


class RollbackAnswer(Document):
    """The answer of `rollback`."""

    champion: str
    """The model in service."""
    barred: str
    """The model that was taken out of service and may not come back by the gate."""
    reason: str
    """The reason, as the history keeps it."""


class GarbageReport(Document):
    """Objects under a root that nobody needs any more."""

    root: str
    """Address of the root."""
    dry_run: bool
    """True if things were only named, not removed."""
    removed: tuple[str, ...]
    """Objects that went, or would go."""
    kept: int
    """Objects that stay."""


class GarbageAnswer(GarbageReport):
    """The answer of `gc`."""

    checkpoints: tuple[str, ...]
    """Checkpoints of fits that nobody makes any more, which went or would go."""


class Damage(Part):
    """Something under a root that is not as it was written."""

    path: str
    """The object or the ref."""
    message: str
    """What was expected and received, with the file."""


class VerifyAnswer(Document):
    """The answer of `verify`: what was read, and what is damaged. Where anything is, the error stands beside it."""

    root: str
    """Address of the root."""
    refs: int
    """Refs that were read."""
    objects: int
    """Objects that were read."""
    files: int
    """Files in them."""
    size: int = Field(alias="bytes")
    """Bytes in them."""
    damaged: tuple[Damage, ...]
    """What is damaged or missing; empty where all is whole."""


class MachineCheck(Part):
    """One thing that a night's run needs."""

    name: str
    """Name of the check."""
    passed: bool
    """True if it is there."""
    message: str = Field(alias="words")
    """A sentence: what was found, and what to mend."""


class DoctorAnswer(Document):
    """The answer of `doctor`."""

    checks: tuple[MachineCheck, ...]
    """All checks, in order."""


class BackfillDay(Part):
    """One day of a backfill."""

    date: Day
    """The day."""
    outcome: BackfillOutcome
    """The result; a verdict where the day trained."""
    run_id: str | None = Field(None, exclude_if=lambda run: run is None)
    """Its run, where it has one."""
    reason: str | None = Field(None, exclude_if=lambda reason: reason is None)
    """The reason why its data could not be used, or the error that ended it, where one did."""


class PlannedDay(Part):
    """One day of a backfill's plan."""

    date: Day
    """The day."""
    reason: BackfillReason
    """The reason for which it would run; `finished` where it would not."""
    detail: str = ""
    """More about the reason, such as the day of its window that was restated; often empty."""
    trains: bool
    """True if the day gets a run of its own, false if its data alone is made ready."""
    about_seconds: float | None
    """About how long it would take, by the newest nights; null where none tells."""
    champion: str | None = None
    """The champion that its run met, or would meet by what is in service now; null without one or without a run."""
    champion_may_follow: Day | None = None
    """The first day before it whose run may put another champion there by then; null where none may."""


class BackfillPlan(Document):
    """The answer of `backfill --plan`, which `backfill --from-plan` reads."""

    retrain: Literal["last", "each", "none"]
    """The days that train."""
    shadow: bool
    """True if nothing is to be put into service."""
    start: Day
    """The first day of the range."""
    end: Day
    """Its last day."""
    days: tuple[PlannedDay, ...]
    """Its days in order; with --only those with that reason."""
    about_seconds: float | None
    """About how long all of it would take; null where that is unknown of a day, or of the table of policies."""
    policies_seconds: float | None = None
    """About how much of that is the table of policies, which scores all nights of the range, finished ones too; null
    where none is made, as it takes both --shadow and --retrain each, or where no night tells."""


class BackfillAnswer(Document):
    """The answer of `backfill`."""

    days: tuple[BackfillDay, ...]
    """The days in order."""
    champion: str | None
    """The model in service after it; null where there is none."""
    policies: PolicyTable | None = Field(None, exclude_if=lambda table: table is None)
    """Policies by which a challenger takes over, side by side on these days; absent without --shadow."""


class DemoIncident(OpenIncident):
    """An incident of the demonstration's days, over or not."""

    resolved: Day | None
    """The day whose run found it no more; null while it is open."""


class DemoAnswer(Document):
    """The answer of `demo` and `demo-open-bandit`."""

    runs: tuple[DailyAnswer, ...]
    """The runs, one a day, each as `daily` answers."""
    incidents: tuple[DemoIncident, ...] = ()
    """Incidents of these days of which people are told, in the order in which they began."""


class Failure(Part):
    """The error that ended a command."""

    model_config = ConfigDict(extra="allow")  # each kind of error may say more

    type: str
    """Kind of the error."""
    message: str
    """A sentence: what, where, expected, received, and what to do."""
    exit_code: int
    """The exit status."""


class FailedAnswer(Document):
    """The answer of any command that failed. Beside the error stands what the command's own document has by then."""

    model_config = ConfigDict(extra="allow")

    error: Failure
    """The error that ended it."""
