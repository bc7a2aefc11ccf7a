"""Rules of the served intercepts: the formula in the graph, values never seen, heads, worlds whose truth is known."""

from dataclasses import replace

import keras
import numpy as np
import pyarrow as pa
import pytest

from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.crossed import Crossed
from ctr_retrain.models.features.encoder import encode
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.warm_start_section import WarmStart
from ctr_retrain.models.serving.bundle import save_serving, serving_model
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.serving.intercept_layer import (
    GroupField,
    add_intercepts,
    group_fields,
    has_intercepts,
    with_intercepts,
)
from ctr_retrain.models.serving.scorer import Scorer
from ctr_retrain.models.training.batches import TrainingRows
from ctr_retrain.models.training.training_loop import logits_function
from tests.support.known_values import fitted, of_rows
from tests.support.toy_training import recipe

USER = of_rows(Categorical(name="user_id"), 6)  # rows 0 to 5
ID = of_rows(Categorical(name="ad", column="campaign_id"), 42)  # 6 to 47
CHANNEL = of_rows(Categorical(name="channel"), 4)  # 48 to 51
FEATURES = (USER, ID, CHANNEL)
STATE = NumericState((), (), ())


def of(features=FEATURES, **training):
    return recipe(network="logistic_regression", **training).model_copy(update={"features": features})


def rows_of(ids, label, day, **more):
    return TrainingRows(ids, np.zeros((len(ids), 0), np.float32), label, day.astype(np.int16), **more)


def world(seed, off_by, kept_out_by=1.0, n=60_000):
    """A linear network whose campaigns' levels are off, rows of ten days, and rows of two later days with their truth.

    kept_out_by: of these levels, how much is in rows that were kept out.
    """
    rng = np.random.default_rng(seed)
    network = build_network(of(), STATE, -2.5, 7)
    table = np.zeros(network.get_layer("embedding").table.shape, np.float32)
    table[8:28, 0] = rng.normal(0, 0.5, 20)
    network.get_layer("embedding").table.assign(table)
    ids = np.stack([rng.integers(low, high, n) for low, high in ((0, 6), (8, 28), (50, 52))], axis=1).astype(np.int32)
    day = np.sort(rng.integers(0, 12, n))
    kept_out, later = (day >= 3) & (day < 10) & (rng.random(n) < 0.2), day >= 10
    effect = off_by * rng.standard_normal(28)[ids[:, 1]] * np.where(kept_out, kept_out_by, 1.0)
    logit = logits_function(network, traced=False)(ids, np.zeros((n, 0), np.float32))
    truth = 1 / (1 + np.exp(-logit - effect))
    label = (rng.random(n) < truth).astype(np.uint8)
    train, calibrate = (rows_of(*(x[part] for x in (ids, label, day))) for part in (~later & ~kept_out, kept_out))
    return network, train, calibrate, (ids[later], truth[later])


def share_off(network, later):
    """The share of rows in campaigns that are off by a quarter, and the log loss by the true probability."""
    ids, truth = later
    p = 1 / (1 + np.exp(-logits_function(network, traced=False)(ids, np.zeros((len(ids), 0), np.float32))))
    ratio = np.bincount(ids[:, 1], p, 28)[8:] / np.bincount(ids[:, 1], truth, 28)[8:]
    off = 8 + np.flatnonzero(np.abs(ratio - 1) > 0.25)
    return np.isin(ids[:, 1], off).mean(), -(truth * np.log(p) + (1 - truth) * np.log1p(-p)).mean()


@pytest.mark.parametrize("seed", [1, 2])
def test_campaigns_off_by_a_quarter_hold_less_than_half_of_the_rows_that_they_held(seed):
    network, train, kept_out, later = world(seed, off_by=0.3)
    served, told = with_intercepts(network, of(), train, kept_out)
    (before, loss), (after, less) = share_off(network, later), share_off(served, later)
    assert told.served
    assert told.gain_ahead > 0
    assert told.rows == len(train) + len(kept_out)
    assert before > 0.2
    assert after < before / 2
    assert less < loss - 0.001


def test_levels_that_rows_kept_out_do_not_have_are_not_served():
    network, train, kept_out, _ = world(3, off_by=0.8, kept_out_by=0.0, n=10_000)
    served, told = with_intercepts(network, of(), train, kept_out)
    assert not told.served
    assert told.gain_ahead < 0
    assert served is network


