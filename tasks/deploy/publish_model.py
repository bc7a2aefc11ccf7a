"""Stage 9, deploy: check that a bundle serves from a fresh process, publish it as a model, make it the champion."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.documents.bundle_documents import BundleDocument
from ctr_retrain.models.documents.ref_documents import TakeoverAction, Tenure
from ctr_retrain.models.documents.verdict_documents import Check, Question
from ctr_retrain.models.errors import StorageError, UsageError
from ctr_retrain.models.serving.output_names import PROBABILITY, head_column, probability_column
from ctr_retrain.tasks.deploy.score_file import load_served, score_sample
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.fresh_interpreter import run_fresh
from ctr_retrain.tasks.execution.model_process import Models
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions, take_over
from ctr_retrain.tasks.store.layout import (
    BUNDLE_FILE,
    CHALLENGER,
    EVALUATED_THROUGH,
    RECALIBRATION,
    SCORES_FILE,
    TRAINABLE,
)
from ctr_retrain.tasks.store.protocol import Store, has_object, load_document, open_verified
from ctr_retrain.tasks.train.row_roles import serving_sample

TOLERANCE = 1e-6  # largest difference between a probability of the evaluation and of the serving check
# Keys of bundle.json that the model's manifest repeats, for its readers, since it comes without the bundle's files.
MANIFEST_KEYS = (
    *("run_id", "day", "data_through", "train_through", "labels_as_of"),
    *(EVALUATED_THROUGH, RECALIBRATION, "recipe_digest", "training_digest", "code"),
)
SERVING_TIMEOUT_SECONDS = 300


def check_serving(run: Run, models: Models, bundle: str = CHALLENGER, expected: str = SCORES_FILE) -> Check:
    """Check that a new process that has only the bundle answers a sample of the validation days as expected.

    bundle: its folder in the run's. expected: the file with the scores expected, those of the evaluation for the
    challenger. The sample holds unseen and missing values beside real rows; those must get a probability too.
    Raises ProcessDiedError where that process was killed, or the machine kept it from its work: the model has then
    neither passed nor failed.
    """
    folder = run.folder
    # In a fresh process, since only there does a custom object show that the saved graph lacks. Where models live in
    # the flow's process, which makes many runs, TensorFlow's import is paid for once.
    sample = folder / "serving_sample.parquet"
    scores = folder / "serving_scores.parquet"
    with duck.connect(folder) as connection:
        rows = connection.sql(serving_sample(run)).to_arrow_table()
    pq.write_table(pa.concat_tables([rows, _strange_rows(rows)]), sample)
    try:
        failure = run_fresh(
            score_sample,
            *map(str, (folder / bundle, sample, scores)),
            timeout=SERVING_TIMEOUT_SECONDS,
            kept=models.compute.process == "flow",
        )
        if failure is not None:
            message = f"Serving from a fresh process: expected probabilities, received: {failure}"
            return Check(name="serving", value=None, bound=TOLERANCE, passed=False, message=message)
        answers = pq.read_table(scores)
    finally:
        sample.unlink(missing_ok=True)
    scores.unlink()
    kinds = {"challenger": PROBABILITY}
    kinds |= {head_column("challenger", h.kind): probability_column(h.kind) for h in run.recipe.training.heads}
    # Both are in the order of day and event_id, so the sample is the beginning of the scored rows.
    scored = pq.read_table(folder / expected, columns=list(kinds)).slice(0, len(rows))
    evaluated = np.stack([scored[column].to_numpy() for column in kinds], axis=1)
    served = np.stack([answers[column].to_numpy() for column in kinds.values()], axis=1)  # (rows, 1 + heads)
    strange = served[len(rows) :]  # nobody knows their right probability, only that there must be one
    difference = float(np.abs(served[: len(rows)] - evaluated).max())
    answered = bool(((strange > 0) & (strange < 1)).all())
    message = (
        f"Serving from a fresh process: expected the evaluation's numbers to {TOLERANCE:g} on {len(rows):,} rows and "
        "an answer to unseen and missing values, received a largest difference of "
        f"{difference:.2g} and {'an answer' if answered else 'no answer'}."
    )
    passed = difference <= TOLERANCE and answered
    return Check(name="serving", value=difference, bound=TOLERANCE, passed=passed, message=message)


def deploy_challenger(
    store: Store, run_id: str, action: TakeoverAction, reason: str, now: datetime, question: Question | None = None
) -> str | None:
    """Publish the run's challenger as a model and make it the champion; return the reason where that is refused.

    action: "promote" by the gate, which never goes back in time, or "override" by hand, which may. question: what it
    had to show for the gate. Doing it twice does nothing the second time. Raises UsageError where the run has no
    challenger.
    """
    run = open_verified(store, layout.run_object(run_id), f"{CHALLENGER}/")
    if run is None or not (run / CHALLENGER).is_dir():
        msg = f"model {run_id}: expected a run with a trained challenger, received none. See `ctr-retrain models`."
        raise UsageError(msg)
    bundle = load_document(store, layout.run_object(run_id), f"{CHALLENGER}/{BUNDLE_FILE}", BundleDocument)
    _publish_bundle(store, run, bundle)
    # A champion's age is that of the judged model, so that fresh models and others may follow each other.
    judged_through = bundle.evaluated_data_through or bundle.data_through
    tenure = Tenure(
        version=run_id,
        run_day=bundle.day,
        data_through=judged_through,
        action=action,
        reason=reason,
        at=now.isoformat(),
        question=question,
    )
    refusal = take_over(store, tenure, bundle.champion)
    if refusal is None and not store.stays(layout.model_object(run_id)):  # found above, and no ref named it until now
        _publish_bundle(store, run, bundle)
    return refusal


def _publish_bundle(store: Store, run: Path, bundle: BundleDocument) -> None:
    """Publish the run's challenger as a model, unless it was published before."""
    path = layout.model_object(bundle.run_id)
    if not has_object(store, path):
        described = bundle.to_json()
        with store.writing(path, {key: described[key] for key in MANIFEST_KEYS if key in described}) as folder:
            # A warm start finds the trainable network in the run; serving needs none of it.
            what_serves = shutil.ignore_patterns(TRAINABLE)
            shutil.copytree(run / CHALLENGER, folder, dirs_exist_ok=True, ignore=what_serves)


