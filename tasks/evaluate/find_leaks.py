"""Look for features that are known only after the decision: a sample of the training window, each feature by itself.

What is found holds the run, by a check of its own, until the recipe drops the feature or confirms it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.evaluation_documents import FeatureByItself, FeaturesDocument
from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.leaks.leak_signs import LABEL, TIME, LabelledSample, find_leaks
from ctr_retrain.models.recipe.head_section import UNKNOWN
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import FEATURES_FILE
from ctr_retrain.tasks.train.row_roles import HEAD_LABEL, training_rows

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from ctr_retrain.tasks.label.label_day import LabelledDay

SAMPLED_ROWS = 200_000  # looked at, by a hash of the event: enough for three digits, and the same in each run
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
    window = run.plan.cold.train
    days = _spread(window)
    total = sum(day.rows for day in days)
    thousandths = min(1000, 1 + 1000 * SAMPLED_ROWS // max(1, total))
    kinds = [head.kind for head in run.recipe.training.heads]
    heads = [f", coalesce({duck.name(HEAD_LABEL + kind)}, {UNKNOWN})::UTINYINT" for kind in kinds]
    sources = dict.fromkeys(source for feature in run.recipe.features for source in feature.sources)
    columns = "".join(f", {duck.name(source)}" for source in {**sources, TIME: None})
    rows = training_rows(replace(run, plan=replace(run.plan.cold, train=days)))
    # In the order of the events, so that sums are the same to the last digit in each run.
    query = (
        f"SELECT day_index, channel, label::UTINYINT{''.join(heads)}{columns} FROM ({rows}) "
        f"WHERE hash(event_id) % 1000 < {thousandths} ORDER BY event_id"
    )
    with duck.connect(run.folder) as connection:
        found = connection.sql(query).to_arrow_table()
    day_index, channel, *labels = (column.to_numpy() for column in found.columns[: 3 + len(kinds)])
    found = found.select(range(3 + len(kinds), found.num_columns)).rename_columns([*sources, *({TIME} - {*sources})])
    return LabelledSample(
        found, channel, dict(zip([LABEL, *kinds], labels, strict=True)), _every_second(day_index, found[TIME])
    )


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
