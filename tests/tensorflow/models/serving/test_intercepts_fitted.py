"""Intercepts as a fit makes them: on the network's logits, in front of calibration, and told in its result."""

import numpy as np
import pytest

from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.serving.calibration import choose_calibration
from ctr_retrain.models.serving.intercept_layer import with_intercepts
from ctr_retrain.models.training.batches import TrainingRows
from ctr_retrain.tasks.train.calibrate_network import logits_of
from ctr_retrain.tasks.train.fit_network import fit_network
from ctr_retrain.tasks.train.training_rows import TrainingSplit
from tests.support.known_values import of_rows
from tests.support.toy_training import factors_of, recipe, toy

FEATURES = (of_rows(Categorical(name="ad", column="campaign_id"), 50),)


def test_a_fit_serves_intercepts_where_they_pay_and_tells_what_it_found():
    rows, _ = toy(4000, days=6)
    numeric = np.zeros((len(rows), 0), np.float32)
    kept_out = (rows.day_index >= 3) & (np.arange(len(rows)) % 3 == 0)
    train, calibrate = (
        TrainingRows(rows.ids[part], numeric[part], rows.label[part], rows.day_index[part])
        for part in (~kept_out, kept_out)
    )
    rules = recipe(batch_rows=1000, learning_rate=1e-4, embedding_learning_rate=1e-4, linear_share=0)  # learns little
    split = TrainingSplit(train, calibrate, None, FEATURES)
    without, fitted = (
        fit_network(split, of, factors_of(train), lambda _done, _total: None)
        for of in (rules.model_copy(update={"training": rules.training.model_copy(update={"campaign_sd": 0})}), rules)
    )
    expected, told = with_intercepts(without.network, rules.model_copy(update={"features": FEATURES}), train, calibrate)
    logit = logits_of(fitted.network, calibrate.ids, calibrate.numeric)
    assert without.result.intercepts is None
    assert fitted.result.intercepts == told
    assert told.served
    assert logit == pytest.approx(logits_of(expected, calibrate.ids, calibrate.numeric), abs=1e-4)
    assert fitted.calibration == choose_calibration(logit, calibrate.label, calibrate.day_index)
