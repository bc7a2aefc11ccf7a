"""Rules of the training stream."""

from datetime import date, timedelta

import numpy as np
import pytest

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.training.batches import RUN_ROWS, BatchOrder, TrainingRows, count_streamed, make_batches
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors

CUT = date(2026, 3, 8)
DAYS = (CUT - timedelta(days=7), CUT)


def rows_of(n, *, confidence=False):
    """Rows that can be told apart by their first id; every tenth is a positive, the first half a week old."""
    number = np.arange(n, dtype=np.int32)
    return TrainingRows(
        ids=np.stack([number, number + n], axis=1),
        numeric=number[:, None].astype(np.float32) / 8,
        label=(number % 10 == 3).astype(np.uint8),
        day_index=(number >= n // 2).astype(np.int16),
        confidence=np.where(number % 3 == 0, 0.5, 1).astype(np.float32) if confidence else None,
    )


def factors_for(rows):
    confidence = np.ones(len(rows)) if rows.confidence is None else rows.confidence
    mass = ClassMass(rows.day_index, rows.label, confidence, np.ones(len(rows), int))
    return compute_factors(DAYS, CUT, mass, Weights(half_life_days=7, cap=3))


def stream(rows, batch_rows=100, seed=1):
    batches = make_batches(rows, factors_for(rows), batch_rows, seed)
    return [
        ({name: tensor.numpy() for name, tensor in inputs.items()}, label.numpy(), weight.numpy())
        for inputs, label, weight in batches.dataset
    ]


def numbers(batches):
    return np.concatenate([inputs["ids"][:, 0] for inputs, _, _ in batches])


@pytest.mark.parametrize("n", [1, 63, 64, 100, 1000, 1024])
def test_an_epoch_holds_each_row_exactly_once(n):
    assert sorted(numbers(stream(rows_of(n))).tolist()) == list(range(n))


def test_batches_are_full_save_the_last():
    rows = rows_of(1050)
    assert [len(label) for _, label, _ in stream(rows)] == [100] * 10 + [50]
    batches = make_batches(rows, factors_for(rows), 100, 1)
    assert (batches.count, batches.rows, batches.batch_rows) == (11, 1050, 100)
    assert int(batches.dataset.cardinality()) == 11


def test_rows_are_shuffled_within_a_batch_and_between_batches():
    order = numbers(stream(rows_of(10_000), batch_rows=1000))
    assert (np.diff(order) == 1).mean() < 0.01
    for batch in np.split(order, 10):
        assert len(set(batch // 31)) >= 32  # a batch of 1,000 has runs of 31 rows, from 32 places or more
        assert 2000 < batch.mean() < 8000  # from all over the data, whose mean is 5,000


def test_the_seed_alone_decides_the_order():
    rows = rows_of(1000)
    first = numbers(stream(rows, seed=1))
    assert np.array_equal(numbers(stream(rows, seed=1)), first)
    assert not np.array_equal(numbers(stream(rows, seed=2)), first)


@pytest.mark.parametrize("confidence", [False, True])
def test_each_row_comes_with_its_own_values_weight_and_offset(confidence):
    rows = rows_of(1000, confidence=confidence)
    factors = factors_for(rows)
    weights = []
    for inputs, label, weight in stream(rows):
        index = inputs["ids"][:, 0]
        own = None if rows.confidence is None else rows.confidence[index]
        assert np.array_equal(inputs["ids"][:, 1], index + 1000)
        assert np.array_equal(inputs["numeric"], rows.numeric[index])
        assert np.array_equal(label[:, 0], rows.label[index])
        assert np.array_equal(weight, factors.weight(rows.day_index[index], rows.label[index], own))
        assert np.array_equal(inputs["offset"][:, 0], factors.offset(rows.day_index[index], own))
        weights.append(weight)
    assert np.concatenate(weights).mean() == pytest.approx(1)
    assert len(set(np.concatenate(weights).tolist())) > 2


def test_batches_have_the_shapes_that_keras_wants():
    inputs, label, weight = stream(rows_of(100), batch_rows=30)[0]
    assert {name: value.shape for name, value in inputs.items()} == {
        "ids": (30, 2),
        "numeric": (30, 1),
        "offset": (30, 1),
    }
    assert (label.shape, weight.shape) == ((30, 1), (30,))
    spec = make_batches(rows_of(100), factors_for(rows_of(100)), 30, 1).dataset.element_spec
    assert spec[0]["ids"].shape.as_list() == [None, 2]


def test_memory_maps_stream_like_arrays(tmp_path):
    rows = rows_of(500)
    maps = []
    for name in ("ids", "numeric", "label", "day_index"):
        np.save(tmp_path / name, getattr(rows, name))
        maps.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    assert np.array_equal(numbers(stream(TrainingRows(*maps))), numbers(stream(rows)))


@pytest.mark.parametrize(
    ("batch_rows", "run_rows"), [(1, 1), (32, 1), (63, 1), (64, 2), (2048, 64), (65_536, RUN_ROWS)]
)
def test_a_batch_mixes_runs_of_neighbouring_rows_from_32_places_or_as_many_as_it_has_rows(batch_rows, run_rows):
    order = BatchOrder(rows=131_072, batch_rows=batch_rows, seed=3)
    first = order.rows_of(0)
    runs, rows = np.unique(first // run_rows, return_counts=True)
    assert len(runs) >= min(32, batch_rows)
    assert rows.max() == run_rows
    assert (rows == run_rows).sum() >= len(runs) - 1
    assert sorted(order.runs) == list(range(-(-131_072 // run_rows)))


def test_no_rows_and_arrays_of_different_lengths_are_refused():
    with pytest.raises(DataRejectedError, match=r"one length of at least 1, received lengths \[0, 0, 0, 0\]"):
        rows_of(0)
    rows = rows_of(3)
    with pytest.raises(DataRejectedError, match=r"received lengths \[3, 3, 2, 3\]"):
        TrainingRows(rows.ids, rows.numeric, rows.label[:2], rows.day_index)


@pytest.mark.parametrize(
    "weights", [Weights(half_life_days=7), Weights(half_life_days=7, negative_share=0.5, positive_copies=3)]
)
def test_what_an_epoch_streams_is_counted_as_it_is_streamed(weights):
    rows = rows_of(1000)
    mass = ClassMass(rows.day_index, rows.label, np.ones(len(rows)), np.ones(len(rows), int))
    factors = compute_factors(DAYS, CUT, mass, weights)
    batches = make_batches(rows, factors, 100, 1)
    positives = sum(int(label.numpy().sum()) for _, label, _ in batches.dataset)
    assert count_streamed(rows, factors, 1) == (batches.rows, positives)
