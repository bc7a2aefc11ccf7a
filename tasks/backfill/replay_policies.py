"""Replay past nights under several policies: each has its own champion, and the same challengers to choose from.

Every night its challenger and the policies' champions score the validation days' rows, as many models as differ. By
these rows the policies decide whom the next days have. By the same rows it is seen what the champions of that event
day, whom earlier nights decided on, cost: all of it of traffic that was really sent, with labels that are final.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.comparison_documents import PolicyName, PolicyTable
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.models.policies.compare_policies import GATE, ComparedPolicies, ScoredDay
from ctr_retrain.models.policies.policy_champions import PolicyChampions
from ctr_retrain.models.policies.policy_words import describe_policies
from ctr_retrain.models.policies.takeover_rules import RULES
from ctr_retrain.tasks.backfill.past_nights import PastNight, load_past_nights
from ctr_retrain.tasks.backfill.score_versions import score_versions
from ctr_retrain.tasks.backfill.shadow_gate import ShadowGate
from ctr_retrain.tasks.evaluate.score_models import judged_rows
from ctr_retrain.tasks.execution.model_process import models_on
from ctr_retrain.tasks.execution.progress import progress_of
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.champion import read_champions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from ctr_retrain.models.documents.command_documents import BackfillDay
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.execution.model_process import Compute, Models
    from ctr_retrain.tasks.orchestration.fan_out import FanOut
    from ctr_retrain.tasks.store.protocol import Store

FEWEST_DAYS = 2  # that are compared: one shows the weather of a day and no policy
NO_CHAMPION = "no champion yet, and this night's model did not pass the gate as the first"
FIRST_CHAMPION = "its model is the first in service, under every policy"

log = logging.getLogger(__name__)


def replay_policies(
    store: Store, seen: Store, recipe: Recipe, days: Sequence[BackfillDay], compute: Compute, fan_out: FanOut
) -> PolicyTable:
    """Return the policies on these days' nights, or a table without any that says why.

    Nothing under the root is changed but labels, which are made anew where they are gone. seen: the same store for all
    that is only read, night after night; so it may be one that asks its bucket once. Raises ProcessDiedError where the
    process of the models dies, StorageError where a disk or a service fails.
    """
    nights, left_out = load_past_nights(store, recipe, days, fan_out)
    with tempfile.TemporaryDirectory() as scratch:
        gate = ShadowGate(seen, recipe, Path(scratch) / "root")
        first, deciding, before = _begin(seen, gate, nights)
        left_out |= before
        if first is None or len(_event_days(deciding)) < FEWEST_DAYS:
            return no_table(recipe, _too_few_words(recipe, deciding), left_out)
        replay = _Replay(seen, recipe, gate, Path(scratch), first, deciding[0].day)
        with models_on(compute) as models, progress_of("replaying policies", "nights") as progress:
            for done, night in enumerate(deciding, start=1):
                try:
                    replay.add(night, models)
                except (StorageError, DataRejectedError) as error:  # of this night: the others can be told all the same
                    log.warning("policies on %s: %s", night.day, error)
                    left_out[night.day] = str(error)
                progress(done, len(deciding))
        return replay.table(left_out)


def no_table(recipe: Recipe, why: str, left_out: Mapping[date, str] | None = None) -> PolicyTable:
    """Return a table without policies that says why."""
    return PolicyTable(
        message=f"No policies are compared: {why}",
        currency=recipe.currency,
        margin=recipe.gate.max_cost_delta_per_1000,
        left_out=dict(sorted((left_out or {}).items())),
    )


def _begin(
    store: Store, gate: ShadowGate, nights: Sequence[PastNight]
) -> tuple[str | None, Sequence[PastNight], dict[date, str]]:
    """Return the first champion of every policy, the nights on which they decide, and why earlier ones don't."""
    if nights and (champion := read_champions(store).before(nights[0].day)):
        gate.begin_with_service(nights[0].day)
        return champion.version, nights, {}
    waiting = dict[date, str]()
    for place, night in enumerate(nights):
        if night.challenger and night.document.verdict.decision == "promote":
            gate.begin_with(night)
            return night.challenger, nights[place + 1 :], waiting | {night.day: FIRST_CHAMPION}
        waiting[night.day] = NO_CHAMPION
    return None, (), waiting


def _event_days(deciding: Sequence[PastNight]) -> set[date]:
    """Return the event days that can be compared: those after the first night on which the policies decide."""
    validated = {one.day for night in deciding for one in night.plan.validate}
    return {day for day in validated if day > deciding[0].day}


