"""A fit from nothing ends with rare values near those never seen; a warm one keeps the rows that it came from."""

from dataclasses import replace

import numpy as np
import pytest

from ctr_retrain.models.features.rare_values import PRIOR_INFORMATION
from ctr_retrain.models.features.vocabulary import ValueCounts, shared_rows
from ctr_retrain.models.training.saved_network import named_weights
from ctr_retrain.tasks.train import fit_network as fitting
from tests.support import warm_world
from tests.support.warm_world import days_of, drifting_world, fitted

TABLE = "embedding/0 embedding_table"


@pytest.fixture
def counting(monkeypatch):
    """Let fits of the small world count the training rows of each value, or not."""

    def fit(days, source_model=None, *, counted):
        def with_counts(rows, *arguments, **named):
            counts = ValueCounts.of_days([np.bincount(rows.train.ids.ravel())]) if counted else None
            return fitting.fit_network(replace(rows, value_counts=counts), *arguments, **named)

        monkeypatch.setattr(warm_world, "fit_network", with_counts)
        model, source, _ = fitted(days, days, source_model)
        return model, source, named_weights(model.network)[TABLE].numpy()

    return fit


def test_the_fewer_rows_the_nearer_and_a_warm_start_draws_nothing(counting):
    days = days_of(drifting_world(3, 1500), 2)
    model, source, drawn = counting(days[:1], counted=True)
    _, _, plain = counting(days[:1], counted=False)
    shared = shared_rows(model.features)
    own = shared != np.arange(len(shared))
    np.testing.assert_array_equal(drawn[~own], plain[~own])
    rows = warm_world.joined(days[:1], model.features)
    information = np.bincount(rows.ids.ravel(), minlength=len(plain)) * rows.label.mean() * (1 - rows.label.mean())
    share = (information / (information + PRIOR_INFORMATION))[own, None]
    assert 0 < share.min() < 0.3
    assert share.max() > 0.9
    expected = plain[shared[own]] + share * (plain[own] - plain[shared[own]])
    np.testing.assert_allclose(drawn[own], expected, atol=1e-6)
    warm = [counting(days[1:], source, counted=counted)[2] for counted in (True, False)]
    np.testing.assert_array_equal(*warm)
