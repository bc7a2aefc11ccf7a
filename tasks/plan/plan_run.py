"""The inputs of a run: accepted days, labelled as of its day, the champion, and where training starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from ctr_retrain.models.data.completeness import Completeness
from ctr_retrain.models.data.days import DayPlan, plan_days
from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.models.documents.run_documents import RunInputs, UsedDays
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.alerts.incident_refs import held_days
from ctr_retrain.tasks.execution.code_digest import code_of
from ctr_retrain.tasks.label.label_day import LabelledDay
from ctr_retrain.tasks.label.label_days import label_days
from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.plan.choose_start import COLD, Start, choose_start
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.protocol import Store, digest_of, has_object
from ctr_retrain.tasks.validate.validate_day import load_decision

ALL_COMPLETE = Completeness()


@dataclass(frozen=True)
class RunPlan:
    """The inputs of one run; its name is a digest of all of them, so that the same run is found again."""

    day: date  # the run's own day: labels are those known at its end
    run_id: str  # the day, and the beginning of the digest
    days: DayPlan  # which days the recipe gives which part, whether their data can be used or not
    train: tuple[LabelledDay, ...]  # trained on: the window's accepted days, in a warm start only the newer of them
    validate: tuple[LabelledDay, ...]  # the accepted validation days, on which challenger and champion are judged
    excluded: dict[str, str]  # days that are left out, and why
    champion: Tenure | None  # the last promotion before the run's day, or one of that very day that is in service
    recipe_digest: str
    training_digest: str  # of what trains alone
    code: str  # version and digest of this software, and of a network of one's own
    # The days after the cut, the run's own included, where the recipe ships models fresh; their labels are immature.
    fresh: tuple[LabelledDay, ...] = ()
    start: Start = COLD  # from nothing, or from the champion's weights
    completeness: Completeness = ALL_COMPLETE  # of the outcomes of each landing day
    # Earlier champions that are scored beside the champion, by role: what it is held to, and what it took the place of.
    earlier: Mapping[str, Tenure] = field(default_factory=dict)

    @property
    def window(self) -> tuple[LabelledDay, ...]:
        """Return all accepted days of the training window."""
        return (*self.start.earlier, *self.train)

    @property
    def data_through(self) -> date:
        """Return the newest event day that training reads."""
        return self.train[-1].day

    @property
    def fresh_pass(self) -> RunPlan:
        """Return the plan of the fresh pass: the days after the cut instead of the training window."""
        return replace(self, train=self.fresh, start=COLD)

    @property
    def calibrate(self) -> tuple[LabelledDay, ...]:
        """Return the days of the training window of which a share of users is kept for calibration."""
        return tuple(day for day in self.window if day.day in self.days.calibrate and self.start.keeps(day.day))

    @property
    def kept_out(self) -> RunPlan:
        """Return a plan of the calibration days alone, whose users kept out can be read for themselves."""
        return replace(self, train=self.calibrate, start=COLD)

    @property
    def cold(self) -> RunPlan:
        """Return the plan of the same run started from nothing."""
        return replace(self, train=self.window, start=COLD)

    @property
    def used_days(self) -> UsedDays:
        """Return the days that are really used."""
        used = ([day.day for day in days] for days in (self.train, self.calibrate, self.validate))
        train, calibrate, validation = map(tuple, used)
        return UsedDays(train=train, calibrate=calibrate, validation=validation)

    @property
    def inputs(self) -> RunInputs:
        """Return what the run's manifest, document and bundle say of its inputs."""
        return RunInputs(
            run_id=self.run_id,
            day=self.day,
            labels_as_of=self.day,
            data_through=self.data_through,
            train_through=self.data_through,
            days=self.used_days,
            excluded=self.excluded,
            labels=tuple(dict.fromkeys(day.path for day in (*self.window, *self.validate, *self.fresh))),
            champion=self.champion.version if self.champion else None,
            recipe_digest=self.recipe_digest,
            training_digest=self.training_digest,
            code=self.code,
        )