def _too_few_words(recipe: Recipe, deciding: Sequence[PastNight]) -> str:
    received = len(_event_days(deciding)) if deciding else 0
    enough = FEWEST_DAYS + recipe.maturity_days + 1
    return (
        f"expected at least {FEWEST_DAYS} event days with final labels after a night on which there is a champion, "
        f"received {received}. {enough} or more such nights in a row have them: choose an earlier --start."
    )


class _Replay:
    """The nights so far."""

    def __init__(self, store: Store, recipe: Recipe, gate: ShadowGate, scratch: Path, first: str, since: date) -> None:
        self._store, self._recipe, self._gate, self._scratch, self._since = store, recipe, gate, scratch, since
        self._gated = {name: channel.cost for name, channel in recipe.channels.items() if channel.gated}
        names: tuple[PolicyName, ...] = (*RULES, GATE)
        self._champions = {name: PolicyChampions(first) for name in names}
        self._compared = ComparedPolicies(self._gated)
        self._nights = list[date]()

    def add(self, night: PastNight, models: Models) -> None:
        """Let every policy decide by a night, and compare its event days that are new; all of it or nothing."""
        event_days = [one.day for one in night.plan.validate if self._is_new(one.day)]
        needed = self._needed(night, event_days)
        scored = self._score(night, needed, models)
        compared = [self._scored_day(scored, needed, night, day) for day in event_days]
        chosen = dict[PolicyName, str]()
        if night.challenger:
            for name, rule in RULES.items():
                rows = self._rows(scored, night.challenger, self._champions[name].current)
                if rule(rows.of_channels(self._gated), self._recipe):
                    chosen[name] = night.challenger
            chosen[GATE] = self._gate.decide(night, scored)
        for day in compared:
            self._compared.add(day, self._champions)
        for name, version in chosen.items():
            promoted = version == night.challenger
            self._champions[name].put_into_service(version, night.day, promoted=promoted)
        self._nights.append(night.day)

    def table(self, left_out: Mapping[date, str]) -> PolicyTable:
        """Return what the policies came to."""
        days = self._compared.days
        if len(days) < FEWEST_DAYS:
            why = f"expected at least {FEWEST_DAYS} event days that can be scored, received {len(days)}."
            return no_table(self._recipe, why, left_out)
        gate = self._recipe.gate
        policies = self._compared.outcomes(self._champions, gate.max_cost_delta_per_1000, gate.confidence)
        return PolicyTable(
            message=describe_policies(days, self._compared.rows, len(self._nights), policies),
            currency=self._recipe.currency,
            margin=gate.max_cost_delta_per_1000,
            nights=tuple(self._nights),
            days=tuple(days),
            rows=self._compared.rows,
            left_out=dict(sorted(left_out.items())),
            policies=policies,
        )

    def _is_new(self, day: date) -> bool:
        """Return True for an event day that policies have decided on and no earlier night has told of."""
        return day > self._since and day not in self._compared.days

    def _score(self, night: PastNight, needed: set[str], models: Models) -> pa.Table:
        """Score a night's rows by the needed models, and by those of the gate that are there."""
        folder = self._scratch / str(night.day)
        folder.mkdir()
        try:
            return score_versions(
                Run(self._store, self._recipe, night.plan, folder), models, needed, self._gate.roles(night.day).values()
            )
        finally:
            shutil.rmtree(folder)

    def _needed(self, night: PastNight, event_days: Sequence[date]) -> set[str]:
        """Return the night's challenger, whom it meets under each policy, and who served on the days, and before."""
        needed = {champions.current for champions in self._champions.values()}
        reigns = [champions.on(day) for champions in self._champions.values() for day in event_days]
        needed |= {version for reign in reigns for version in (reign.version, reign.predecessor) if version}
        return needed | ({night.challenger} if night.challenger else set())

    def _rows(self, scored: pa.Table, challenger: str, champion: str) -> JudgedRows:
        """Return all rows with two models' probabilities."""
        named = scored.append_column("challenger", scored[challenger]).append_column("champion", scored[champion])
        return judged_rows(named, None)

    def _scored_day(self, scored: pa.Table, needed: set[str], night: PastNight, day: date) -> ScoredDay:
        """Return one event day's rows of gated channels, with every model that scored them."""
        current = self._champions[GATE].current
        rows = self._rows(scored, current, current)
        place = [one.day for one in night.plan.validate].index(day)
        own = np.isin(rows.channel, list(self._gated)) & (rows.day == place)
        probability = {version: scored[version].to_numpy()[own] for version in sorted(needed)}
        return ScoredDay(day, rows.where(own), probability)
