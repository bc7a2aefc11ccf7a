"""Past nights as a replay needs them: each day's run with its model, and the days that it read, by the same labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.errors import CtrRetrainError, DataRejectedError
from ctr_retrain.tasks.label.label_day import LabelledDay, label_path, landed_objects
from ctr_retrain.tasks.label.label_days import label_days
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.report.recorded_run import load_document
from ctr_retrain.tasks.store import layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctr_retrain.models.documents.command_documents import BackfillDay
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
    """Return the nights that can be replayed, in order, and why the others can't.

    Their windows overlap: each landed day and each labels' object is looked up once for all of them.
    """
    documents, nights, left_out = list[RunDocument](), list[PastNight](), dict[date, str]()
    for day in days:
        try:
            documents.append(_load_document(store, recipe, day))
        except CtrRetrainError as error:
            left_out[day.date] = str(error)
    used = {one for document in documents for one in _used_days(recipe, document)}
    newest = max((document.day for document in documents), default=date.min)
    labels = _Labels(store, recipe, fan_out, landed_objects(store, recipe, used, newest))
    for document in documents:
        try:
            nights.append(_load(recipe, document, labels))
        except CtrRetrainError as error:
            left_out[document.day] = str(error)
    return nights, left_out


@dataclass
class _Labels:
    """Labels of days as of nights; those that several nights read are looked up once."""

    store: Store
    recipe: Recipe
    fan_out: FanOut
    current: Mapping[date, str]  # landed days' objects, of all nights
    known: dict[str, LabelledDay] = field(default_factory=dict)  # by path

    def of(self, document: RunDocument) -> dict[date, LabelledDay]:
        """Return the labels that a run read; raises DataRejectedError where they would be others by now."""
        used = _used_days(self.recipe, document)
        paths = {one: label_path(self.store, self.recipe, one, document.day, self.current) for one in used}
        # A day that landed anew since has other rows, which neither the run's model nor its verdict knew.
        changed = [str(one) for one, path in paths.items() if path not in document.labels]
        if changed:
            msg = (
                f"run {document.run_id}: expected the labels that it read, received others since: "
                f"{', '.join(changed)} landed anew. Run `daily` for that day."
            )
            raise DataRejectedError(msg)
        unknown = [one for one, path in paths.items() if path not in self.known]
        found = label_days(self.store, self.recipe, unknown, document.day, self.fan_out, self.current)
        self.known |= {labelled.path: labelled for labelled in found.values()}
        return {one: self.known[path] for one, path in paths.items()}


def _load_document(store: Store, recipe: Recipe, day: BackfillDay) -> RunDocument:
    """Load the document of a night's run; raises DataRejectedError where it can't be replayed."""
    if day.run_id is None:
        msg = f"{day.outcome}, without a run: {day.reason or 'no model was asked for'}"
        raise DataRejectedError(msg)
    document = load_document(store, layout.run_object(day.run_id))
    if document.training_digest != recipe.training_digest:
        msg = f"run {day.run_id}: expected a model of this recipe, received one of another. Run `daily` for that day."
        raise DataRejectedError(msg)
    return document


def _used_days(recipe: Recipe, document: RunDocument) -> list[date]:
    """Return the days that a run trained on or validated."""
    days = plan_days(document.day, recipe)
    return [one for one in (*days.train, *days.validate) if str(one) not in document.excluded]


def _load(recipe: Recipe, document: RunDocument, looked_up: _Labels) -> PastNight:
    """Put a night together; raises DataRejectedError where it can't be replayed."""
    days, labels = plan_days(document.day, recipe), looked_up.of(document)
    train, validate = (tuple(labels[one] for one in role if one in labels) for role in (days.train, days.validate))
    digests = (document.recipe_digest, recipe.training_digest, document.code)
    return PastNight(
        document, RunPlan(document.day, document.run_id, days, train, validate, dict(document.excluded), None, *digests)
    )
