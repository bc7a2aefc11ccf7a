"""Rules of the weights of unseen values: what new values of the window's second half were like, as far as they tell."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.multi_valued import MultiValued
from ctr_retrain.models.features.embedding import FusedEmbedding
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.features.vocabulary import NEVER, ValueCounts
from ctr_retrain.models.network.build_network import build_network, embedding_width
from ctr_retrain.models.serving.unseen_weights import (
    PRIOR_SD,
    VALUE_SD,
    NewValues,
    fit_unseen_values,
    fit_weights,
    new_values,
    owners_of,
)
from ctr_retrain.models.training.batches import TrainingRows
from ctr_retrain.models.training.training_loop import logits_function, train
from tests.support.known_values import of_rows
from tests.support.toy_training import batches_of, factors_of, recipe

CAMPAIGN, TAGS = of_rows(Categorical(name="campaign"), 8), of_rows(MultiValued(name="tags", max_values=3), 5)
LAST = of_rows(Categorical(name="last", shares="campaign"), 8)
FEATURES = (CAMPAIGN, LAST, TAGS)  # rows 0 to 7, 8, and 9 to 13
INPUTS = (("ids", 2, "int32"), ("numeric", 0, "float32"))
ADS = (of_rows(Categorical(name="ad"), 22), of_rows(Categorical(name="place"), 4))  # rows 0 to 21 and 22 to 25


def rows_of(ids, days, label=None):
    ids = np.asarray(ids, np.int32)
    label = np.zeros(len(ids), np.uint8) if label is None else label
    return TrainingRows(ids, np.zeros((len(ids), 0), np.float32), label, np.asarray(days, np.int16))


def found(ids, first_day, days):
    first = np.full(14, NEVER, np.int16)
    first[list(first_day)] = list(first_day.values())
    return new_values(rows_of(ids, days), first, FEATURES)


def test_values_that_the_first_half_lacks_are_given_as_unseen():
    # a row of the table's: campaign, the last one (which shares its rows), three tags (9: none)
    ids = [[2, 2, 11, 9, 9], [3, 2, 11, 9, 9], [3, 3, 11, 12, 13], [2, 8, 11, 11, 11], [0, 3, 13, 12, 12]]
    new = found(ids, {2: 0, 3: 1, 11: 0, 12: 2, 13: 3}, [0, 1, 2, 2, 3])
    assert [*owners_of(FEATURES).items()] == [("campaign", 1), ("tags", 10)]
    assert new.rows.tolist() == [2, 4]  # value 3 was there on the second of four days
    assert new.ids.tolist() == [[3, 3, 11, 10, 10], [0, 3, 10, 10, 10]]
    assert new.share.tolist() == pytest.approx(np.array([[0, 2 / 3], [0, 1]]))
    assert new.values.tolist() == [[0, 13], [0, 13]]


def test_features_that_share_rows_add_up_in_what_their_unseen_row_moves():
    new = found([[2, 2, 9, 9, 9], [3, 3, 9, 9, 9]], {2: 0, 3: 1}, [0, 1])
    assert new.ids.tolist() == [[1, 1, 9, 9, 9]]
    assert new.share.tolist() == [[2, 0]]


@pytest.mark.parametrize("days", [[0, 0], [0, 1]])
def test_a_single_day_and_a_window_without_new_values_tell_nothing(days):
    assert len(found([[2, 8, 9, 9, 9]] * 2, {2: 0}, days).rows) == 0


def one_field(values, logit, label):
    share = np.ones((len(label), 1))
    new = NewValues(np.arange(len(label)), np.zeros((len(label), 1), np.int32), share, np.asarray(values)[:, None])
    return fit_weights(np.full(len(label), logit), label, new, 1.0, np.zeros(1))[0]


def test_many_new_values_are_believed_and_one_is_not_however_many_rows_it_has():
    rng = np.random.default_rng(1)
    label = (rng.random(200_000) < 1 / (1 + np.exp(2.7))).astype(np.uint8)  # at log-odds of -2.7; -3 was said
    values = 2 + rng.integers(0, 500, len(label))
    assert one_field(values, -3.0, label) == pytest.approx(0.3, abs=0.03)
    alone = one_field(np.full(len(label), 2), -3.0, label)
    told, prior = 1 / VALUE_SD**2, 1 / PRIOR_SD**2
    assert alone == pytest.approx(0.3 * told / (told + prior), rel=0.2)  # the loss is not quite a parabola
    assert abs(one_field(values[:20], -3.0, label[:20])) < 0.1


def test_the_fit_is_where_the_penalised_loss_is_least():
    rng = np.random.default_rng(2)
    label, share = (rng.random(3000) < 0.1).astype(np.uint8), rng.random((3000, 2))
    new = NewValues(np.arange(3000), np.zeros((3000, 2), np.int32), share, np.zeros((3000, 2), np.int32))
    before = np.array([0.1, -0.1])
    added = fit_weights(np.full(3000, -2.5), label, new, 1.0, before)

    def loss(added):
        logit = -2.5 + share @ added
        return (np.logaddexp(0, logit) - label * logit).sum() + ((before + added) ** 2).sum() / (2 * PRIOR_SD**2)

    nearby = added + rng.normal(0, 1e-3, (200, 2))
    assert loss(added) <= min(map(loss, nearby))


def launches(seed=3, rows=60_000, days=4):
    """Ads; those launched in the second half are clicked on as those of the first half never were."""
    rng = np.random.default_rng(seed)
    day = np.arange(rows) * days // rows
    ad = np.where(rng.random(rows) < 0.7, rng.integers(2, 12, rows), np.where(day < 2, 3, rng.integers(12, 22, rows)))
    logit = -2.5 + np.where(ad >= 12, 0.8, 0) + 0.3 * np.sin(ad)
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    return rows_of(np.stack([ad, 22 + rng.integers(2, 4, rows)], axis=1), day, label)


def first_days(rows):
    counts = [np.bincount(rows.ids[rows.day_index == day].ravel(), minlength=26) for day in range(4)]
    return ValueCounts.of_days(counts).first_day


@pytest.mark.parametrize(
    "training", [{}, {"ensemble": 2}, {"network": "logistic_regression"}, {"network": "dcn_v2"}, {"loss": "focal"}]
)
def test_after_it_the_level_of_new_values_as_unseen_is_that_of_their_clicks(training):
    rows, rules = launches(), recipe(**{"ensemble": 1} | training).model_copy(update={"features": ADS})
    network = build_network(rules, NumericState((), (), ()), -2.5, 7)
    train(network, batches_of(rows, factors_of(rows), rules), rules.training)
    table, width = network.get_layer("embedding").table, embedding_width(rules.training)
    new = new_values(rows, first_days(rows), ADS)
    assert new.rows.min() >= 30_000

    def level():
        logit = logits_function(network)(new.ids, rows.numeric[new.rows])
        return (1 / (1 + np.exp(-logit))).sum() / rows.label[new.rows].sum()

    before, was = level(), table.numpy()
    added = fit_unseen_values(network, rows, first_days(rows), ADS, width)
    assert before < 0.75
    assert abs(np.log(level())) < 0.4 * abs(np.log(before))
    assert added["ad"] > 0.2
    moved = np.argwhere(table.numpy() != was)
    assert {row for row, _ in moved} == {1}
    assert {column % width for _, column in moved} == {width - 1}


def test_a_network_that_does_not_read_linear_weights_stays_as_it_was():
    rows, inputs = launches(), {name: keras.Input((width,), dtype=kind, name=name) for name, width, kind in INPUTS}
    embedded = FusedEmbedding(26, 3, 1, name="embedding")(inputs["ids"])
    network = keras.Model(inputs, keras.ops.sum(embedded[:, :, 0], axis=1, keepdims=True))
    table = network.get_layer("embedding").table
    was = table.numpy()
    assert fit_unseen_values(network, rows, first_days(rows), ADS, 3) == {"ad": 0, "place": 0}
    np.testing.assert_array_equal(table.numpy(), was)


def test_labels_that_are_half_landed_are_no_sign_of_a_low_level():
    rows, rules = launches(), recipe(network="logistic_regression").model_copy(update={"features": ADS})
    share = np.full(len(rows), 0.5, np.float32)
    landed = (rows.label * (np.random.default_rng(5).random(len(rows)) < share)).astype(np.uint8)

    def added(rows):
        network = build_network(rules, NumericState((), (), ()), -2.5, 7)
        return fit_unseen_values(network, rows, first_days(rows), ADS, 1)["ad"]

    assert added(replace(rows, label=landed, maturity=share)) == pytest.approx(added(rows), abs=0.1)
    assert added(replace(rows, label=landed)) < added(rows) - 0.3
