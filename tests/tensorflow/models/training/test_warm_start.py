"""Rules of what a network takes over from another: rows by field and id, layers by name, and never what has moved."""

from dataclasses import replace

import numpy as np
import pytest

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.clock import Hour
from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.features.embedding import EMBEDDING_SPREAD
from ctr_retrain.models.features.piecewise import PIECEWISE_NUMBERS
from ctr_retrain.models.features.standardize import NumericState, fit_numeric_state
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.warm_start_section import WarmStart
from ctr_retrain.models.training.compatibility import same_rows_kept_out, why_incompatible
from ctr_retrain.models.training.saved_network import named_layers, named_slots, named_weights, trainable_of
from ctr_retrain.models.training.training_loop import optimizer_for, train
from ctr_retrain.models.training.warm_start import (
    FRESH,
    SourceModel,
    check_layer_names,
    freeze_layers,
    row_sources,
    seen_rows,
    steps_done,
    transfer_slots,
    transfer_weights,
    transferred_state,
)
from tests.support.known_values import of_rows
from tests.support.toy_training import FEATURES, batches_of, factors_of, recipe, toy

USER, AGE = FEATURES
CITY = of_rows(Categorical(name="city"), 4)
HOUR = Hour(name="hour")
STATE = NumericState((False,), (0.0,), (1.0,))


def sources(features, source_model, seen=None):
    return row_sources(tuple(features), tuple(source_model), seen)


def test_a_fields_rows_stay_its_own_when_fields_come_go_or_change_places():
    found = sources([CITY, USER], [USER, HOUR, CITY]).source
    assert found.tolist() == [*range(75, 79), *range(50)]
    assert sources([HOUR, USER], [USER]).source.tolist() == [FRESH] * 25 + [*range(50)]


def test_a_field_that_reads_another_column_begins_anew():
    found = sources([of_rows(Categorical(name="user", column="visitor"), 50), CITY], [USER, CITY])
    assert (found.source[:-4] == FRESH).all()
    assert found.source[-4:].tolist() == [*range(50, 54)]


def test_values_keep_their_rows_and_new_ones_start_as_unseen_ones_with_slots_of_their_own():
    old, new = CITY.knowing([7, 11, 13]), CITY.knowing([5, 7, 13]).model_copy(update={"buckets": 3, "min_rows": 2})
    found = sources([HOUR, new], [old, HOUR])
    assert found.source[25:].tolist() == [0, 1, 1, 2, 4]  # missing, unseen, 5, 7, 13
    assert found.own[25:].tolist() == [True, True, False, True, True]


def test_values_that_recent_days_do_not_name_expire_but_missing_and_unseen_values_and_hours_stay():
    seen = seen_rows([np.array([[3, 50]], np.int32), np.array([[7, 51]], np.int32)], (USER, HOUR))
    found = sources([USER, HOUR], [USER, HOUR], seen=seen)
    assert np.flatnonzero(found.source[:50] != FRESH).tolist() == [0, 1, 3, 7]
    assert found.source[50:].tolist() == [*range(50, 75)]
    assert found.expired == 46


@pytest.fixture(scope="module")
def source_model():
    rows, _ = toy(3000)
    rules, factors = recipe(hidden_units=(8, 6)), factors_of(rows)
    network = build_network(rules, STATE, factors.base_log_odds, 7)
    batches = batches_of(rows, factors, rules)
    optimizer = optimizer_for(network, batches, rules.training)
    train(network, batches, rules.training, optimizer=optimizer)
    return SourceModel(rules, STATE, trainable_of(network, optimizer, FEATURES))


def started(source_model, features=FEATURES, **training):
    """A network with what it takes from the donor."""
    rules = recipe(hidden_units=(8, 6), **training).model_copy(update={"features": features})
    network = build_network(rules, STATE, -1.0, 8)
    return rules, network, *transfer_weights(network, rules, source_model, None)


