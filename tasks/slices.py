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
    """Rows of T without those kept for calibration, with `day_index`, the position of their day in plan.train."""
    return f"SELECT * EXCLUDE (kept_out) FROM ({_train_days(store, plan, recipe)}) WHERE NOT kept_out"


def validation_rows(store: Store, plan: RunPlan, recipe: Recipe) -> str:
    """Rows of V, with `day_index` and `user_bucket`, one of 256 buckets of users (of events where there are none)."""
    bucket = f"(hash({_unit(recipe)}) % {USER_BUCKETS})::UTINYINT AS user_bucket"
    return _union(store, plan.validate, lambda _: bucket)


def labels_of(store: Store, plan: RunPlan, recipe: Recipe, day: LabelledDay) -> str:
    """Of each row of a day of T its `label`, `confidence`, and whether it is `kept_out` for calibration, in order."""
    confidence = "coalesce(confidence, 1.0)::FLOAT" if recipe.landing.columns.confidence else "1.0::FLOAT"
    kept_out = _kept_out(plan, recipe, day.day)
    files = duck.parquet(*label_files(store, day))
    return f"SELECT label::UTINYINT AS label, {confidence} AS confidence, {kept_out} FROM {files}"


def _train_days(store: Store, plan: RunPlan, recipe: Recipe) -> str:
    """Rows of T; those of C, a share of users within its newest days by a hash salted with the cut, are kept out."""
    return _union(store, plan.train, lambda day: _kept_out(plan, recipe, day))


def _kept_out(plan: RunPlan, recipe: Recipe, day: date) -> str:
    if day not in plan.days.calibrate:
        return "false AS kept_out"
    threshold = round(recipe.training.calibration_share * 10_000)
    return f"hash({_unit(recipe)} || {duck.text(f'@{plan.days.cut}')}) % 10000 < {threshold} AS kept_out"


def _union(store: Store, days: Iterable[LabelledDay], extra: Callable[[date], str]) -> str:
    return " UNION ALL BY NAME ".join(
        f"SELECT *, {index}::SMALLINT AS day_index, {extra(day.day)} FROM {duck.parquet(*label_files(store, day))}"
        for index, day in enumerate(days)
    )


def _unit(recipe: Recipe) -> str:
    return "user_id" if recipe.landing.columns.user_id else "event_id"
