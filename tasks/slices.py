"""Which labelled rows go where: training, calibration, validation. One query each, for the stages that read them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from tasks import duck
from tasks.label import label_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from models.recipe import Recipe
    from tasks.label import LabelledDay
    from tasks.plan import RunPlan
    from tasks.store import Store

USER_BUCKETS = 256


def training_rows(store: Store, plan: RunPlan, recipe: Recipe) -> str:
    """Rows of T without those kept out, with `day_index`, the position of their day in plan.train."""
    return _slice(store, plan, recipe, "train")


def calibration_rows(store: Store, plan: RunPlan, recipe: Recipe) -> str:
    """Rows of C: a share of users within the newest days of T, by a hash salted with the cut."""
    return _slice(store, plan, recipe, "calibrate")


def stopping_rows(store: Store, plan: RunPlan, recipe: Recipe) -> str:
    """Rows to stop training by: other users within the same days; none where the recipe trains a single epoch."""
    return _slice(store, plan, recipe, "stop")


def validation_rows(store: Store, plan: RunPlan, recipe: Recipe) -> str:
    """Rows of V, with `day_index` and `user_bucket`, one of 256 buckets of users (of events where there are none)."""
    bucket = f"(hash({_unit(recipe)}) % {USER_BUCKETS})::UTINYINT AS user_bucket"
    return _union(store, plan.validate, lambda _: bucket)


def _slice(store: Store, plan: RunPlan, recipe: Recipe, name: str) -> str:
    """Rows of T that belong to one of the slices train, calibrate and stop; each user is in one of them."""
    training = recipe.training
    calibrate = round(training.calibration_share * 10_000)
    stop = calibrate + (round(training.stopping_share * 10_000) if training.epochs > 1 else 0)
    place = f"hash({_unit(recipe)} || {duck.text(f'@{plan.days.cut}')}) % 10000"
    slices = f"CASE WHEN {place} < {calibrate} THEN 'calibrate' WHEN {place} < {stop} THEN 'stop' ELSE 'train' END"

    def column(day: date) -> str:
        return f"{slices if day in plan.days.calibrate else duck.text('train')} AS _slice"

    return f"SELECT * EXCLUDE (_slice) FROM ({_union(store, plan.train, column)}) WHERE _slice = {duck.text(name)}"


def _union(store: Store, days: Iterable[LabelledDay], extra: Callable[[date], str]) -> str:
    return " UNION ALL BY NAME ".join(
        f"SELECT *, {index}::SMALLINT AS day_index, {extra(day.day)} FROM {duck.parquet(*label_files(store, day))}"
        for index, day in enumerate(days)
    )


def _unit(recipe: Recipe) -> str:
    return "user_id" if recipe.landing.columns.user_id else "event_id"
