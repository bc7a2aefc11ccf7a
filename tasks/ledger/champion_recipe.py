"""The champion's own recipe, by which it goes on being refreshed while a changed one is on trial.

A change that is worth little is on trial for weeks. A champion that nobody refreshes meanwhile loses more than the
change can bring, and a fresh challenger is then better than it for its age and not for its recipe.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from pydantic import ValidationError

from ctr_retrain.models.data.schema import impression_columns
from ctr_retrain.models.documents.bundle_documents import BundleDocument
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.integrity.manifest import PublishedModel
from ctr_retrain.tasks.ledger.read_ledger import load_ledger
from ctr_retrain.tasks.plan.choose_start import recipe_of
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.layout import BUNDLE_FILE
from ctr_retrain.tasks.store.protocol import Store, load_document, load_manifest

KEPT_FRESH = "While the changed recipe is on trial, the champion's own goes on refreshing it: run"
_NOT_KEPT = "While the changed recipe is on trial, nobody refreshes the champion: "
# Of the changed recipe: what watches and judges, and how files are read.
_SHARED = ("name", "currency", "landing", "gate", "drift", "validation", "alerts", "retention")
_PRICES = ("cost", "positive_ratio")


def recipe_to_refresh(store: Store, recipe: Recipe, day: date) -> Recipe | str | None:
    """Return by which recipe a run of `day` refreshes the champion beside; why it can't; None where it needn't.

    It need not on a change's first night, which may be its last: the ledger knows of no earlier one then.
    """
    champion = read_champions(store).before(day)
    if champion is None or not recipe.gate.refresh_champion:
        return None
    path = layout.model_object(champion.version)
    published = load_manifest(store, path, PublishedModel)
    theirs = published.training_digest if published else None
    if theirs in (None, recipe.training_digest):
        return None
    trial = ("change", recipe.training_digest, theirs)
    earlier = (night for night in load_ledger(store).nights if night.day < day)
    if not any((night.question, night.challenger, night.champion) == trial for night in earlier):
        return None
    bundle = load_document(store, path, BUNDLE_FILE, BundleDocument)
    own = recipe_of(bundle)
    if isinstance(own, str):
        return f"{_NOT_KEPT}this version can't read its recipe ({own})."
    return judged_alike(own, recipe)


def judged_alike(own: Recipe, recipe: Recipe) -> Recipe | str:
    """Return the champion's recipe as what trains, with all that judges from the changed one; or why it can't be."""
    content, ours = own.model_dump(mode="json"), recipe.model_dump(mode="json")
    content |= {section: ours[section] for section in _SHARED}
    for name in content["channels"].keys() & ours["channels"].keys():
        content["channels"][name] |= {key: ours["channels"][name][key] for key in _PRICES}
    content["training"] |= {key: ours["training"][key] for key in ("seed", "min_positives")}
    # What a network is worth beside others is told of the changed recipe's alone.
    content["training"] |= {"yardstick_every": 0, "seed_twin_every": 0}
    try:
        kept = Recipe.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        return f"{_NOT_KEPT}its recipe doesn't go with the changed one's sections ({_first(error)})."
    if kept.training_digest != own.training_digest or _labels(kept) != _labels(recipe):
        return f"{_NOT_KEPT}the changed recipe reads files, channels or labels otherwise."
    lacking = set(map(repr, impression_columns(kept))) - set(map(repr, impression_columns(recipe)))
    if lacking:
        names = sorted(column.name for column in impression_columns(kept) if repr(column) in lacking)
        return f"{_NOT_KEPT}its recipe reads columns that the changed one doesn't, or otherwise: {', '.join(names)}."
    return kept


def _labels(recipe: Recipe) -> dict[str, Any]:
    """Return how each channel's labels are told."""
    return {name: (channel.positive_kind, channel.windows_hours) for name, channel in recipe.channels.items()}


def _first(error: ValidationError) -> str:
    mistake = error.errors()[0]
    return f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}"
