"""Rules of the values that get a row of their own: no two share one, and what is left is said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.clock import Hour
from ctr_retrain.models.feature_kinds.fingerprints import FIRST_KNOWN_ROW, SHARED_ROW
from ctr_retrain.models.feature_kinds.multi_valued import MultiValued
from ctr_retrain.models.features import vocabulary
from ctr_retrain.models.features.dictionary import Dictionary
from ctr_retrain.models.features.table_layout import field_offsets
from ctr_retrain.models.features.vocabulary import (
    count_codes,
    count_unseen,
    fit_values,
    known_values,
    unseen_rows,
    with_values,
)

USER, HOUR = Categorical(name="user"), Hour(name="hour")


ENOUGH = 10_000  # positives


def fitted(feature, values, rows):
    """The feature fitted on one day with these values on so many rows each, and what is told of it."""
    ((feature,), (told,)) = fit_values((feature,), [(Dictionary((values,)), np.concatenate([[5], rows]))])
    return feature, told


@pytest.mark.parametrize("count", [1, 3, 1000, 100_000])
def test_up_to_100_000_values_no_two_share_a_row_however_few_rows_they_are_on(count):
    rng = np.random.default_rng(count)
    values = np.unique(rng.integers(-(2**63), 2**63 - 1, count))
    feature, told = fitted(USER, values, rng.integers(1, 4, count))
    rows = feature.rows_of(values)
    assert len(np.unique(rows)) == count
    assert (rows.min(), rows.max()) == (FIRST_KNOWN_ROW, feature.table_rows - 1)
    assert (told.values, told.own_rows, told.shared_share, told.cut_values) == (count, count, 0, 0)
    assert feature.rows_of(np.array([values[0] - 1, values[-1] + 1])).tolist() == [SHARED_ROW] * 2


def test_beyond_that_at_most_1_percent_of_the_rows_share_one_and_the_frequent_do_not():
    values, rows = np.arange(300_000), np.random.default_rng(1).zipf(1.5, 300_000).clip(max=10_000)
    feature, told = fitted(USER, values, rows)
    shared = feature.rows_of(values) == SHARED_ROW
    assert 0.005 < rows[shared].sum() / rows.sum() <= 0.01
    assert told.shared_share == pytest.approx(rows[shared].sum() / rows.sum())
    assert rows[shared].max() <= rows[~shared].min()
    assert len(np.unique(feature.rows_of(values[~shared]))) == told.own_rows == (~shared).sum()


@settings(max_examples=60)
@given(
    st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.integers(0, 9), max_size=30),
    st.integers(0, 8),
    st.integers(1, 4),
    st.integers(0, 12),
)
def test_any_bounds_leave_the_most_frequent_values_a_row_each_and_the_rest_is_told(counts, buckets, min_rows, own_rows):
    values = np.array(sorted(counts), np.int64)
    rows = np.array([counts[value] for value in values.tolist()], np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "OWN_ROWS", own_rows)
        feature, told = fitted(USER.model_copy(update={"buckets": buckets, "min_rows": min_rows}), values, rows)
    found = feature.rows_of(values)
    own = found != SHARED_ROW
    assert len(np.unique(found[own])) == own.sum() == told.own_rows
    assert told.values == (rows > 0).sum()
    assert rows[own].min(initial=99) >= max(min_rows, rows[~own & (rows >= min_rows)].max(initial=0))
    frequent = rows >= max(1, min_rows)
    if buckets:
        assert own.sum() == min(buckets, frequent.sum())
        assert told.cut_values == max(0, frequent.sum() - buckets)
    elif frequent.sum() <= own_rows:
        assert own.sum() == frequent.sum()
    if not buckets and min_rows == 1:
        assert told.shared_share <= 0.01 + 1e-9
    if rows.sum():
        assert told.shared_share == pytest.approx(rows[~own].sum() / rows.sum())


def test_values_are_counted_over_all_days_and_features_that_share_rows():
    city = Categorical(name="city", min_rows=3)
    visited = MultiValued(name="visited", max_values=2, min_rows=3, shares="city")
    features = (visited, HOUR, city)
    hours = np.arange(24)
    first = Dictionary((np.array([4, 7]), hours, np.array([7])))
    second = Dictionary((np.array([], np.int64), hours, np.array([4, 9])))
    codes = [np.array([[2, 1, 5, 28], [0, 0, 5, 29]]), np.array([[0, 0, 3, 27], [0, 0, 3, 27], [0, 0, 3, 28]])]
    counted = [(day, count_codes([ids], day)) for day, ids in zip((first, second), codes, strict=True)]
    fit, (told,) = fit_values(features, counted)
    assert known_values(fit)["city"].tolist() == [4]  # on 3 rows; 7 is on 2, and 9 on one
    assert (told.values, told.own_rows, told.shared_share) == (3, 1, 0.5)
    less = tuple(feature.model_copy(update={"min_rows": 2}) if feature is not HOUR else HOUR for feature in features)
    assert known_values(fit_values(less, counted)[0])["city"].tolist() == [4, 7]


def test_a_dictionary_says_the_table_rows_of_its_codes_and_comes_back_from_disk(tmp_path):
    features = with_values((USER, HOUR), {"user": np.array([3, 5])})
    day, other = Dictionary((np.array([4, 5]), np.arange(24))), Dictionary((np.array([3, 5]), np.arange(24)))
    assert day.table_rows(features).tolist() == [0, 1, 3, 4, *range(5, 29)]
    whole = Dictionary.merged([day, other], features)
    assert whole.values[0].tolist() == [3, 4, 5]
    assert day.codes_in(whole).tolist() == [0, 2, 3, 4, *range(5, 29)]
    whole.save(tmp_path / "values.npy")
    again = Dictionary.load(tmp_path / "values.npy")
    assert [values.tolist() for values in again.values] == [values.tolist() for values in whole.values]
    assert Dictionary.merged([], features).first_codes == [0, 1, 2]
    Dictionary(()).save(tmp_path / "none.npy")
    assert Dictionary.load(tmp_path / "none.npy").values == ()


def test_rows_of_some_codes_are_those_of_the_whole_dictionary():
    tags = MultiValued(name="tags", max_values=2).knowing(np.array([4, 9]))
    features = (USER.knowing(np.array([5, 7])), tags, HOUR, Categorical(name="none"))
    dictionary = Dictionary((np.array([5, 6, 7]), np.array([4, 8]), np.arange(24), np.empty(0, np.int64)))
    codes = np.array([[0, 5, 4, 7, 32], [1, 6, 5, 31, 32], [2, 4, 4, 8, 32], [3, 6, 6, 9, 32]], np.int32)
    assert dictionary.table_rows_of(codes, features).tolist() == dictionary.table_rows(features)[codes].tolist()


def test_any_known_value_may_count_as_unseen_but_where_rare_ones_train_the_shared_row():
    features, told = fit_values(
        (USER, HOUR, Categorical(name="rare", min_rows=3)),
        [
            (
                Dictionary((np.array([8, 9]), np.arange(24), np.array([1, 2]))),
                np.array([1, 4, 4, *[0] * 25, 0, 3, 1]),
            )
        ],
    )
    rows = unseen_rows(features, told, ENOUGH)
    assert rows[:4].tolist() == [0, 1, SHARED_ROW, SHARED_ROW]
    assert rows[4:].tolist() == [*range(4, 4 + 25 + 3)]
    assert len(rows) == 32
    assert unseen_rows(features, (), ENOUGH)[-1] == 4 + 25 + SHARED_ROW


def test_no_value_counts_as_unseen_where_so_few_positives_would_teach_the_shared_row_noise():
    features = (Categorical(name="a"),)
    assert unseen_rows(features, (), ENOUGH) is not None
    assert unseen_rows(features, (), ENOUGH - 1) is None


def test_rows_with_a_value_that_the_network_does_not_know_are_counted_by_feature():
    tags = MultiValued(name="tags", max_values=2)
    user, hour, tag = (feature.knowing(np.array([7, 8])) if feature != HOUR else HOUR for feature in (USER, HOUR, tags))
    offsets = field_offsets((user, hour, tag))
    new_user, new_tag = offsets[0] + SHARED_ROW, offsets[2] + SHARED_ROW
    known = [offsets[0] + FIRST_KNOWN_ROW, offsets[1], offsets[2] + FIRST_KNOWN_ROW, offsets[2]]
    ids = np.array([known, [new_user, *known[1:]], [new_user, known[1], new_tag, new_tag], [*known[:3], new_tag]])
    assert count_unseen([ids[:1], ids[1:]], (user, hour, tag)) == {"user": 2, "tags": 2}
