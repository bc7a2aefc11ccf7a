"""The answer of `status`: a root at a glance, for people, for scripts and for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from ctr_retrain.models.documents.command_documents import OpenIncident
from ctr_retrain.models.documents.day_documents import Counts, RejectedDay
from ctr_retrain.models.documents.document import Day, Document, Part
from ctr_retrain.models.documents.drift_documents import Alert
from ctr_retrain.models.documents.maturity_documents import IncompleteDay
from ctr_retrain.models.documents.verdict_documents import Decision
from ctr_retrain.models.incidents.night_ref import NightEnd

# As a night's attempt ended; or it is at it, or the process that was is no more.
AttemptState = NightEnd | Literal["running", "killed"]


class RunSummary(Part):
    """A run in brief."""

    date: Day
    """The day that the run was for."""
    run_id: str
    """Name of the run."""
    alerts: tuple[Alert, ...]
    """Alerts of that day."""
    report: str | None
    """Address of its report."""
    decision: Decision
    """Its verdict."""
    reason: str
    """The verdict in words."""


class LandedCounts(Part):
    """Rows that landed on the newest run's day."""

    impressions: Counts
    """Impressions."""
    outcomes: Counts
    """Outcomes."""


class NewestYardstick(Part):
    """The worth of the network over simple models, when a run last measured it."""

    date: Day
    """The day of that run."""
    worth_it: bool
    """True if the network surely saved something against each of them."""
    message: str = Field(alias="words")
    """A sentence, with what to do where it didn't."""


class RunAttempt(Part):
    """An attempt to make a day's run."""

    date: Day
    """The day that the run was for."""
    state: AttemptState
    """done: it came to a verdict; rejected: its data can't be used; failed; left: somebody else was at it; running;
    killed: it never ended and is not at it any more."""
    began: str
    """Time at which it set out, in ISO format."""
    ended: str | None
    """Time at which it ended; null where it didn't."""
    host: str
    """Its machine."""
    process: int
    """Its process there."""
    decision: str | None
    """The verdict; null where there is none."""
    error: str
    """The error that ended it, in one line; empty where none did."""
    seconds: float | None
    """Time that it took; null before its end."""
    stages: Mapping[str, float]
    """Seconds that each of its stages took; empty before its end."""
    log: str
    """The file to which its log went, or the command that shows it; empty where it was a terminal or a pipe."""


class Problem(Part):
    """Something that somebody has to see to."""

    message: str = Field(alias="words")
    """A sentence."""
    command: str
    """The command to type."""


class LeaseState(Part):
    """The run that has the root to itself."""

    command: str
    """The command, as it could be typed again."""
    who: str
    """The user."""
    host: str
    """Its machine."""
    process: int
    """Its process there."""
    since: str
    """Time at which it took the lease, in ISO format."""
    beat_age_seconds: float | None
    """Age of its last sign of life; null where nobody can say."""
    alive: bool
    """False if its process has ended, or gave no sign of life for so long that the next run takes the lease over."""


class NextRun(Part):
    """The next run of the schedule."""

    at: str
    """Time, in ISO format and in the schedule's time zone."""
    day: Day
    """The day that it will be for."""


class DiskSpace(Part):
    """Room on a disk."""

    folder: str
    """The folder that fills up: the root, or the cache of one that lies in a bucket."""
    free_gib: float
    """Room that is left, in GiB."""
    low: bool
    """True if that is less than a night may need."""


class ServerState(Part):
    """A Prefect server."""

    address: str
    """Scheme, host and port."""
    answers: bool
    """True if it answered."""
    message: str = Field(alias="words")
    """A sentence."""


class StatusAnswer(Document):
    """The answer of `status`: a root at a glance."""

    root: str
    """Address of the root."""
    recipe: str | None
    """Name of the recipe that it serves; null in a new root."""
    champion: str | None
    """The model in service; null where there is none."""
    champion_data_through: Day | None
    """The newest day that it has seen."""
    newest_day: Day | None
    """The newest landing day that was ingested."""
    champion_data_age_days: int | None
    """Days between these two."""
    champion_calendar_age_days: int | None = None
    """Days from the newest day that it has seen to today, which grow also where nothing lands."""
    yardstick: NewestYardstick | None = None
    """The newest yardstick among the newest runs; null where none of them has one."""
    incidents: tuple[OpenIncident, ...] = ()
    """Open incidents, the gravest first."""
    rejected_days: tuple[RejectedDay, ...]
    """Days that wait for somebody to accept them."""
    incomplete_outcomes: tuple[IncompleteDay, ...] = Field((), exclude_if=lambda days: not days)
    """Landing days of which outcomes are missing, as the newest run saw them; absent where there are none."""
    runs: tuple[RunSummary, ...]
    """The newest runs, newest day first."""
    landed: LandedCounts | None = None
    """Rows that landed on the newest run's day; null without a run."""
    verdicts: Mapping[Decision, int] = Field({})
    """Number of runs by verdict, as of the newest run's end; empty before one has ended since this was counted."""
    attempts: tuple[RunAttempt, ...] = ()
    """The newest attempt to make each of the newest days' runs, newest day first."""
    lease: LeaseState | None = None
    """The run that has the root to itself; null where none has."""
    problems: tuple[Problem, ...] = ()
    """Everything that somebody has to see to, the gravest first; empty where all is well."""
    next_run: NextRun | None = None
    """When `serve` or a worker runs next by this machine's settings; null where they can't be read."""
    disk: DiskSpace | None = None
    """Room on the disk of this machine that fills up."""
    server: ServerState | None = None
    """The Prefect server that the environment names."""
