"""What a network gets where it isn't told a feature, and which features tell of one another."""

import numpy as np

from ctr_retrain.models.feature_kinds.fingerprints import FIRST_KNOWN_ROW
from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.feature_worth.left_out import families, without

NAN = np.nan


def made(kind, name, **keys):
    return feature_of({"kind": kind, "name": name, **keys})


def of_rows(feature, rows):
    """The feature with so many rows of the table, as a training window leaves it."""
    return feature.knowing(np.arange(rows - FIRST_KNOWN_ROW))


FEATURES = (
    of_rows(made("categorical", "user"), 5),  # rows 0 to 4: missing, unseen, three values
    made("hour", "hour"),  # rows 5 to 29
    of_rows(made("multi_valued", "tags", max_values=3), 4),  # rows 30 to 33
    made("numeric", "price"),
)
IDS = np.array([[3, 12, 32, 33, 30], [0, 5, 30, 30, 30], [4, 29, 33, 30, 30]], np.int32)


def test_texts_are_given_as_never_seen_clocks_as_missing_and_other_features_as_they_are():
    ids, _ = without(IDS, np.zeros((3, 1), np.float32), np.full(3, "ad"), FEATURES, ("user", "hour"))
    assert ids.tolist() == [[1, 5, 32, 33, 30], [1, 5, 30, 30, 30], [1, 5, 33, 30, 30]]


def test_several_texts_are_one_that_was_never_seen():
    ids, _ = without(IDS, np.zeros((3, 1), np.float32), np.full(3, "ad"), FEATURES, ("tags",))
    assert ids[:, 2:].tolist() == [[31, 30, 30]] * 3


def test_what_is_left_out_changes_neither_the_rows_that_were_given():
    given, numeric = IDS.copy(), np.ones((3, 1), np.float32)
    without(given, numeric, np.full(3, "ad"), FEATURES, [feature.name for feature in FEATURES])
    assert np.array_equal(given, IDS)
    assert numeric.all()


def test_a_number_has_the_median_of_its_channel_and_stays_missing_where_most_are():
    channel = np.array(["ad"] * 4 + ["push"] * 3, object)
    price = np.array([1, 2, 900, NAN, NAN, NAN, 7], np.float32)[:, None]
    ids = np.zeros((7, 5), np.int32)
    _, numeric = without(ids, price, channel, FEATURES, ("price",))
    assert numeric[:4, 0].tolist() == [2, 2, 2, 2]
    assert np.isnan(numeric[4:, 0]).all()


def test_a_feature_that_shares_rows_is_given_as_its_owner_never_saw_it():
    pair = (of_rows(made("categorical", "shown"), 4), of_rows(made("categorical", "last", shares="shown"), 4))
    ids, _ = without(np.array([[2, 3]], np.int32), np.zeros((1, 0), np.float32), np.array(["ad"]), pair, ("last",))
    assert ids.tolist() == [[2, 1]]


def test_families_are_features_of_one_column_and_those_that_share_rows():
    features = (
        made("categorical", "city"),
        made("categorical", "device"),
        made("crossed", "city_device", columns=["city", "device"]),
        made("hour", "hour", harmonics=2),
        made("weekday", "weekday"),
        made("categorical", "shown"),
        made("categorical", "last", shares="shown"),
        made("numeric", "price"),
    )
    assert families(features) == [
        ("city", "city_device"), ("device", "city_device"), ("hour", "weekday"), ("shown", "last")
    ]  # fmt: skip


def test_features_of_columns_of_their_own_make_no_family():
    assert families(FEATURES) == []