def test_the_same_recipe_takes_all_weights_and_slots_and_the_count_of_steps(source_model):
    rules, network, transferred, moved = started(source_model)
    assert transferred.fresh_layers == ()
    assert transferred.rows == 50
    for name, weight in named_weights(network).items():
        assert np.array_equal(weight, source_model.trainable.weights[name])
    optimizer = optimizer_for(network, batches_of(toy(500)[0], factors_of(toy(500)[0]), rules), rules.training, 12)
    optimizer.build(network.trainable_variables)
    transferred = transfer_slots(optimizer, network, source_model, moved, transferred)
    assert transferred.slots == 1 + 2 * 2 * 3
    assert int(optimizer.iterations) == steps_done(source_model) == 12
    for name, slot in named_slots(optimizer, network).items():
        assert ": " not in name or np.array_equal(slot, source_model.trainable.slots[name])


def test_layers_whose_inputs_have_moved_begin_anew(source_model):
    _, network, transferred, _ = started(source_model, (CITY, USER, AGE))
    assert transferred.layers == ("embedding",)
    assert transferred.fresh_layers == ("dense", "dense_1", "dense_2")
    table = named_weights(network)["embedding/0 embedding_table"]
    assert np.array_equal(table[4:], source_model.trainable.weights["embedding/0 embedding_table"])
    assert transferred.fresh_rows == 4


def test_another_kind_of_optimizer_takes_only_the_slots_that_it_has_too(source_model):
    rules, network, transferred, moved = started(source_model, embedding_optimizer="lazy_adam")
    optimizer = optimizer_for(network, batches_of(toy(500)[0], factors_of(toy(500)[0]), rules), rules.training)
    optimizer.build(network.trainable_variables)
    assert transfer_slots(optimizer, network, source_model, moved, transferred).slots == 2 * 2 * 3


def test_frozen_layers_stay_as_they_are_while_the_others_learn(source_model):
    rules, network, transferred, _ = started(source_model)
    frozen = freeze_layers(network, ("embedding", "dense"), transferred)
    assert frozen.frozen == ("embedding", "dense")
    rows, _ = toy(1000, seed=3)
    train(network, batches_of(rows, factors_of(rows), rules), rules.training)
    same = {n: np.array_equal(w, source_model.trainable.weights[n]) for n, w in named_weights(network).items()}
    assert {name.split("/")[0] for name, equal in same.items() if equal} == {"embedding", "dense"}
    assert not any(equal for name, equal in same.items() if name.split("/")[0] in ("dense_1", "dense_2"))


def test_a_layer_that_is_not_there_is_refused_with_the_names_of_those_that_are(source_model):
    network = started(source_model)[1]
    with pytest.raises(UsageError, match=r"embedding, dense, dense_1, dense_2, received \['tower'\], which it has not"):
        check_layer_names(network, ("dense", "tower"))
    with pytest.raises(UsageError, match="received all of them"):
        check_layer_names(network, tuple(named_layers(network)))


def test_numbers_are_standardised_as_the_donors_were_and_new_ones_by_what_was_fitted(source_model):
    bid = Numeric(name="bid", encoding="standardized")
    fitted = NumericState((False, False), (7.0, 9.0), (3.0, 4.0))
    assert transferred_state(fitted, (bid, USER, AGE), source_model) == NumericState(
        (False, False), (7.0, 0.0), (3.0, 1.0)
    )
    logged = AGE.model_copy(update={"transform": "log"})
    assert transferred_state(NumericState((True,), (7.0,), (3.0,)), (USER, logged), source_model).mean == (7.0,)


IN_PIECES = (Numeric(name="age"), Numeric(name="bid"))


@pytest.fixture(scope="module")
def in_pieces():
    """A model of two numbers in pieces, of which only the first has a label to learn."""
    rows = two_numbers(seed=1)
    rules = recipe(hidden_units=(8,)).model_copy(update={"features": (USER, *IN_PIECES)})
    state = fit_numeric_state([rows.numeric], rules.features)
    network = build_network(rules, state, -1.0, 7)
    factors = factors_of(rows)
    optimizer = optimizer_for(network, batches_of(rows, factors, rules), rules.training)
    train(network, batches_of(rows, factors, rules), rules.training, optimizer=optimizer)
    return SourceModel(rules, state, trainable_of(network, optimizer, rules.features))


def two_numbers(seed, *, moved=0.0):
    rows, _ = toy(3000, seed=seed)
    bid = moved + np.random.default_rng(seed).normal(size=(3000, 1)).astype(np.float32)
    return replace(rows, numeric=np.hstack([rows.numeric, bid]).astype(np.float32))


