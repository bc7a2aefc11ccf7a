"""Rules of training, on a toy world of 20,000 rows."""

from datetime import date
from math import log

import numpy as np
import pytest

from models.batches import TrainingRows, make_batches
from models.device import prepare_device
from models.errors import TrainingDivergedError
from models.feature import Feature
from models.network import build_network
from models.recipe import Channel, Cost, Gate, Recipe, Training, Weights
from models.standardize import NumericState
from models.training import predict_logits, train
from models.weights import ClassMass, compute_factors

DAY = date(2026, 3, 8)
ROWS = 20_000
FEATURES = (Feature(name="user", kind="categorical", buckets=50), Feature(name="age", kind="numeric"))


def toy(n=ROWS, seed=1):
    """Users differ widely in their click probability, and so do ages; about one row in ten is a positive."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, 50, (n, 1)).astype(np.int32)
    age = rng.normal(size=(n, 1)).astype(np.float32)
    truth = -3 + 2 * np.sin(ids[:, 0]) + age[:, 0]
    label = (rng.random(n) < 1 / (1 + np.exp(-truth))).astype(np.uint8)
    return TrainingRows(ids, age, label, np.zeros(n, np.int16)), truth


def recipe(**training):
    options = {"network": "deepfm", "embedding_dim": 4, "hidden_units": (8,), "batch_rows": 250} | training
    return Recipe(
        name="toy",
        channels={"ad": Channel(positive_ratio=(0, 1), cost=Cost(true_positive=-1, false_positive=0.02))},
        features=FEATURES,
        training=Training(**options),
        gate=Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1),
    )


def trained(rows, *, progress=None, weights=None, **training):
    rules = recipe(**training)
    counts = np.bincount(rows.label, minlength=2)
    mass = ClassMass(np.zeros(2, int), np.array([0, 1]), np.ones(2), counts)
    factors = compute_factors((DAY,), DAY, mass, weights or Weights())
    network = build_network(rules, NumericState((False,), (0.0,), (1.0,)), factors.base_log_odds, 7)
    batches = make_batches(rows, factors, rules.training.batch_rows, seed=7)
    return network, train(network, batches, rules.training, progress)


@pytest.fixture(scope="module")
def toy_run():
    rows, truth = toy()
    seen = []
    network, result = trained(rows, progress=lambda done, total: seen.append((done, total)))
    return rows, truth, network, result, seen


def test_the_loss_falls_on_something_that_can_be_learned(toy_run):
    _, _, _, result, _ = toy_run
    last = result.history[-1][1]
    assert last < result.history[0][1]
    assert last < 0.85 * log(2)  # what a constant costs under balanced weights
    assert np.isfinite([loss for _, loss in result.history]).all()


def test_what_is_learned_is_the_truth_and_not_the_weighted_world(toy_run):
    rows, truth, network, _, _ = toy_run
    logits = predict_logits(network, rows.ids, rows.numeric)
    assert np.corrcoef(logits, truth)[0, 1] > 0.95
    probability = 1 / (1 + np.exp(-logits.astype(float)))
    assert 0.9 < probability.sum() / rows.label.sum() < 1.1  # although positives weigh nine times as much


def test_without_offset_the_weighted_world_is_learned():
    rows, _ = toy()
    network, _ = trained(rows, weights=Weights(offset=False))
    probability = 1 / (1 + np.exp(-predict_logits(network, rows.ids, rows.numeric).astype(float)))
    assert probability.sum() / rows.label.sum() > 2


def test_progress_is_told_up_to_the_last_row(toy_run):
    _, _, _, result, seen = toy_run
    done = [rows for rows, _ in seen]
    assert seen[0] == (8 * 250, ROWS)  # eight steps at once
    assert seen[-1] == (ROWS, ROWS)
    assert done == sorted(done)
    assert [rows for rows, _ in result.history] == done


def test_the_result_says_rows_speed_and_device(toy_run):
    _, _, _, result, _ = toy_run
    assert result.rows == ROWS
    assert result.rows_per_second == pytest.approx(ROWS / result.seconds)
    assert result.device == prepare_device()


def test_an_incomplete_last_batch_counts_its_own_rows():
    rows, _ = toy(1030)
    seen = []
    trained(rows, progress=lambda done, _: seen.append(done))
    assert seen == [1030]  # five batches, the last one of 30 rows


def test_the_same_seed_gives_the_same_weights_on_a_cpu():
    rows, _ = toy(5000)
    first, again = trained(rows)[0].get_weights(), trained(rows)[0].get_weights()
    if prepare_device() != "cpu":
        pytest.skip("GPUs add in no fixed order")
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_loss_that_is_no_number_stops_training_and_says_where():
    rows, _ = toy(5000)
    words = r"expected a finite loss, received (nan|inf) in batches 1 to 8 of 20\. Lower training\.learning_rate"
    with pytest.raises(TrainingDivergedError, match=words):
        trained(rows, learning_rate=1e30)


def test_one_class_alone_trains_and_answers_finite_logits():
    rows, _ = toy(1000)
    nothing = TrainingRows(rows.ids, rows.numeric, np.zeros_like(rows.label), rows.day_index)
    network, _ = trained(nothing)
    logits = predict_logits(network, rows.ids, rows.numeric)
    assert np.isfinite(logits).all()
    assert logits.max() < -3


def test_logits_do_not_depend_on_how_rows_are_batched(toy_run):
    rows, _, network, _, _ = toy_run
    ids, numeric = rows.ids[:1000], rows.numeric[:1000]
    whole, parts = predict_logits(network, ids, numeric), predict_logits(network, ids, numeric, batch_rows=77)
    assert np.abs(whole - parts).max() < 1e-5
    assert predict_logits(network, ids[:0], numeric[:0]).shape == (0,)
