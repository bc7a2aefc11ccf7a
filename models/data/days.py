"""The days of a run for day D: training window, calibration days, validation days."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.recipe import Recipe


def day_range(first: date, last: date) -> tuple[date, ...]:
    """Return the days from first to last, both included; none where last lies before first."""
    return tuple(first + timedelta(days=i) for i in range((last - first).days + 1))


@dataclass(frozen=True)
class DayPlan:
    """The days of one run, before days that were not accepted are taken out."""

    day: date  # D, which the run is for
    maturity_days: int  # after which a day's labels are final
    train: tuple[date, ...]  # the training window (T), which ends at the cut
    calibrate: tuple[date, ...]  # its newest days: a share of their users is the calibration slice (C)
    validate: tuple[date, ...]  # the validation days (V): the newest ones with final labels; only the gate sees them

    @property
    def cut(self) -> date:
        """Return the newest day of the training window; it is the `data_through` of a model trained on the window."""
        return self.train[-1]

    def aged(self, days: int) -> DayPlan:
        """Return a plan whose training window is as long and ends so many days earlier; the validation days stay."""
        earlier = timedelta(days=days)
        train, calibrate = (tuple(day - earlier for day in role) for role in (self.train, self.calibrate))
        return replace(self, train=train, calibrate=calibrate)

    @property
    def fresh(self) -> tuple[date, ...]:
        """Return the days after the cut, D included: those of the fresh pass, where the recipe ships models fresh."""
        return day_range(self.cut + timedelta(days=1), self.day)

    @property
    def all_days(self) -> tuple[date, ...]:
        """Return every event day that the run may read, oldest first, D included."""
        return day_range(self.train[0], self.day)


def plan_days(day: date, recipe: Recipe) -> DayPlan:
    """Plan the days of a run for `day` (D), with labels that mature in m days and v validation days.

    Validation days [D − m − v + 1, D − m], cut D − m − v; the training window and its calibration days end at the cut.
    """
    training = recipe.training
    validate_last = day - timedelta(days=recipe.maturity_days)
    cut = validate_last - timedelta(days=training.validation_days)
    train = day_range(cut - timedelta(days=training.window_days - 1), cut)
    return DayPlan(
        day=day,
        maturity_days=recipe.maturity_days,
        train=train,
        calibrate=train[-training.calibration_days :],
        validate=day_range(cut + timedelta(days=1), validate_last),
    )
