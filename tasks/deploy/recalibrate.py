"""Recalibrate: after the verdict, bring the level of a promoted model up to date with the newest mature labels.

These are the labels of the validation days, which the gate has judged by, and of the calibration slice. The network and
its calibration layer stay; the served graph gets a shift of the log-odds for each channel that it reads.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.documents.bundle_documents import BundleDocument
from ctr_retrain.models.documents.verdict_documents import Check, LevelShift, RecalibrationDocument
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.serving.bundle import reads_channel, save_serving, serving_model
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.serving.recalibration import MatureRows, check_level, fit_level, shifted
from ctr_retrain.models.serving.scorer import Scorer
from ctr_retrain.models.training.saved_network import fitted_recipe, load_trainable, rebuild_network
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.model_process import ProgressOf
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import (
    BUNDLE_FILE,
    CHALLENGER,
    RECALIBRATED,
    RECALIBRATED_SCORES_FILE,
    SCORES_FILE,
    SERVING,
    TRAINABLE,
)
from ctr_retrain.tasks.train.fit_network import in_full_precision
from ctr_retrain.tasks.train.row_roles import SAMPLE_ROWS, calibration_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

BATCH_ROWS = 200_000  # of the calibration slice, scored at once


def recalibrate(progress_of: ProgressOf, run: Run) -> RecalibrationDocument:
    """Write recalibrated/, a bundle, and the scores expected of it into the run's folder; return shifts and checks.

    Where a check fails the bundle is not there: the model that was judged is to serve.
    """
    plan = run.plan
    days = tuple(dict.fromkeys(day.day for day in (*plan.calibrate, *plan.validate)))
    if lacking := plan.completeness.lacking_labels(run.recipe, days, plan.day):
        return RecalibrationDocument(checks=(_incomplete(lacking),), days=days, shifts=())
    rows = _mature_rows(progress_of, run)
    served_day = (plan.day + timedelta(days=1)).toordinal()
    shifts = fit_level(rows, served_day)
    checks = check_level(rows, shifts, served_day, run.recipe.gate)
    if all(check.passed for check in checks):
        _save(run, shifts)
        _expect_scores(run, shifts)
    return RecalibrationDocument(checks=checks, days=days, shifts=shifts)


def _incomplete(lacking: Mapping[date, str]) -> Check:
    """Return the failed check of labels that lack outcomes: their level is not that of the days to come."""
    first, why = next(iter(lacking.items()))
    message = f"Labels complete: of {len(lacking)} days, {first} among them, {why}, and the level would follow that."
    return Check(name="labels_complete", value=len(lacking), bound=0, passed=False, message=message)


def _mature_rows(progress_of: ProgressOf, run: Run) -> MatureRows:
    """Return what the judged model says of the calibration slice and of the validation days, these last."""
    validation = pq.read_table(run.folder / SCORES_FILE, columns=["challenger", "label", "channel", "day_index"])
    parts = [
        _rows(run, calibration, [day.day.toordinal() for day in run.plan.calibrate], validates=False)
        for calibration in _score_calibration(progress_of, run)
    ]
    parts.append(_rows(run, validation, [day.day.toordinal() for day in run.plan.validate], validates=True))
    return MatureRows(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def _score_calibration(progress_of: ProgressOf, run: Run) -> list[pa.Table]:
    """Score the calibration slice by the judged model, in batches."""
    if not run.plan.calibrate:
        return []
    scorer, done, found = Scorer(run.folder / CHALLENGER / SERVING), 0, []
    total = sum(day.rows for day in run.plan.calibrate)
    with duck.connect(run.folder) as connection, progress_of("recalibrating", "rows") as progress:
        for batch in connection.sql(calibration_rows(run)).to_arrow_reader(BATCH_ROWS):
            table = pa.table(batch)
            columns = {name: table[name] for name in ("label", "channel", "day_index")}
            found.append(pa.table({"challenger": scorer.score(table), **columns}))
            done += len(table)
            progress(done, total)
    return found


def _rows(run: Run, scored: pa.Table, days: Sequence[int], *, validates: bool) -> MatureRows:
    """Return scored rows of the channels whose labels the gate waits for."""
    gated = [name for name, channel in run.recipe.channels.items() if channel.gated]
    column = {name: scored[name].to_numpy() for name in scored.column_names}
    chosen = np.isin(column["channel"].astype(str), gated)
    probability = column["challenger"][chosen].astype(np.float64)
    channel = column["channel"][chosen].astype(str)
    return MatureRows(
        logit=np.log(probability) - np.log1p(-probability),
        label=column["label"][chosen],
        channel=channel if reads_channel(run.recipe) else np.full(len(channel), ""),
        day=np.asarray(days)[column["day_index"][chosen]],
        validates=np.full(len(channel), validates),
    )


def _save(run: Run, shifts: Sequence[LevelShift]) -> None:
    """Write the bundle of the recalibrated model: the judged network and its layers, and the shifts behind them."""
    source, target = run.folder / CHALLENGER, run.folder / RECALIBRATED
    bundle, trainable = BundleDocument.read(source / BUNDLE_FILE), load_trainable(source / TRAINABLE)
    recipe, state = fitted_recipe(run.recipe, trainable), NumericState.from_json(bundle.numeric_state)
    network = in_full_precision(rebuild_network(trainable, recipe, state), recipe, state, trainable.base_log_odds)
    heads = {kind: Calibration.of(curve) for kind, curve in bundle.head_calibrations.items()}
    moved = {own.channel: own.shift for own in shifts}
    served = serving_model(network, recipe, Calibration.of(bundle.calibration), heads, moved)
    save_serving(served, target / SERVING)
    seen: dict[str, Any] = {"data_through": run.plan.validate[-1].day, "evaluated_data_through": bundle.data_through}
    bundle.model_copy(update={**seen, "recalibration": tuple(shifts)}).write(target / BUNDLE_FILE)


def _expect_scores(run: Run, shifts: Sequence[LevelShift]) -> None:
    """Write what the recalibrated model must answer to the serving sample, by NumPy from the judged model's scores."""
    scores = pq.read_table(run.folder / SCORES_FILE).slice(0, SAMPLE_ROWS)
    probability = scores["challenger"].to_numpy().astype(np.float64)
    names = scores["channel"].to_numpy().astype(str)
    logit = shifted(np.log(probability) - np.log1p(-probability), names, shifts)
    expected = pa.array(1 / (1 + np.exp(-logit)))
    place = scores.column_names.index("challenger")
    pq.write_table(scores.set_column(place, "challenger", expected), run.folder / RECALIBRATED_SCORES_FILE)
