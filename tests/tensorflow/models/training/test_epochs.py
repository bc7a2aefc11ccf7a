"""Rules of several epochs: another order each time, an end when the slice kept out gets no better, the best weights."""

import numpy as np
import pytest

from ctr_retrain.models.recipe.training_section import Training
from ctr_retrain.models.training.batches import BatchOrder, epoch_seed
from ctr_retrain.models.training.optimizers import make_optimizer
from ctr_retrain.models.training.training_loop import _finished
from ctr_retrain.models.training.training_state import TrainingState
from tests.support.toy_training import batches_of, factors_of, recipe, toy, trained


def order(epoch):
    rows = BatchOrder(1000, 100, epoch_seed(7, epoch))
    return np.concatenate([rows.rows_of(batch) for batch in range(rows.batches)])


def test_each_epoch_has_every_row_once_and_an_order_of_its_own():
    orders = [order(epoch) for epoch in range(3)]
    assert all(np.array_equal(np.sort(found), np.arange(1000)) for found in orders)
    assert not any(np.array_equal(orders[a], orders[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert np.array_equal(order(2), orders[2])


def test_a_stream_that_begins_in_the_middle_has_the_batches_of_the_whole_one():
    rows, _ = toy(1000)
    batches = batches_of(rows, factors_of(rows), recipe(batch_rows=100))
    whole = [batch[0]["numeric"] for batch in batches.stream(1, 0).as_numpy_iterator()]
    rest = [batch[0]["numeric"] for batch in batches.stream(1, 6).as_numpy_iterator()]
    assert len(rest) == 4
    assert all(np.array_equal(a, b) for a, b in zip(whole[6:], rest, strict=True))


def test_training_stops_when_the_slice_kept_out_gets_no_better_and_takes_the_best_epochs_weights():
    rows, _ = toy(1500)
    rng = np.random.default_rng(5)
    other, _ = toy(1500, seed=2)
    kept_out = type(rows)(other.ids, other.numeric, rng.permutation(other.label), other.day_index)  # nothing to learn
    network, result = trained(rows, kept_out=kept_out, epochs=6, patience=2, learning_rate=0.02)
    losses = result.stopping_losses
    assert result.best_epoch == 1 + int(np.argmin(losses))
    assert result.epochs == result.best_epoch + 2 < 6
    assert result.history[-1][0] == result.epochs * 1500
    again, _ = trained(rows, kept_out=kept_out, epochs=6, patience=6, learning_rate=0.02)
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), again.get_weights(), strict=True))


def test_patience_counts_epochs_since_the_lowest_loss():
    training = Training(epochs=9, patience=2)
    assert not _finished(TrainingState(epoch=2, stopping_losses=(0.5, 0.6)), training)
    assert _finished(TrainingState(epoch=3, stopping_losses=(0.5, 0.6, 0.5)), training)
    assert not _finished(TrainingState(epoch=4, stopping_losses=(0.5, 0.6, 0.4, 0.45)), training)
    assert _finished(TrainingState(epoch=9, stopping_losses=()), training)


def test_the_rate_falls_over_all_epochs_not_over_each():
    schedule = make_optimizer(Training(learning_rate=0.002), 300, ids_per_row=1).dense._learning_rate
    rates = [float(schedule(step)) for step in (15, 100, 200, 300)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(0.002)
    assert rates[-1] == pytest.approx(0.002 * 0.01)


def test_kept_out_users_must_leave_some_to_train_on():
    with pytest.raises(ValueError, match=r"expected calibration_share and stopping_share to keep out at most 0\.7"):
        Training(epochs=2, calibration_share=0.5, stopping_share=0.3)
    Training(calibration_share=0.5, stopping_share=0.3)  # a single epoch stops by nothing


def test_mixed_precision_computes_hidden_layers_in_bfloat16_and_the_rest_in_float32():
    rows, _ = toy(6000)
    plain, plain_result = trained(rows)
    mixed, mixed_result = trained(rows, precision="mixed")
    dense = [layer for layer in mixed.layers if type(layer).__name__ == "Dense"]
    assert [layer.compute_dtype for layer in dense] == ["bfloat16", "float32"]
    assert {str(variable.dtype) for variable in mixed.variables} == {"float32"}
    assert mixed.get_layer("embedding").compute_dtype == str(mixed.output.dtype) == "float32"
    assert mixed_result.precision == "mixed"
    assert mixed_result.history[-1][1] == pytest.approx(plain_result.history[-1][1], abs=0.01)
    assert not np.array_equal(plain.get_weights()[0], mixed.get_weights()[0])
