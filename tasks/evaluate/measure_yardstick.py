"""The worth of the challenger over simple models of the same window; the verdict stands without it.

It comes after all that a run needs of the models' process, and never ends a night: where it fails, the run's document
has a warning.
"""

from __future__ import annotations

import logging
import time
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctr_retrain.models.documents.comparison_documents import Yardstick, YardstickDocument
from ctr_retrain.models.documents.ref_documents import RunsRef
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.yardstick.worth import compare_with_simpler, telling
from ctr_retrain.tasks.evaluate.score_models import judged_rows
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.model_process import Models, ProgressOf
from ctr_retrain.tasks.label.labelled_rows import labelled_rows
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import SCORES_FILE, YARDSTICK_FILE
from ctr_retrain.tasks.store.protocol import Store, load_ref


def measure_yardstick(run: Run, models: Models) -> None:
    """Write yardstick.json into the run's folder, where none of the days before has one and the recipe wants it."""
    try:
        if not is_due(run.store, run.plan.day, run.recipe.training.yardstick_every):
            return
        document = YardstickDocument(yardstick=models.call(_measure, run))
    except Exception as error:  # noqa: BLE001 - whatever it is, the night goes on: the document says it
        logging.getLogger(__name__).warning("no yardstick: %s", error)
        document = YardstickDocument(failure=f"{type(error).__name__}: {error}")
    document.write(run.folder / YARDSTICK_FILE)


def is_due(store: Store, day: date, every: int) -> bool:
    """Return True if no run of the `every` − 1 days before has a yardstick: also after a night that went without."""
    return every > 0 and not any(_has_one(store, day - timedelta(days=back)) for back in range(1, every))


def _has_one(store: Store, day: date) -> bool:
    """Return True if a day's newest run has a yardstick."""
    ref = load_ref(store, layout.run_ref(day), RunsRef)
    file = store.file(layout.run_object(ref.content.current), YARDSTICK_FILE) if ref else None
    return file is not None and YardstickDocument.read(file).yardstick is not None


def _measure(progress_of: ProgressOf, run: Run) -> Yardstick:
    """Train simple models and compare them with the challenger, in the process of the models."""
    from ctr_retrain.tasks.evaluate.simple_predictions import predict_simply  # noqa: PLC0415 - TensorFlow: not for the flow

    began = time.monotonic()
    with progress_of("measuring against simple models", "models") as progress:
        found = predict_simply(run.store, run.recipe, run.plan.cold, run.folder, progress)
    scored = pq.read_table(run.folder / SCORES_FILE)
    rows, order = judged_rows(scored, None), order_of_scores(run, scored["event_id"])
    models = tuple(
        compare_with_simpler(rows, name, probability[order], run.recipe, found.seconds[name])
        for name, probability in found.probability.items()
    )
    return Yardstick(
        rows=found.rows,
        rows_used=found.rows_used,
        seconds=time.monotonic() - began,
        models=models,
        worth_it=all(model.worth_it for model in models),
        message=telling(models),
    )


def order_of_scores(run: Run, scored: pa.ChunkedArray) -> np.ndarray:
    """Return where the scored rows, which are sorted by day and event, stand among the validation days' encoded rows.

    Raises StorageError where they are not the same.
    """
    places, events, first = [], [], 0
    with duck.connect(run.folder, threads=1) as connection:  # one thread keeps the rows' order
        queries = [f"SELECT event_id FROM ({labelled_rows(run.store, day)})" for day in run.plan.validate]
        days = [connection.sql(query).to_arrow_table() for query in queries]
    for found in days:
        order = pc.sort_indices(found["event_id"]).to_numpy()
        places.append(first + order)
        events += found["event_id"].take(pa.array(order)).chunks
        first += len(order)
    if not pa.chunked_array(events, scored.type).equals(scored):
        msg = f"{SCORES_FILE} of {run.plan.run_id}: expected the events of the validation days, received others."
        raise StorageError(msg)
    return np.concatenate(places)
