"""The seed twin: once a week a run's network is trained again with another seed, to see how much depends on that.

It comes last, as the yardstick does, and never ends a night. What earlier runs measured is carried from night to night:
a run without a twin has it for its report, and the gate for a changed recipe.
"""

from __future__ import annotations

import logging
import time
from datetime import date, timedelta

import pyarrow.parquet as pq

from ctr_retrain.models.documents.ref_documents import RunsRef
from ctr_retrain.models.documents.training_documents import SeedTwin, SeedTwinsDocument
from ctr_retrain.models.judging.seed_twin import compare_with_seed_twin, describe_seed_noise
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.evaluate.measure_yardstick import order_of_scores
from ctr_retrain.tasks.evaluate.score_models import judged_rows
from ctr_retrain.tasks.execution.model_process import Compute, Models, ProgressOf
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import SCORES_FILE, SEED_TWINS_FILE, YARDSTICK_FILE
from ctr_retrain.tasks.store.protocol import Store, load_ref

KEPT = 12  # newest twins that are carried on: a season, after which a network may depend on its seed otherwise
LOOK_BACK_DAYS = 14  # within which a run before this one is looked for

log = logging.getLogger(__name__)


def measure_seed_twin(run: Run, factors: Factors, models: Models) -> None:
    """Write seed_twins.json into the run's folder: the twins that are known, and tonight's own where one is due."""
    if not run.recipe.training.seed_twin_every:
        return
    twins, failure = known_twins(run.store, run.plan.day), ""
    try:
        if is_due(run, twins):
            twins = (*twins, models.call(_measure, run, factors, models.compute))[-KEPT:]
    except Exception as error:  # noqa: BLE001 - whatever it is, the night goes on: the document says it
        log.warning("no seed twin: %s", error)
        failure = f"{type(error).__name__}: {error}"
    # Also on a night without a twin: tonight's change against the champion stands beside the newest twin's.
    if twins or failure:
        rows = judged_rows(pq.read_table(run.folder / SCORES_FILE), None)
        noise = describe_seed_noise(twins, rows, run.recipe) if twins else None
        SeedTwinsDocument(twins=twins, noise=noise, failure=failure).write(run.folder / SEED_TWINS_FILE)


def known_twins(store: Store, day: date) -> tuple[SeedTwin, ...]:
    """Return the twins that the newest run before the day knows; none where its document can't be read."""
    for back in range(1, LOOK_BACK_DAYS + 1):
        try:
            ref = load_ref(store, layout.run_ref(day - timedelta(days=back)), RunsRef)
            file = store.file(layout.run_object(ref.content.current), SEED_TWINS_FILE) if ref else None
            if file is not None:
                return SeedTwinsDocument.read(file).twins
        except Exception as error:  # noqa: BLE001 - without them the night goes on as it did before the first twin
            log.warning("seed twins of earlier runs: %s", error)
            return ()
    return ()


def is_due(run: Run, twins: tuple[SeedTwin, ...]) -> bool:
    """Return True if the recipe has no twin of the last days, and this isn't a night with a yardstick.

    Two in one night would double the dearest one; where each night has a yardstick, there is no other.
    """
    training, since = run.recipe.training, run.plan.day - timedelta(days=run.recipe.training.seed_twin_every)
    if any(twin.recipe_digest == run.recipe.digest and since < twin.date < run.plan.day for twin in twins):
        return False
    return training.yardstick_every == 1 or not (run.folder / YARDSTICK_FILE).exists()


def _measure(progress_of: ProgressOf, run: Run, factors: Factors, compute: Compute) -> SeedTwin:
    """Train the twin and compare it with the challenger, in the process of the models."""
    from ctr_retrain.tasks.evaluate.twin_predictions import predict_by_twin  # noqa: PLC0415 - TensorFlow: not for the flow

    began = time.monotonic()
    probability = predict_by_twin(progress_of, run, factors, compute)
    scored = pq.read_table(run.folder / SCORES_FILE)
    in_order = probability[order_of_scores(run, scored["event_id"])]
    rows, seconds = judged_rows(scored, None), time.monotonic() - began
    return compare_with_seed_twin(rows, in_order, run.recipe, run.plan.day, seconds)
