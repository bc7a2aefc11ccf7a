"""Metrics of a root in Prometheus' terms, made from its status each time that they are asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from ctr_retrain.models.documents.verdict_documents import Decision
from ctr_retrain.models.errors import CtrRetrainError
from ctr_retrain.models.incidents.incident import LEVELS
from ctr_retrain.models.incidents.status_answer import RunAttempt, StatusAnswer

PREFIX = "ctr_retrain_"
STATES = ("done", "rejected", "failed", "left", "running", "killed")  # of AttemptState; a test compares them

Look = Callable[[], StatusAnswer]
Sample = tuple[tuple[str, ...], float]  # values of the labels behind the recipe's name, and the metric's


class RootMetrics(Collector):
    """Metrics of one root. A look that fails is a metric too: the others are absent then, and not as they were."""

    def __init__(self, recipe: str, look: Look) -> None:
        """Take the recipe's name, which is a label of all metrics, and the way to the root's status."""
        self._recipe, self._look = recipe, look

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing: a registry that takes a collector then asks for no look."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Look, and yield the metrics of what was seen."""
        try:
            status = self._look()
        except (CtrRetrainError, OSError):
            # An exception would answer a scrape with status 500, which looks as if the process were down.
            yield self._gauge("root_readable", "1 if the root could be read", [((), 0)])
            return
        yield self._gauge("root_readable", "1 if the root could be read", [((), 1)])
        yield self._gauge("looked_timestamp_seconds", "Time of this look", [((), time.time())])
        yield from self._runs(status)
        yield from self._champion(status)
        yield from self._rows(status)
        yield from self._troubles(status)
        yield from self._machine(status)

    def _runs(self, status: StatusAnswer) -> Iterator[GaugeMetricFamily]:
        """Yield how the newest day's run went, and its verdict among all."""
        # Zero and absent are two things to whoever writes a rule: each verdict and state has its series always.
        verdicts: tuple[Decision, ...] = get_args(Decision)
        counted: list[Sample] = [((one,), status.verdicts.get(one, 0)) for one in verdicts if status.verdicts]
        yield self._gauge("runs", "Runs by verdict", counted, "decision")
        newest = status.attempts[0] if status.attempts else None
        if newest is None:
            return
        states: list[Sample] = [((state,), float(newest.state == state)) for state in STATES]
        yield self._gauge("run_state", "1 for the state of the newest day's run", states, "state")
        yield self._gauge("run_day_timestamp_seconds", "Start of the newest day", [((), _midnight(newest))])
        ended = [
            datetime.fromisoformat(one.ended).timestamp()
            for one in status.attempts
            if one.state == "done" and one.ended is not None
        ]
        if ended:
            yield self._gauge("run_done_timestamp_seconds", "End of the newest run with a verdict", [((), ended[0])])
        # Not the newest attempt: how long a run takes that failed half-way says nothing of the nights.
        timed = next((one for one in status.attempts if one.stages and one.state == "done"), None)
        if timed and timed.seconds is not None:
            yield self._gauge("run_duration_seconds", "Time of the newest run with a verdict", [((), timed.seconds)])
            stages: list[Sample] = [((name,), seconds) for name, seconds in timed.stages.items()]
            yield self._gauge("stage_duration_seconds", "Time of each of its stages", stages, "stage")

    def _champion(self, status: StatusAnswer) -> Iterator[GaugeMetricFamily]:
        """Yield which model serves and how old its data is."""
        serving: list[Sample] = [((status.champion,), 1)] if status.champion else []
        yield self._gauge("champion_info", "1 for the model in service", serving, "version")
        ages = (
            ("champion_data_age_days", "Days from its newest data to the newest landed day", "champion_data_age_days"),
            ("champion_calendar_age_days", "Days from its newest data to today", "champion_calendar_age_days"),
        )
        for name, words, key in ages:
            if (age := getattr(status, key)) is not None:
                yield self._gauge(name, words, [((), age)])

    def _rows(self, status: StatusAnswer) -> Iterator[GaugeMetricFamily]:
        """Yield what landed on the newest run's day."""
        if status.landed is None:
            return
        streams = {"impressions": status.landed.impressions, "outcomes": status.landed.outcomes}
        rows: list[Sample] = [
            ((stream, fate), float(count)) for stream, counts in streams.items() for fate, count in counts
        ]
        yield self._gauge("rows", "Rows that landed on the newest run's day", rows, "stream", "fate")

    def _troubles(self, status: StatusAnswer) -> Iterator[GaugeMetricFamily]:
        """Yield incidents, problems and days that wait for somebody."""
        levels: list[Sample] = [
            ((level,), float(sum(one.level == level for one in status.incidents))) for level in LEVELS
        ]
        yield self._gauge("incidents_open", "Open incidents by level", levels, "level")
        # Apart from the counts, since a dashboard lists them by name and a rule goes by the number of a level.
        kinds = sorted({(one.kind, one.subject, one.level) for one in status.incidents})
        yield self._gauge("incident", "1 for each open incident", [(one, 1) for one in kinds], *_OF_INCIDENT)
        yield self._gauge("problems", "What somebody has to see to, by `status`", [((), len(status.problems))])
        yield self._gauge("rejected_days", "Days rejected and not accepted", [((), len(status.rejected_days))])

    def _machine(self, status: StatusAnswer) -> Iterator[GaugeMetricFamily]:
        """Yield the disk of this machine, who has the root, and the schedule's next run."""
        if status.disk:
            free: list[Sample] = [((status.disk.folder,), status.disk.free_gib * 2**30)]
            yield self._gauge("disk_free_bytes", "Room where root or cache fill up", free, "folder")
        held = status.lease is not None and status.lease.alive
        yield self._gauge("lease_held", "1 while a run that lives has the root to itself", [((), float(held))])
        if status.lease:
            since = datetime.fromisoformat(status.lease.since).timestamp()
            yield self._gauge("lease_since_timestamp_seconds", "When the lease was taken", [((), since)])
            if (age := status.lease.beat_age_seconds) is not None:
                yield self._gauge("lease_beat_age_seconds", "Age of its holder's last sign of life", [((), age)])
        if status.next_run:
            due = datetime.fromisoformat(status.next_run.at).timestamp()
            yield self._gauge("next_run_timestamp_seconds", "When the schedule's next run is due", [((), due)])

    def _gauge(self, name: str, words: str, samples: list[Sample], *labels: str) -> GaugeMetricFamily:
        """Make a metric of some samples."""
        family = GaugeMetricFamily(f"{PREFIX}{name}", f"{words}.", labels=("recipe", *labels))
        for values, value in samples:
            family.add_metric((self._recipe, *values), value)
        return family


_OF_INCIDENT = ("kind", "subject", "level")  # labels


def registry_of(metrics: RootMetrics) -> CollectorRegistry:
    """Return a registry of these metrics alone, without those of the process that serves them."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return registry


def _midnight(attempt: RunAttempt) -> float:
    return datetime.combine(attempt.date, datetime.min.time(), UTC).timestamp()