def test_logits_that_are_no_number_are_left_to_calibration():
    network, train, kept_out, _ = world(4, off_by=0.3, n=1000)
    table = network.get_layer("embedding").table
    table.assign(np.full(table.shape, np.nan, np.float32))
    served, told = with_intercepts(network, of(), train, kept_out)
    assert served is network
    assert told.gain_ahead is None


def test_the_graph_adds_what_numpy_looks_up_and_answers_values_never_seen_and_missing_ones_alike():
    alone = build_network(of(), STATE, -2.0, 7)
    network = keras.Model(alone.input, keras.ops.concatenate([alone.output, alone.output], axis=1))
    fields = [*group_fields(FEATURES).values()]
    rng = np.random.default_rng(1)
    intercepts = tuple(rng.normal(size=field.size) for field in fields)
    ids = np.array([[2, 6, 48], [2, 7, 49], [3, 8, 50], [4, 47, 51]], np.int32)  # a missing, an unseen, two known ones
    both = add_intercepts(network, fields, intercepts)
    numeric = np.zeros((4, 0), np.float32)
    before, after = (
        np.stack([logits_function(model, column=column, traced=False)(ids, numeric) for column in (0, 1)], axis=1)
        for model in (network, both)
    )
    channel, campaign = intercepts
    expected = np.array([channel[1] + campaign[1]] * 2 + [channel[2] + campaign[2], channel[3] + campaign[41]])
    assert after[:, 0] - before[:, 0] == pytest.approx(expected, abs=1e-5)
    assert after[:, 1] == pytest.approx(before[:, 1], abs=1e-6)  # another kind of outcome has levels of its own


def test_the_fields_are_those_of_features_that_read_channel_and_campaign_alone():
    assert group_fields(FEATURES) == {"channel": GroupField(2, 48, 4), "campaign_id": GroupField(1, 6, 42)}
    assert list(group_fields(FEATURES)) == ["channel", "campaign_id"]  # campaigns around channels
    pair = of_rows(Crossed(name="pair", columns=("campaign_id", "channel")), 5)
    assert group_fields((USER, pair)) == {}
    sharing = of_rows(Categorical(name="again", column="campaign_id", shares="user_id"), 6)
    assert group_fields((USER, sharing)) == {}


def test_a_recipe_has_them_unless_it_goes_on_with_a_networks_weights():
    _, rows, _, _ = world(1, off_by=0.0, n=1000)
    assert has_intercepts(of(), rows)
    assert not has_intercepts(of(campaign_sd=0), rows)
    assert not has_intercepts(of((USER, CHANNEL)), rows)
    assert not has_intercepts(of(ship="fresh"), rows)
    assert not has_intercepts(of().model_copy(update={"warm_start": WarmStart(enabled=True)}), rows)
    assert not has_intercepts(of(), replace(rows, maturity=np.ones(len(rows), np.float32)))


def test_a_saved_model_answers_with_them_known_and_unknown_campaigns(tmp_path):
    table = pa.table({"user_id": ["a", "b", "c"], "campaign_id": ["x", "y", "x"], "channel": ["ad", "push", "ad"]})
    names = (Categorical(name="user_id"), Categorical(name="ad", column="campaign_id"), Categorical(name="channel"))
    known = of(fitted(table, names))
    network = build_network(known, STATE, -2.0, 7)
    fields = [*group_fields(known.features).values()]
    both = add_intercepts(network, fields, (np.array([0, 0.1, 0.5, -0.5]), np.array([0, 0.2, 1.0, -1.0])))
    calibration = Calibration(method="platt", rows=1, positives=1, values=(0.3,), slope=1.1)
    save_serving(serving_model(both, known, calibration), tmp_path / "serving")
    asked = pa.table({"user_id": ["a", "b", None], "campaign_id": ["x", "new", None], "channel": ["push", "ad", "sms"]})
    encoded = encode(asked, known.features)
    logit = logits_function(both, traced=False)(encoded.ids, encoded.numeric)
    moved = logit - logits_function(network, traced=False)(encoded.ids, encoded.numeric)
    assert Scorer(tmp_path / "serving").score(asked) == pytest.approx(calibration.apply(logit), abs=1e-6)
    assert moved[2] == pytest.approx(0.1 + 0.2, abs=1e-5)
    assert len(set(np.round(moved, 3))) == 3
