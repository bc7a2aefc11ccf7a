"""Past nights as a replay needs them: each day's run with its model, and the days that it read, by the same labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.errors import CtrRetrainError, DataRejectedError
from ctr_retrain.tasks.label.label_days import label_days
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.report.recorded_run import load_document
from ctr_retrain.tasks.store import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.documents.command_documents import BackfillDay
    from ctr_retrain.models.documents.run_documents import RunDocument
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.orchestration.fan_out import FanOut
    from ctr_retrain.tasks.store.protocol import Store


@dataclass(frozen=True)
class PastNight:
    """A night whose run is recorded."""

    document: RunDocument
    plan: RunPlan  # without a champion, which is another one under each policy

    @property
    def day(self) -> date:
        """Return the run's day."""
        return self.plan.day

    @property
    def challenger(self) -> str | None:
        """Return the version of the model that the run trained; None where it trained none."""
        trained = self.document.training is not None and self.document.metrics.challenger is not None
        return self.plan.run_id if trained else None


def load_past_nights(
    store: Store, recipe: Recipe, days: Sequence[BackfillDay], fan_out: FanOut
) -> tuple[list[PastNight], dict[date, str]]:
    """Return the nights that can be replayed, in order, and why the others can't."""
    nights, left_out = list[PastNight](), dict[date, str]()
    for day in days:
        try:
            nights.append(_load(store, recipe, day, fan_out))
        except CtrRetrainError as error:
            left_out[day.date] = str(error)
    return nights, left_out


def _load(store: Store, recipe: Recipe, day: BackfillDay, fan_out: FanOut) -> PastNight:
    """Load a night; raises DataRejectedError where it can't be replayed."""
    if day.run_id is None:
        msg = f"{day.outcome}, without a run: {day.reason or 'no model was asked for'}"
        raise DataRejectedError(msg)
    document = load_document(store, layout.run_object(day.run_id))
    if document.training_digest != recipe.training_digest:
        msg = f"run {day.run_id}: expected a model of this recipe, received one of another. Run `daily` for that day."
        raise DataRejectedError(msg)
    days = plan_days(document.day, recipe)
    used = [one for one in (*days.train, *days.validate) if str(one) not in document.excluded]
    labels = label_days(store, recipe, used, document.day, fan_out)
    # A day that landed anew since has other rows, which neither the run's model nor its verdict knew.
    changed = [str(one) for one, labelled in labels.items() if labelled.path not in document.labels]
    if changed:
        msg = (
            f"run {day.run_id}: expected the labels that it read, received others since: {', '.join(changed)} landed "
            "anew. Run `daily` for that day."
        )
        raise DataRejectedError(msg)
    train, validate = (tuple(labels[one] for one in role if one in labels) for role in (days.train, days.validate))
    digests = (document.recipe_digest, recipe.training_digest, document.code)
    return PastNight(
        document, RunPlan(document.day, day.run_id, days, train, validate, dict(document.excluded), None, *digests)
    )
