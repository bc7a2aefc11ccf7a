"""Train and score the models of a comparison, one after the other, where models live. A window's rows are read once.

Each model scores the rows of the validation days, day by day in the order of the encoded rows, into `scores_file`.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from ctr_retrain.models.documents.comparison_documents import SIMPLER_NAMES
from ctr_retrain.models.errors import TrainingDivergedError
from ctr_retrain.models.judging.learning_curve import cut_short
from ctr_retrain.models.training.device import prepare_device
from ctr_retrain.models.training.stacked_arrays import Stacked
from ctr_retrain.tasks.compare.plan_comparison import Fit, FitResult, Window
from ctr_retrain.tasks.evaluate.simple_predictions import predict_simply
from ctr_retrain.tasks.execution.model_process import Compute, ProgressOf
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import scores_file
from ctr_retrain.tasks.store.protocol import Store
from ctr_retrain.tasks.train.calibrate_network import logits_of
from ctr_retrain.tasks.train.encode_days import encode_days
from ctr_retrain.tasks.train.fit_network import fit_network
from ctr_retrain.tasks.train.training_rows import TrainingSplit, read_slices


def fit_windows(
    progress_of: ProgressOf, store: Store, windows: list[Window], seeds: list[int], folder: Path, compute: Compute
) -> list[FitResult]:
    """Fit all windows with all seeds and write each model's probabilities into the folder.

    A fit that diverges is a result without scores. Raises UsageError where the device is not there, ProcessDiedError
    where its memory doesn't suffice.
    """
    device = prepare_device(compute.device)
    results: list[FitResult] = []
    done, fits = 0, sum(len(window.fits) for window in windows) * len(seeds)
    with progress_of(f"training {fits} models on {device}", "models") as progress:
        for window in windows:
            scratch = folder / "rows"
            scratch.mkdir()
            # Strategies differ in weights, sampling and loss, so the rows of the first fit are those of all.
            rows = read_slices(Run(store, window.fits[0].recipe, window.plan, folder), scratch)
            encoded = encode_days(store, window.fits[0].recipe, window.plan.validate)
            table_rows = [day.dictionary.table_rows(rows.features) for day in encoded]
            ids = Stacked([day.codes for day in encoded], meanings=table_rows)
            judged = ids, Stacked([day.numeric for day in encoded])
            if window.simply:
                results += _fit_simply(store, window, seeds[0], folder)
            for fit in window.fits:
                for seed in seeds:
                    results.append(_fit(fit, seed, window.run, rows, judged, folder))
                    progress(done := done + 1, fits)
            shutil.rmtree(scratch)  # so that the disk holds the rows of one window at a time
    return results


def _fit_simply(store: Store, window: Window, seed: int, folder: Path) -> list[FitResult]:
    """Fit simple models, once for all seeds; where that fails, it is their result and ends no other's training."""
    try:
        found = predict_simply(store, window.fits[0].recipe, window.plan, folder, lambda _done, _total: None)
    except Exception as error:  # noqa: BLE001 - a yardstick that fails is told in the comparison
        return [FitResult(name, seed, window.run, 0.0, f"{type(error).__name__}: {error}") for name in SIMPLER_NAMES]
    for name, probability in found.probability.items():
        np.save(folder / scores_file(name, seed, window.run), probability)
    return [FitResult(name, seed, window.run, seconds) for name, seconds in found.seconds.items()]


def _fit(
    fit: Fit, seed: int, run: int, rows: TrainingSplit, judged: tuple[Stacked, Stacked], folder: Path
) -> FitResult:
    seeded = fit.recipe.model_copy(update={"training": fit.recipe.training.model_copy(update={"seed": seed})})
    try:
        fitted = fit_network(rows, seeded, fit.factors, lambda _done, _total: None)
    except TrainingDivergedError as diverged:  # one strategy's result, which ends no other's training
        return FitResult(fit.name, seed, run, 0.0, str(diverged))
    result = FitResult(fit.name, seed, run, fitted.result.seconds, cut_short=cut_short(fitted.result))
    probability = fitted.calibration.apply(logits_of(fitted.network, *judged)).astype(np.float32)
    if unusable := int((~np.isfinite(probability)).sum()):
        message = f"expected a probability for each of {len(probability):,} rows, received none for {unusable:,}"
        return replace(result, failure=message)
    np.save(folder / scores_file(fit.name, seed, run), probability)
    return result