def served_model(store: Store, version: str) -> tuple[str, Path]:
    """Return a version and the folder of its bundle, verified; an empty version means the champion.

    A run's challenger can be scored with too, whatever its verdict was. Raises UsageError where there is none,
    StorageError where a file of it is damaged.
    """
    current = read_champions(store).current
    wanted = version or (current.version if current else "")
    folder = open_verified(store, layout.model_object(wanted)) if wanted else None
    if wanted and folder is None:
        run = open_verified(store, layout.run_object(wanted), f"{CHALLENGER}/")
        folder = run / CHALLENGER if run else None
    if folder is None or not folder.is_dir():
        what = wanted or "champion"
        msg = f"model {what}: expected a bundle under {store.root}, received none. See `ctr-retrain models`."
        raise UsageError(msg)
    return wanted, folder


def require_servable(store: Store, version: str) -> None:
    """See that a version is whole and answers from a fresh process, before it is put into service by hand.

    Raises UsageError where there is no such version, StorageError where a file of it is damaged or it doesn't load, and
    ProcessDiedError where the machine kept that process from its work.
    """
    wanted, bundle = served_model(store, version)
    failure = run_fresh(load_served, str(bundle), timeout=SERVING_TIMEOUT_SECONDS)
    if failure is not None:
        msg = (
            f"model {wanted}: expected it to load and to answer in a fresh process, received: {failure.rstrip('.')}. "
            "Nothing was changed. Choose another of `ctr-retrain models`."
        )
        raise StorageError(msg)


def _strange_rows(rows: pa.Table) -> pa.Table:
    """Return three rows of the table's schema: all missing, unseen texts, and extreme numbers."""
    strange = []
    for text, number in ((None, None), ("never seen before", None), ("", 1e30)):
        values: dict[str, str | float | None] = {}
        for field in rows.schema:
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
                values[field.name] = text
            elif pa.types.is_floating(field.type):
                values[field.name] = number
            else:
                values[field.name] = None
        strange.append(values)
    return pa.Table.from_pylist(strange, schema=rows.schema)
