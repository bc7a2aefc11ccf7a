"""Look for features that are known only after the decision: a sample of the training window, each feature by itself.

What is found holds the run, by a check of its own, until the recipe drops the feature or confirms it.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.evaluation_documents import FeatureByItself, FeaturesDocument
from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.leaks.leak_signs import LABEL, TIME, LabelledSample, find_leaks, leak_warning, names_to_confirm
from ctr_retrain.models.recipe.head_section import UNKNOWN
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.attribution import known_outcomes, labelled
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import FEATURES_FILE, IMPRESSIONS, OUTCOMES, event_day_of
from ctr_retrain.tasks.store.shards import open_shards
from ctr_retrain.tasks.train.row_roles import HEAD_LABEL, training_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.ingest.ingest_day import IngestedDay
    from ctr_retrain.tasks.label.label_day import LabelledDay
    from ctr_retrain.tasks.store.protocol import Store

SAMPLED_ROWS = 100_000  # looked at, by a hash of the event: enough for three digits, and the same in each run
READ_ROWS = 5_000_000  # of days evenly over the window, which the sample is drawn from, where the window has more
FEWEST_DAYS = 6  # so read all the same, however many rows they have
FOLD_DAYS = 4  # with fewer days, stretches of hours take their place
STRETCHES = 12


def find_run_leaks(run: Run) -> Check:
    """Write features.json into the run's folder; return the check that fails where a feature holds the run."""
    sample = _sample(run)
    features = find_leaks(sample, run.recipe.features)
    FeaturesDocument(rows=len(sample.channel), features=features).write(run.folder / FEATURES_FILE)
    held = [feature for feature in features if feature.held]
    return Check(
        name="known_before", value=len(held), bound=0, passed=not held, message=_words(features, held), kind="leak"
    )


def landed_day_leaks(store: Store, recipe: Recipe, ingested: IngestedDay) -> dict[str, str]:
    """Return a warning for each feature that is held, or whose name sounds so, by the landed day and its outcomes.

    Labels are those that are known at the day's end: enough to see what is filled or told by an outcome already. Of a
    day that is cut the first shard is read, which is a sample by event.
    """
    folder = open_shards(store, ingested.path)[0]  # one without rows has a part all the same
    outcomes = {ingested.day: sorted((folder / OUTCOMES).glob("*.parquet"))}
    with tempfile.TemporaryDirectory() as scratch, duck.connect(Path(scratch)) as connection:
        connection.execute(f"CREATE TABLE known AS {known_outcomes(outcomes, recipe, ingested.day)}")
        rows = " UNION ALL BY NAME ".join(
            f"SELECT *, 0 AS day_index FROM ({labelled(duck.parquet(part), 'known', recipe, event_day_of(part))})"
            for part in sorted((folder / IMPRESSIONS).glob("*.parquet"))
        )
        sample = _read(connection, rows, ingested.impressions.kept // recipe.landing.buckets, recipe, ())
    held = [feature for feature in find_leaks(sample, recipe.features) if feature.held]
    return names_to_confirm(recipe.features) | {feature.name: leak_warning(feature) for feature in held}


def _words(features: tuple[FeatureByItself, ...], held: list[FeatureByItself]) -> str:
    """Say which features hold the run and why, with the remedy; or which one tells most by itself."""
    expected = "Features by themselves: expected none that only an outcome could tell, received"
    if held:
        found = ". ".join(f"{feature.name!r}: {feature.message}" for feature in held)
        return (
            f"{expected} {len(held)}. {found}. What is known only afterwards makes models that are right on past days "
            "and wrong in service. Remove the feature from the recipe; or, if it is known when the decision is made, "
            "say so there: known_before = true."
        )
    aucs = {feature.name: feature.figures.auc for feature in features if feature.figures}
    if not aucs:
        return f"{expected} none, since positives are too few to tell."
    best = max(aucs, key=lambda name: aucs[name])
    return f"{expected} none; of all, {best!r} tells most, with an AUC of {aucs[best]:.3f}."


def _sample(run: Run) -> LabelledSample:
    """Read the sample: what the features read, with all labels, of the window's rows to train on."""
    days = _spread(run.plan.cold.train)
    kinds = [head.kind for head in run.recipe.training.heads]
    rows = training_rows(replace(run, plan=replace(run.plan.cold, train=days)))
    with duck.connect(run.folder) as connection:
        return _read(connection, rows, sum(day.rows for day in days), run.recipe, kinds)


def _read(connection: duck.Connection, query: str, rows: int, recipe: Recipe, kinds: Sequence[str]) -> LabelledSample:
    """Read a sample of the query's rows, which are about as many; kinds: of further heads, whose labels they have."""
    thousandths = min(1000, 1 + 1000 * SAMPLED_ROWS // max(1, rows))
    heads = [f", coalesce({duck.name(HEAD_LABEL + kind)}, {UNKNOWN})::UTINYINT" for kind in kinds]
    sources = dict.fromkeys(source for feature in recipe.features for source in feature.sources)
    columns = "".join(f", {duck.name(source)}" for source in {**sources, TIME: None})
    # In the order of the events, so that sums are the same to the last digit in each run.
    found = connection.sql(
        f"SELECT day_index, channel, coalesce(label, {UNKNOWN})::UTINYINT{''.join(heads)}{columns} FROM ({query}) "
        f"WHERE hash(event_id) % 1000 < {thousandths} ORDER BY event_id"
    ).to_arrow_table()
    day_index, channel, *labels = (column.to_numpy() for column in found.columns[: 3 + len(kinds)])
    found = found.select(range(3 + len(kinds), found.num_columns)).rename_columns([*sources, *({TIME} - {*sources})])
    by_kind = dict(zip([LABEL, *kinds], labels, strict=True))
    return LabelledSample(found, channel, by_kind, _every_second(day_index, found[TIME]))


def _spread(window: tuple[LabelledDay, ...]) -> tuple[LabelledDay, ...]:
    """Return the window's days, or evenly some of them where all would take long to read; the newest is among them."""
    step = sum(day.rows for day in window) // READ_ROWS + 1
    return window[::-1][:: min(step, max(1, len(window) // FEWEST_DAYS))][::-1]


def _every_second(day_index: NDArray[np.int16], time: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return True for rows on every second day, or stretch of hours where days are few: (rows,)."""
    if len(np.unique(day_index)) >= FOLD_DAYS:
        return np.asarray(day_index % 2 == 0)
    seconds = time.to_numpy().astype("datetime64[s]").astype(np.int64)
    if not len(seconds):
        return np.zeros(0, bool)
    first, last = seconds.min(), seconds.max()
    return np.asarray((seconds - first) * STRETCHES // (last - first + 1) % 2 == 0)
