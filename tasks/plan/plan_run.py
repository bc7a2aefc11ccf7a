"""What a run is made of: the accepted days of its plan with their labels, the champion it meets, and its name.

The name is a digest of all of that, of the recipe and of the code: equal inputs give the same run, so it is found and
not made again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any

from ctr_retrain.models.data.days import DayPlan, plan_days
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.execution.code_digest import code_of
from ctr_retrain.tasks.execution.fan_out import FanOut
from ctr_retrain.tasks.label.label_day import LabelledDay, is_labelled, label_day
from ctr_retrain.tasks.plan.choose_start import COLD, Start, choose_start
from ctr_retrain.tasks.store.champion import Tenure, read_champions
from ctr_retrain.tasks.store.protocol import Store, digest_of
from ctr_retrain.tasks.validate.validate_day import load_validated_day


@dataclass(frozen=True)
class RunPlan:
    """The inputs of one run. `excluded`: days of the plan that are left out, and why.

    train: days of T that are trained on; all of its accepted ones but in a run that starts from the champion.
    fresh: the days after the cut, D included, where the recipe ships models fresh; their labels are young.
    """

    day: date
    run_id: str
    days: DayPlan
    train: tuple[LabelledDay, ...]
    validate: tuple[LabelledDay, ...]
    excluded: dict[str, str]
    champion: Tenure | None
    recipe_digest: str
    code: str
    fresh: tuple[LabelledDay, ...] = ()
    start: Start = COLD

    @property
    def window(self) -> tuple[LabelledDay, ...]:
        """All accepted days of T."""
        return (*self.start.earlier, *self.train)

    @property
    def data_through(self) -> date:
        """The newest event day that training reads."""
        return self.train[-1].day

    @property
    def fresh_pass(self) -> RunPlan:
        """The same run, its days after the cut instead of T."""
        return replace(self, train=self.fresh, start=COLD)

    @property
    def calibrate(self) -> tuple[LabelledDay, ...]:
        """The days of T of which a share of users is kept for calibration."""
        return tuple(day for day in self.window if day.day in self.days.calibrate and self.start.keeps(day.day))

    @property
    def twin(self) -> RunPlan:
        """The same run, started from nothing."""
        return replace(self, train=self.window, start=COLD)

    def days_json(self) -> dict[str, list[str]]:
        """The days that were really used, as `daily --json` shows them."""
        used = {"train": self.train, "calibrate": self.calibrate, "validate": self.validate}
        return {name: [str(day.day) for day in days] for name, days in used.items()}

    def to_json(self) -> dict[str, Any]:
        """What the run's manifest keeps of its inputs."""
        return {
            "run_id": self.run_id,
            "day": str(self.day),
            "labels_as_of": str(self.day),
            "data_through": str(self.data_through),
            "train_through": str(self.data_through),
            "days": self.days_json(),
            "excluded": self.excluded,
            "labels": list(dict.fromkeys(day.path for day in (*self.window, *self.validate, *self.fresh))),
            "champion": self.champion.version if self.champion else None,
            "recipe_digest": self.recipe_digest,
            "code": self.code,
        }


def plan_run(
    store: Store,
    recipe: Recipe,
    day: date,
    problems: dict[str, str],
    fan_out: FanOut,
    forced_at: datetime | None = None,
    days: DayPlan | None = None,
) -> RunPlan:
    """Choose the accepted days, label them as of `day` side by side, name the run. `forced_at` makes a name of its own.

    days: instead of those that a run for `day` has; then nothing is shipped fresh. Raises DataRejectedError where no
    accepted day is left to train on or to validate on, UsageError where the recipe names a network that isn't there.
    """
    code = code_of(recipe)  # first: a network that isn't there needn't wait for labels
    wanted_fresh = recipe.training.ship == "fresh" and days is None
    days = days or plan_days(day, recipe)
    fresh_days = days.fresh if wanted_fresh else ()
    read = tuple(dict.fromkeys((*days.train, *days.validate, *fresh_days)))
    excluded = _excluded(store, read, problems)
    labels = _label(store, recipe, [d for d in read if str(d) not in excluded], day, fan_out)
    excluded |= {str(wanted): "no impressions of that day" for wanted, labelled in labels.items() if not labelled.rows}
    labels = {wanted: labelled for wanted, labelled in labels.items() if labelled.rows}
    train = tuple(labels[wanted] for wanted in days.train if wanted in labels)
    validate = tuple(labels[wanted] for wanted in days.validate if wanted in labels)
    fresh = tuple(labels[wanted] for wanted in fresh_days if wanted in labels)
    for purpose, wanted, found in (("train", days.train, train), ("validate", days.validate, validate)):
        if not found:
            reasons = "; ".join(f"{d}: {excluded[str(d)]}" for d in wanted[-3:])
            msg = (
                f"run for {day}: expected at least one accepted day to {purpose} on from {wanted[0]} to {wanted[-1]}, "
                f"received none ({reasons}). Ingest these days, or accept them by hand."
            )
            raise DataRejectedError(msg)
    champion = read_champions(store).before(day)
    inputs = [
        [day.path for day in train],
        [day.path for day in validate],
        [day.path for day in fresh],
        recipe.digest,
        code,
        champion.version if champion else None,
        forced_at.isoformat() if forced_at else None,
    ]
    run_id = f"{day}-{digest_of(inputs)[:8]}"
    start = choose_start(store, recipe, champion, train, code)
    train = train[len(start.earlier) :]
    return RunPlan(day, run_id, days, train, validate, excluded, champion, recipe.digest, code, fresh, start)


def _label(store: Store, recipe: Recipe, days: list[date], as_of: date, fan_out: FanOut) -> dict[date, LabelledDay]:
    """The days' labels; those not labelled before are made side by side."""
    work = partial(_label_on, store, recipe, as_of)
    new = fan_out.over([day for day in days if not is_labelled(store, recipe, day, as_of)], "labelling", work)
    return {day: new[day] if day in new else work(day) for day in days}


def _label_on(store: Store, recipe: Recipe, as_of: date, day: date) -> LabelledDay:
    return label_day(store, recipe, day, as_of)


def _excluded(store: Store, days: tuple[date, ...], problems: dict[str, str]) -> dict[str, str]:
    excluded: dict[str, str] = {}
    for wanted in days:
        validated = load_validated_day(store, wanted)
        if str(wanted) in problems:
            excluded[str(wanted)] = problems[str(wanted)]
        elif validated is None:
            excluded[str(wanted)] = "not ingested and validated"
        elif not validated.accepted:
            excluded[str(wanted)] = f"rejected: {validated.reason}"
    return excluded
