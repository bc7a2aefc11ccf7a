"""The index of a root's history: its runs, nights and decisions in brief, so that nobody has to read all of them.

It is a copy and decides nothing: what it says of a ref counts only while the ref has the mark that it had then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.models.documents.document import Day, Number, ObjectName, Part, StoredDocument
from ctr_retrain.models.documents.drift_documents import Alert
from ctr_retrain.models.documents.maturity_documents import IncompleteDay
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.documents.verdict_documents import Decision
from ctr_retrain.models.incidents.night_ref import NightAttempt


class IndexedYardstick(Part):
    """The worth of a run's network over simple models."""

    worth_it: bool
    """True if the network surely saved something against each of them."""
    message: str
    """A sentence."""


class IndexedRun(Part):
    """A run in brief. A run never changes, so neither does this."""

    run_id: ObjectName
    """Name of the run."""
    date: Day
    """The day that the run was for."""
    page: str
    """Link from the root to its report."""
    decision: Decision
    """Its verdict."""
    bootstrap: bool
    """True if there was no champion to compare with."""
    reason: str
    """The verdict in words."""
    cost_delta: Number | None
    """Cost against the model that it met; null where nothing was scored."""
    challenger_cost: Number | None
    """Cost of 1,000 of the challenger's decisions; null where it was not scored."""
    champion_cost: Number | None
    """Likewise of the champion that it met."""
    auc: Number | None
    """The challenger's AUC."""
    trained: int
    """Days that it was trained on."""
    first_trained: Day | None
    """The oldest of them; null where nothing was trained."""
    last_trained: Day | None
    """The newest of them."""
    judged: tuple[Day, ...]
    """Days on which the models were judged."""
    left_out: int
    """Days of its plan that were left out."""
    impressions: Counts
    """Impressions that landed on its day."""
    outcomes: Counts
    """Outcomes that landed on its day."""
    alerts: tuple[Alert, ...]
    """Alerts of its day."""
    incomplete_outcomes: tuple[IncompleteDay, ...]
    """Landing days of which outcomes are missing, as it saw them."""
    yardstick: IndexedYardstick | None
    """The worth of the network over simple models; null where it was not measured."""

    @classmethod
    def of_run(cls, run: RunDocument, page: str) -> Self:
        """Put a run in brief."""
        costs = [model.cost_per_1000 if model else None for model in (run.metrics.challenger, run.metrics.champion)]
        delta = next((check.value for check in run.verdict.checks if check.name == "cost_delta_per_1000"), None)
        found, trained = run.yardstick, run.days.train
        return cls(
            run_id=run.run_id,
            date=run.date,
            page=page,
            decision=run.verdict.decision,
            bootstrap=run.verdict.bootstrap,
            reason=run.verdict.reason,
            cost_delta=delta,
            challenger_cost=costs[0],
            champion_cost=costs[1],
            auc=run.metrics.challenger.auc if run.metrics.challenger else None,
            trained=len(trained),
            first_trained=trained[0] if trained else None,
            last_trained=trained[-1] if trained else None,
            judged=run.days.validation,
            left_out=len(run.excluded),
            impressions=run.ingest.impressions,
            outcomes=run.ingest.outcomes,
            alerts=run.alerts,
            incomplete_outcomes=run.incomplete_outcomes,
            yardstick=IndexedYardstick(worth_it=found.worth_it, message=found.message) if found else None,
        )


class IndexedRef(Part):
    """A part of the index that was read from a ref."""

    mark: str
    """Mark that the ref had when it was read: its ETag in a bucket, its file's stamp on a local disk."""


class IndexedRecord(IndexedRef):
    """The runs that were made for a day."""

    runs: tuple[ObjectName, ...]
    """All of them, newest last."""


class IndexedDecision(IndexedRef):
    """The decision on a landing day."""

    accepted: bool
    """True if the day may enter training."""
    reason: str
    """The reason; empty where the day is accepted."""
    docs: str
    """Link from the root to the page of its validation; empty likewise."""


class IndexedNight(IndexedRef):
    """The newest attempts to make a day's run."""

    attempts: tuple[NightAttempt, ...]
    """They themselves, newest last."""


class HistoryIndex(StoredDocument):
    """A root's history in brief: history.json right below the root."""

    runs: tuple[IndexedRun, ...] = ()
    """Runs, by name."""
    records: Mapping[Day, IndexedRecord] = {}
    """Days that have runs."""
    decisions: Mapping[Day, IndexedDecision] = {}
    """Landing days that were validated."""
    nights: Mapping[Day, IndexedNight] = {}
    """The newest days whose run was tried."""
    newest_landed: Day | None = None
    """The newest landing day that was ingested."""
    complete: bool = False
    """True if all runs are in it that there were when it was made: not only those of the newest days."""
    checksum: str = ""
    """SHA-256 of all the rest, by which a damaged copy is told."""

    def sealed(self) -> HistoryIndex:
        """Return the index with its checksum."""
        return self.model_copy(update={"checksum": _digest(self)})

    @property
    def is_empty(self) -> bool:
        """Return True if there is nothing in it: it is of a new root."""
        return not (self.runs or self.records or self.decisions or self.nights or self.newest_landed)

    @property
    def is_whole(self) -> bool:
        """Return True if the index says what was written into it."""
        return self.checksum == _digest(self)


def _digest(index: HistoryIndex) -> str:
    content: dict[str, Any] = {**index.to_json(), "checksum": ""}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
