"""Which day does what in a run for day D: training, calibration, validation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.recipe import Recipe


def day_range(first: date, last: date) -> tuple[date, ...]:
    """Days from first to last, both included; empty where last lies before first."""
    return tuple(first + timedelta(days=i) for i in range((last - first).days + 1))


@dataclass(frozen=True)
class DayPlan:
    """The days of one run, before days that were not accepted are taken out.

    train: T, the window that ends at the cut. calibrate: the newest days of T, of which a share of users is C.
    validate: V, the newest days with final labels, touched by the gate alone.
    """

    day: date
    maturity_days: int
    train: tuple[date, ...]
    calibrate: tuple[date, ...]
    validate: tuple[date, ...]

    @property
    def cut(self) -> date:
        """Newest day of T; a model trained on T has data_through = cut."""
        return self.train[-1]

    def aged(self, days: int) -> DayPlan:
        """The same V, and a T as long that ends so many days earlier."""
        earlier = timedelta(days=days)
        train, calibrate = (tuple(day - earlier for day in part) for part in (self.train, self.calibrate))
        return replace(self, train=train, calibrate=calibrate)

    @property
    def fresh(self) -> tuple[date, ...]:
        """The days after the cut, D included: what the served model goes through where the recipe ships it fresh."""
        return day_range(self.cut + timedelta(days=1), self.day)

    @property
    def all_days(self) -> tuple[date, ...]:
        """Every event day that the run may read, oldest first, D included."""
        return day_range(self.train[0], self.day)


def plan_days(day: date, recipe: Recipe) -> DayPlan:
    """The days of a run for `day`: V = [D − m − v + 1, D − m], cut = D − m − v, T the window that ends there."""
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
