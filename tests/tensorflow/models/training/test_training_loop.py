"""Rules of training, on a toy world of 20,000 rows."""

from math import log

import numpy as np
import pytest

from ctr_retrain.models.documents.training_documents import TrainingSteps
from ctr_retrain.models.errors import TrainingDivergedError
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.training.batches import BatchOrder, TrainingRows
from ctr_retrain.models.training.device import prepare_device
from ctr_retrain.models.training.training_loop import logits_function
from tests.support.toy_training import ROWS, toy, trained


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
    logits = logits_function(network)(rows.ids, rows.numeric)
    assert np.corrcoef(logits, truth)[0, 1] > 0.95
    probability = 1 / (1 + np.exp(-logits.astype(float)))
    assert 0.9 < probability.sum() / rows.label.sum() < 1.1  # although positives weigh nine times as much


def test_without_offset_the_weighted_world_is_learned():
    rows, _ = toy()
    network, _ = trained(rows, weights=Weights(offset=False))
    probability = 1 / (1 + np.exp(-logits_function(network)(rows.ids, rows.numeric).astype(float)))
    assert probability.sum() / rows.label.sum() > 2


def test_progress_is_told_up_to_the_last_row(toy_run):
    _, _, _, result, seen = toy_run
    assert seen[0] == (0, ROWS)  # from which the speed is counted
    done = [rows for rows, _ in seen[1:]]
    assert seen[1] == (2 * 250, ROWS)  # two steps at once, so that 80 make a curve of 40 points
    assert seen[-1] == (ROWS, ROWS)
    assert done == sorted(done)
    assert [rows for rows, _ in result.history] == done


def test_the_result_says_rows_speed_and_device(toy_run):
    _, _, _, result, _ = toy_run
    assert result.rows == ROWS
    assert result.rows_per_second == pytest.approx(ROWS / result.seconds)
    assert result.device == prepare_device()


def test_the_result_says_its_steps_and_rates(toy_run):
    _, _, _, result, _ = toy_run
    rates = {"learning_rate": 2 / 80, "embedding_learning_rate": 0.05}  # by deepfm and 80 steps, as the recipe has none
    assert result.steps == TrainingSteps(count=80, batch_rows=250, **rates)


def test_an_incomplete_last_batch_counts_its_own_rows():
    rows, _ = toy(1030)
    seen = []
    trained(rows, progress=lambda done, _: seen.append(done))
    assert seen == [0, 250, 500, 750, 1000, 1030]  # five batches, the last one of 30 rows


def test_the_same_seed_gives_the_same_weights_on_a_cpu():
    rows, _ = toy(5000)
    first, again = trained(rows)[0].get_weights(), trained(rows)[0].get_weights()
    if prepare_device() != "cpu":
        pytest.skip("GPUs add in no fixed order")
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_loss_that_is_no_number_stops_training_and_names_batch_and_days():
    rows, _ = toy(5000)
    words = r"expected a finite loss, received (nan|inf) in batch 2 of 20, whose 250 rows are of 2026-03-08 \(250\)\."
    with pytest.raises(TrainingDivergedError, match=words):
        trained(rows, learning_rate=1e30)


def test_the_batch_that_is_named_is_the_one_with_the_broken_rows():
    rows, _ = toy(5000, days=2)
    broken = BatchOrder(5000, 250, 7).rows_of(12)
    confidence = np.ones(5000, np.float32)
    confidence[broken[:3]] = np.nan
    words = r"in batch 13 of 20, whose 250 rows are of 2026-03-08 \(\d+\), 2026-03-09 \(\d+\)\."
    with pytest.raises(TrainingDivergedError, match=words):
        trained(TrainingRows(rows.ids, rows.numeric, rows.label, rows.day_index, confidence))


def test_one_class_alone_trains_and_answers_finite_logits():
    rows, _ = toy(1000)
    nothing = TrainingRows(rows.ids, rows.numeric, np.zeros_like(rows.label), rows.day_index)
    network, _ = trained(nothing)
    logits = logits_function(network)(rows.ids, rows.numeric)
    assert np.isfinite(logits).all()
    assert logits.max() < -3


def test_logits_do_not_depend_on_how_rows_are_batched(toy_run):
    rows, _, network, _, _ = toy_run
    ids, numeric = rows.ids[:1000], rows.numeric[:1000]
    whole, parts = logits_function(network)(ids, numeric), logits_function(network, batch_rows=77)(ids, numeric)
    assert np.abs(whole - parts).max() < 1e-5
    assert logits_function(network)(ids[:0], numeric[:0]).shape == (0,)
