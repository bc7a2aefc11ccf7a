"""Measuring features lays down what it found, and never ends a night."""

import pytest

from ctr_retrain.models.documents.drift_documents import FeatureWorth, FeatureWorthDocument
from ctr_retrain.models.errors import ProcessDiedError
from ctr_retrain.tasks.evaluate.measure_features import measure_features
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import FEATURE_WORTH_FILE
from tests.support.reported_run import DAY, RECIPE, make_plan

MEASURED = FeatureWorth(rows=10, positives=1, log_loss=0.3, seconds=0.1, features=(), families=())


class Answers:
    """Models whose process does what it is told."""

    def __init__(self, answer):
        self.answer = answer

    def call(self, _work, *_arguments):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def measured(store, folder, answer):
    run = Run(store, RECIPE, make_plan(DAY), folder)
    measure_features(run, Answers(answer))
    return FeatureWorthDocument.read(folder / FEATURE_WORTH_FILE)


def test_what_was_measured_lies_in_the_run(store, tmp_path):
    assert measured(store, tmp_path, MEASURED).feature_worth == MEASURED


@pytest.mark.parametrize("error", [MemoryError("no room"), ProcessDiedError("killed", status=-9, progress=None)])
def test_an_error_ends_no_night_and_is_told(store, tmp_path, error):
    document = measured(store, tmp_path, error)
    assert document.feature_worth is None
    assert document.failure == f"{type(error).__name__}: {error}"
