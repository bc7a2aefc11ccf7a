"""Stage 5, weigh: count the training rows by day, label and confidence, and make the run's few factors from them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.weights_documents import WeightsDocument
from ctr_retrain.models.features.column_changes import column_warnings
from ctr_retrain.models.weights.class_balance import AUTO_MEANS
from ctr_retrain.models.weights.row_weights import ClassMass, Factors, compute_factors
from ctr_retrain.models.weights.training_warnings import training_warnings
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.columns_by_day import columns_by_day
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import WEIGHTS_FILE
from ctr_retrain.tasks.train.row_roles import training_rows
from ctr_retrain.tasks.train.weigh_heads import weigh_heads, without_classes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

log = logging.getLogger(__name__)


def weigh_rows(run: Run) -> Factors:
    """Compute the factors of the training rows' weights and write them as weights.json into the run's folder."""
    # A row's weight follows from its day, label and confidence, so no weight is ever stored for each row.
    recipe, plan = run.recipe, run.plan
    confidence = "confidence" if recipe.landing.columns.confidence else "1.0"
    query = (
        f"SELECT day_index, label, coalesce({confidence}, 1.0) AS confidence, channel, count(*) AS rows "
        f"FROM ({training_rows(run)}) GROUP BY ALL ORDER BY ALL"
    )
    with duck.connect(run.folder) as connection:
        counted = connection.sql(query).to_arrow_table()
        heads = weigh_heads(connection, training_rows(run), recipe, plan)
    columns: dict[str, npt.NDArray[np.generic]] = {name: counted[name].to_numpy() for name in counted.column_names}
    mass = ClassMass(
        columns["day_index"].astype("int64"),
        columns["label"].astype("int64"),
        columns["confidence"].astype("float64"),
        columns["rows"].astype("int64"),
    )
    days = tuple(day.day for day in plan.train)
    if recipe.weights.class_weight == "auto":
        log.warning(AUTO_MEANS)
    factors = compute_factors(days, plan.data_through, mass, recipe.row_weights)
    totals = counted.group_by(["channel", "label"]).aggregate([("rows", "sum")]).to_pylist()
    plain = None
    if recipe.training.two_stages:
        plain = compute_factors(days, plan.data_through, mass, without_classes(recipe.row_weights))
    read = {day.day for day in (*plan.window, *plan.validate)} | {plan.day}
    document = WeightsDocument(
        **dict(factors),
        constant_rate=_rates(totals),
        warnings=(*training_warnings(recipe, factors), *column_warnings(columns_by_day(run.store, read))),
        heads=heads,
        representation=plain,
    )
    document.write(run.folder / WEIGHTS_FILE)
    return factors


def constant_rates(folder: Path) -> Mapping[str, float]:
    """Return the positive ratio of each channel in the training window: the prediction of a model without features."""
    return WeightsDocument.read(folder / WEIGHTS_FILE).constant_rate


def _rates(totals: list[dict[str, int]]) -> dict[str, float]:
    """Return the positive ratio of each channel, from its rows by label."""
    rows: dict[str, int] = {}
    positives: dict[str, int] = {}
    for total in totals:
        channel = str(total["channel"])
        rows[channel] = rows.get(channel, 0) + total["rows_sum"]
        positives[channel] = positives.get(channel, 0) + total["rows_sum"] * total["label"]
    return {channel: positives[channel] / rows[channel] for channel in sorted(rows)}