def warm(source_model, rows, features):
    """What a network of these features takes of a model, slots included, and its weights and those slots by name."""
    rules = source_model.recipe.model_copy(update={"features": features})
    state = transferred_state(fit_numeric_state([rows.numeric], features), features, source_model)
    network = build_network(rules, state, -1.0, 8)
    transferred, moved = transfer_weights(network, rules, source_model, None)
    optimizer = optimizer_for(network, batches_of(rows, factors_of(rows), rules), rules.training)
    optimizer.build(network.trainable_variables)
    transferred = transfer_slots(optimizer, network, source_model, moved, transferred)
    return transferred, state, named_weights(network), named_slots(optimizer, network)


KERNEL = f"{PIECEWISE_NUMBERS}/0 kernel"


def test_numbers_keep_the_champions_pieces_and_weights_as_long_as_their_values_fit(in_pieces):
    transferred, state, weights, slots = warm(in_pieces, two_numbers(seed=2), (USER, *IN_PIECES))
    assert state == in_pieces.state
    assert transferred.fresh_numbers == transferred.fresh_layers == ()
    assert np.array_equal(weights[KERNEL], in_pieces.trainable.weights[KERNEL])
    assert np.array_equal(slots[f"{KERNEL}: momentum"], in_pieces.trainable.slots[f"{KERNEL}: momentum"])


def test_a_number_whose_values_have_left_the_champions_pieces_begins_anew_alone(in_pieces):
    transferred, state, weights, slots = warm(in_pieces, two_numbers(seed=2, moved=2.0), (USER, *IN_PIECES))
    assert transferred.fresh_numbers == ("bid",)
    assert transferred.fresh_layers == ()
    assert state.knots[0] == in_pieces.state.knots[0]
    assert state.knots[1][0] > in_pieces.state.knots[1][0]
    kernel, old = np.asarray(weights[KERNEL]), in_pieces.trainable.weights[KERNEL]
    assert np.array_equal(kernel[0], old[0])
    assert np.abs(kernel[1]).max() <= EMBEDDING_SPREAD < np.abs(old[1]).max()
    assert (np.asarray(slots[f"{KERNEL}: momentum"])[1] == 0).all()


def test_a_number_that_the_champion_standardises_begins_anew_in_pieces_and_so_do_the_layers_above(source_model):
    features = (USER, Numeric(name="age"))
    transferred, state, _, _ = warm(source_model, toy(1000)[0], features)
    assert transferred.fresh_numbers == ("age",)
    assert len(state.knots[0]) > 1
    assert transferred.layers == ("embedding",)
    assert PIECEWISE_NUMBERS in transferred.fresh_layers


def test_weights_of_a_number_come_along_though_numbers_change_places(in_pieces):
    rows = two_numbers(seed=2)
    turned = replace(rows, numeric=rows.numeric[:, ::-1].copy())
    _, state, weights, _ = warm(in_pieces, turned, (USER, *IN_PIECES[::-1]))
    assert state.knots == in_pieces.state.knots[::-1]
    assert np.array_equal(weights[KERNEL], in_pieces.trainable.weights[KERNEL][::-1])


def test_weights_of_another_shape_or_without_a_common_feature_do_not_fit():
    assert why_incompatible(recipe(), recipe()) is None
    assert why_incompatible(recipe(embedding_dim=5), recipe()) == "its training.embedding_dim is 4, the recipe's 5"
    other = recipe().model_copy(update={"features": (CITY,)})
    assert why_incompatible(other, recipe()) == "it has no feature in common with the recipe"


def test_rows_kept_out_are_the_same_only_where_both_recipes_keep_the_same_share_by_the_day():
    warm = recipe().model_copy(update={"warm_start": WarmStart(enabled=True)})
    more = recipe(calibration_share=0.2).model_copy(update={"warm_start": WarmStart(enabled=True)})
    assert same_rows_kept_out(warm, warm)
    assert not same_rows_kept_out(warm, more)
    assert not same_rows_kept_out(warm, recipe())


def test_a_twin_is_wanted_on_every_so_many_days():
    assert [WarmStart(cold_every=3).wants_twin(day) for day in range(6)] == [True, False, False] * 2
    assert not WarmStart(cold_every=0).wants_twin(0)