def plan_run(
    store: Store,
    recipe: Recipe,
    day: date,
    problems: dict[str, str],
    fan_out: FanOut,
    forced_at: datetime | None = None,
    days: DayPlan | None = None,
    completeness: Completeness = ALL_COMPLETE,
) -> RunPlan:
    """Choose the accepted days, label them as of `day` side by side, name the run by all of its inputs.

    problems: days that could not be ingested, and why. forced_at: makes a name that no run had before. days: other
    ones than a run for `day` has; then nothing is shipped fresh. completeness: of the outcomes of each landing day;
    event days that lack some are left out of the fresh pass. Raises DataRejectedError where no accepted day is left
    to train on or to validate on, UsageError where the recipe names a network that isn't there.
    """
    code = code_of(recipe)  # first: a network that isn't there needn't wait for labels
    ships_fresh = recipe.training.ship == "fresh" and days is None
    planned = days or plan_days(day, recipe)
    fresh_days = planned.fresh if ships_fresh else ()
    wanted = tuple(dict.fromkeys((*planned.train, *planned.validate, *fresh_days)))
    labels, excluded = _label_accepted(store, recipe, day, wanted, problems, fan_out)
    lacking = completeness.lacking_labels(recipe, fresh_days, day)
    window = _usable("train", day, planned.train, labels, excluded)
    validate = _usable("validate", day, planned.validate, labels, excluded)
    fresh = tuple(labels[one] for one in fresh_days if one in labels and one not in lacking)
    waiting = {str(one): why for one, why in lacking.items() if one not in planned.validate}  # which judge all the same
    excluded = waiting | excluded
    champions = read_champions(store)
    paths = [[labelled.path for labelled in role] for role in (window, validate, fresh)]
    forced = forced_at.isoformat() if forced_at else None
    read = [recipe.digest, recipe.confirmed, recipe.training.ship]
    missing = [[str(short.day), *sorted(short.pairs)] for short in completeness.shortfalls]

    def name_against(opponent: Tenure | None) -> str:
        met = opponent.version if opponent else None
        return f"{day}-{digest_of([*paths, *read, *missing, code, met, forced])[:8]}"

    champion = _opponent(store, champions.opponents(day), name_against)
    run_id = name_against(champion)
    start = choose_start(store, recipe, champions.before(day), window, code)
    train = window[len(start.earlier) :]
    digests = (recipe.digest, recipe.training_digest)
    earlier = champions.earlier_than(champion, day, recipe.gate.anchor_days) if champion else {}
    return RunPlan(
        day, run_id, planned, train, validate, excluded, champion, *digests, code, fresh, start, completeness, earlier
    )


def _opponent(
    store: Store, opponents: tuple[Tenure | None, ...], name_against: Callable[[Tenure | None], str]
) -> Tenure | None:
    """Return whom a run meets: whom it met when it was made from the same inputs before, else the last of them."""
    for opponent in reversed(opponents) if len(opponents) > 1 else ():
        if has_object(store, layout.run_object(name_against(opponent))):
            return opponent
    return opponents[-1]


def _label_accepted(
    store: Store, recipe: Recipe, as_of: date, wanted: tuple[date, ...], problems: dict[str, str], fan_out: FanOut
) -> tuple[dict[date, LabelledDay], dict[str, str]]:
    """Return the labels of the wanted days that can be used, and why the others can't."""
    excluded = held_days(store, recipe, wanted) | _excluded(store, wanted, problems)
    accepted = [day for day in wanted if str(day) not in excluded]
    labels = label_days(store, recipe, accepted, as_of, fan_out)
    empty = {str(day): "no impressions of that day" for day, labelled in labels.items() if not labelled.rows}
    return {day: labelled for day, labelled in labels.items() if labelled.rows}, excluded | empty


def _excluded(store: Store, days: tuple[date, ...], problems: dict[str, str]) -> dict[str, str]:
    excluded: dict[str, str] = {}
    for wanted in days:
        decision = load_decision(store, wanted)
        if str(wanted) in problems:
            excluded[str(wanted)] = problems[str(wanted)]
        elif decision is None:
            excluded[str(wanted)] = "not ingested and validated"
        elif not decision.accepted:
            excluded[str(wanted)] = f"rejected: {decision.reason}"
    return excluded


def _usable(
    purpose: str, day: date, wanted: tuple[date, ...], labels: dict[date, LabelledDay], excluded: dict[str, str]
) -> tuple[LabelledDay, ...]:
    """Return the wanted days that have labels; raises DataRejectedError where none has."""
    found = tuple(labels[one] for one in wanted if one in labels)
    if not found:
        reasons = "; ".join(f"{one}: {excluded[str(one)]}" for one in wanted[-3:])  # the newest tell enough
        msg = (
            f"run for {day}: expected at least one accepted day to {purpose} on from {wanted[0]} to {wanted[-1]}, "
            f"received none ({reasons}). Ingest these days, or accept them by hand."
        )
        raise DataRejectedError(msg)
    return found
