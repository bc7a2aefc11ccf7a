"""The worth of each feature on the validation days, and its values there; the verdict stands without it.

It never ends a night: where it fails, the run's document has a warning.
"""

from __future__ import annotations

import logging

from ctr_retrain.models.documents.drift_documents import FeatureWorth, FeatureWorthDocument
from ctr_retrain.tasks.execution.model_process import Models, ProgressOf
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import FEATURE_WORTH_FILE


def measure_features(run: Run, models: Models) -> None:
    """Write feature_worth.json into the run's folder; to be called while challenger/ is the model that was judged."""
    try:
        document = FeatureWorthDocument(feature_worth=models.call(_measure, run))
    except Exception as error:  # noqa: BLE001 - whatever it is, the night goes on: the document says it
        logging.getLogger(__name__).warning("features not measured: %s", error)
        document = FeatureWorthDocument(failure=f"{type(error).__name__}: {error}")
    document.write(run.folder / FEATURE_WORTH_FILE)


def _measure(progress_of: ProgressOf, run: Run) -> FeatureWorth:
    """Predict without each feature in the process of the models, which alone imports TensorFlow."""
    from ctr_retrain.tasks.evaluate.features_on_later_days import judge_features  # noqa: PLC0415

    with progress_of("measuring features", "features") as progress:
        return judge_features(run, progress)
