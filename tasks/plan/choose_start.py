"""The start of training: from nothing, or from the champion's weights, on the days that the champion hasn't seen.

The champion's weights are read from its run, as it was judged: not as a later pass over immature labels left them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import duckdb
from pydantic import ValidationError

from ctr_retrain.models.documents.bundle_documents import BundleDocument, KeptOutRows
from ctr_retrain.models.documents.document import parse_json
from ctr_retrain.models.feature_kinds.numeric import read_as_before
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.training.compatibility import same_rows_kept_out, why_incompatible
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import BUNDLE_FILE, CHALLENGER, TRAINABLE, TRAINABLE_LIST
from ctr_retrain.tasks.store.protocol import load_document, open_verified

if TYPE_CHECKING:
    from ctr_retrain.models.documents.ref_documents import Tenure
    from ctr_retrain.models.training.warm_start import SourceModel
    from ctr_retrain.tasks.label.label_day import LabelledDay
    from ctr_retrain.tasks.store.protocol import Store


@dataclass(frozen=True)
class Start:
    """The start of a run's training, and why it is that."""

    version: str | None  # the champion whose weights it starts from, None for a cold start
    message: str  # empty where the recipe doesn't ask for a warm start
    earlier: tuple[LabelledDay, ...] = ()  # days of the training window that a warm start doesn't train on again
    # From this day on, no run in the chain of warm starts trained on the rows kept out for calibration; None: no chain.
    kept_out_since: date | None = None

    @property
    def warm(self) -> bool:
        """Say whether it starts from a champion."""
        return self.version is not None

    def keeps(self, day: date) -> bool:
        """Say whether the day has rows kept out for calibration that no run before has been trained on."""
        return self.kept_out_since is None or day >= self.kept_out_since


COLD = Start(None, "")


def choose_start(
    store: Store, recipe: Recipe, champion: Tenure | None, window: tuple[LabelledDay, ...], code: str
) -> Start:
    """Start from the champion for the run's day if the recipe asks and the champion allows it, else from nothing.

    window: the accepted days of the training window.
    """
    if not recipe.warm_start.enabled:
        return COLD
    if champion is None:
        return _cold("there is no champion to start from yet")
    name = f"champion {champion.version}"
    found = _fitting(store, recipe, champion.version, code)
    if isinstance(found, str):
        return _cold(f"{name} {found}")
    bundle, theirs = found
    through = bundle.train_through
    earlier = tuple(day for day in window if day.day <= through)
    new = window[len(earlier) :]
    if not new:
        return _cold(f"{name} was trained through {through}, and no accepted day of the window lies after that")
    kept_out = bundle.kept_out
    since = new[0].day
    # DuckDB's hash chooses the users kept out, and another version may have another hash.
    if same_rows_kept_out(recipe, theirs) and kept_out is not None and kept_out.duckdb == duckdb.__version__:
        since = kept_out.since
    message = (
        f"Warm start from {name}, trained through {through}: trained on {len(new)} of {len(window)} days of the "
        f"window, {new[0].day} to {new[-1].day}."
    )
    return Start(champion.version, message, earlier, since)


def kept_out_rows(start: Start, first: date) -> KeptOutRows:
    """Describe the rows kept out to the next run; `first` is the oldest day that has such rows."""
    return KeptOutRows(since=start.kept_out_since or first, duckdb=duckdb.__version__)


def open_source_model(store: Store, version: str) -> SourceModel:
    """Open the champion's recipe, numeric state and trainable state; `choose_start` has found that they are there.

    Raises StorageError where they can't be read.
    """
    # The flow's process imports this module too, and shall not import TensorFlow.
    from ctr_retrain.models.features.standardize import NumericState  # noqa: PLC0415
    from ctr_retrain.models.training.saved_network import load_trainable  # noqa: PLC0415
    from ctr_retrain.models.training.warm_start import SourceModel  # noqa: PLC0415

    folder = open_verified(
        store, layout.run_object(version), f"{CHALLENGER}/{BUNDLE_FILE}", f"{CHALLENGER}/{TRAINABLE}/"
    )
    assert folder is not None
    bundle = _bundle(store, version)
    recipe = recipe_of(bundle)
    assert isinstance(recipe, Recipe)
    state = NumericState.from_json(bundle.numeric_state)
    return SourceModel(recipe, state, load_trainable(folder / CHALLENGER / TRAINABLE))


def _cold(why: str) -> Start:
    return Start(None, f"Cold start on all days of the window: {why}.")


def _fitting(store: Store, recipe: Recipe, version: str, code: str) -> tuple[BundleDocument, Recipe] | str:
    """Return the champion's bundle.json and recipe; or why its weights don't fit, to go on after "champion VERSION"."""
    if store.file(layout.run_object(version), f"{CHALLENGER}/{TRAINABLE}/{TRAINABLE_LIST}") is None:
        return "has no trainable state in its run: older versions of this software kept none, or `gc` has removed it"
    bundle = _bundle(store, version)
    theirs = recipe_of(bundle)
    if isinstance(theirs, str):
        return f"has a recipe that this version can't read: {theirs}"
    # After its first space, `code` names the source of a network of one's own, by which weights must fit; a new version
    # of this software doesn't matter.
    own, other = (used.partition(" ")[2] for used in (code, bundle.code))
    if own != other or recipe.training.network_source != theirs.training.network_source:
        return f"has weights that don't fit: the source of its network was {other}, and is {own} now"
    if not _knows_values(store, version):
        return "has embedding rows by hashes of values, as older versions of this software had"
    why = why_incompatible(recipe, theirs)
    return f"has weights that don't fit: {why}" if why else (bundle, theirs)


def _knows_values(store: Store, version: str) -> bool:
    """Say whether the champion's trainable state names the values that its embedding rows stand for."""
    file = store.file(layout.run_object(version), f"{CHALLENGER}/{TRAINABLE}/{TRAINABLE_LIST}")
    content = parse_json(file.read_bytes()) if file else None
    return isinstance(content, dict) and "known" in content


def _bundle(store: Store, version: str) -> BundleDocument:
    """Read the champion's bundle.json from its run."""
    return load_document(store, layout.run_object(version), f"{CHALLENGER}/{BUNDLE_FILE}", BundleDocument)


def recipe_of(bundle: BundleDocument) -> Recipe | str:
    """Return the recipe that made a model, or the mistakes that this version finds in it."""
    content = dict(bundle.recipe)
    if "knots" not in bundle.numeric_state:  # of a version whose recipes needn't say how numbers are read
        content["features"] = [read_as_before(feature) for feature in content["features"]]
    try:
        return Recipe.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, mistake['loc']))}: {mistake['msg']}" for mistake in error.errors())
