"""Take a champion out of service that the ledger has shown to be harmful, where the recipe says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ctr_retrain.models.documents.run_documents import RunDocument, Served
from ctr_retrain.models.documents.verdict_documents import EvidencePart
from ctr_retrain.models.errors import StorageError, UsageError
from ctr_retrain.models.ledger.harm import harm_of
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.deploy.choose_served import describe_restored
from ctr_retrain.tasks.deploy.publish_model import require_servable
from ctr_retrain.tasks.store.champion import read_champions, roll_back
from ctr_retrain.tasks.store.protocol import Store


@dataclass(frozen=True)
class Withdrawal:
    """The fate of a champion that a run found harmful."""

    message: str
    serves: Served | None = None  # the model that serves again; None where the champion had to stay


def harm_to_undo(store: Store, recipe: Recipe, evidence: EvidencePart | None, champion: str | None) -> str | None:
    """Say by how much a champion that a run met is harmful; None where it isn't, or isn't to be rolled back."""
    harm = harm_of(evidence)
    if not recipe.gate.auto_rollback or harm is None:
        return None
    current = read_champions(store).current
    if current is None or current.version != champion or current.action == "override":
        return None
    return harm


def withdraw_harmful(store: Store, recipe: Recipe, run: RunDocument, now: datetime) -> Withdrawal | None:
    """Roll the champion back that a run found harmful; return what was done, or why it couldn't; None: nothing to do.

    A champion that another has followed since is none any more, and one that a person put into service is a person's
    to take back: the incident says what it costs.
    """
    harm = harm_to_undo(store, recipe, run.evidence, run.champion)
    if harm is None:
        return None
    reason = f"gate.auto_rollback, by the run for {run.date}: {harm}"
    try:
        barred, again = roll_back(store, reason, now, require_servable)
    except (UsageError, StorageError) as error:  # the one before it is gone: a person has to choose
        return Withdrawal(f"{run.champion} is harmful, since {harm}, and could not be rolled back. {error}")
    message = f"{barred.version} was rolled back to {again.version}: {harm}."
    return Withdrawal(message, describe_restored(store, again, run.date))
