"""Rules of features: the same ids and numbers offline and in the served graph."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.feature_kinds.arrow_columns import MISSING_TIME, as_numbers, as_texts, as_times
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.clock import Hour, Weekday
from ctr_retrain.models.feature_kinds.fingerprints import fingerprints
from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.features import table_layout
from ctr_retrain.models.features.encoder import FeatureEncoder, encode
from ctr_retrain.models.features.standardize import NumericState, fit_numeric_state
from ctr_retrain.models.features.table_layout import field_offsets, raw_columns
from tests.support.known_values import fitted, of_rows

USER = of_rows(Categorical(name="user"), 1000)
CITY = of_rows(Categorical(name="city", column="town"), 10)
HOUR = Hour(name="hour")
WEEKDAY = Weekday(name="weekday")
AGE = Numeric(name="age", encoding="standardized")
BID = Numeric(name="bid", transform="log", encoding="standardized")
ALL = (USER, AGE, CITY, HOUR, BID, WEEKDAY)

# FarmHash fingerprint64 modulo 2**30 - 1, as TensorFlow 2.21 gave it. Other libraries differ at multiples of 64 bytes.
GOLDEN = {
    b"a": 66355077,
    b"b" * 64: 663505458,
    b"c" * 127: 1026369377,
    b"d" * 128: 802121135,
    b"e" * 192: 808909926,
    b"a\0b": 714029501,
    b"a\0": 304161887,
    "naïve 日本".encode(): 1055629719,
}


def in_graph(table, features):
    """The served graph's ids and numbers of a table."""
    casts = {"string": as_texts, "float32": as_numbers, "int64": as_times}
    columns = {}
    for name, dtype in raw_columns(features).items():
        column = table[name].combine_chunks() if name in table.column_names else pa.nulls(len(table))
        columns[name] = tf.constant(casts[dtype](column, name))
    return FeatureEncoder(features)(columns)


def test_a_text_has_its_golden_fingerprint_and_row_offline_and_in_the_graph():
    found = fingerprints(tf.constant(list(GOLDEN))).numpy()
    assert (found.astype(np.uint64) % (2**30 - 1)).tolist() == list(GOLDEN.values())
    assert fingerprints(tf.constant([b""])).numpy().astype(np.uint64) == 0x9AE16A3B2F90404F
    table = pa.table({"user": pa.array(list(GOLDEN), pa.binary())})
    features = (USER.knowing(found[:-1]),)
    rows = [2 + sorted(found[:-1]).index(value) for value in found[:-1]] + [1]
    assert encode(table, features).ids[:, 0].tolist() == rows
    assert in_graph(table, features)["ids"].numpy()[:, 0].tolist() == rows


def test_missing_empty_and_absent_values_all_take_the_fields_first_row():
    table = pa.table({"user": pa.array(["x", None, ""]), "ts": pa.array([0, None, None], pa.timestamp("us", "UTC"))})
    ids = encode(table, ALL).ids
    assert field_offsets(ALL) == (0, 1000, 1010, 1035, 1043)  # user, city, hour of 25 rows, weekday of 8
    assert ids[0, 0] > 0
    assert ids[1:].tolist() == [[0, 1000, 1010, 1035]] * 2
    assert ids[0, 1] == 1000  # the table has no town
    assert np.array_equal(in_graph(table, ALL)["ids"].numpy(), ids)


def test_text_types_and_dictionaries_are_encoded_alike():
    texts = ["x", None, "日本", "", "x"]
    features = fitted(pa.table({"user": texts}), (USER,))
    plain = encode(pa.table({"user": pa.array(texts)}), features).ids
    assert set(plain[:, 0].tolist()) == {0, 2, 3}
    for dtype in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        assert np.array_equal(encode(pa.table({"user": pa.array(texts, dtype)}), features).ids, plain)
    chunks = [pa.chunked_array([pa.array(part).dictionary_encode() for part in (texts[:3], texts[3:])])]
    assert np.array_equal(encode(pa.table(chunks, ["user"]), features).ids, plain)


def test_numbers_as_texts_are_what_ingest_writes():
    assert as_texts(pa.array([1.0, 0.1, 1e15, 1e18, None, float("nan")]), "user").tolist() == [
        b"1",
        b"0.1",
        b"1000000000000000",
        b"1e+18",
        b"",
        b"",
    ]
    assert as_texts(pa.array([7, None]), "user").tolist() == [b"7", b""]
    assert as_texts(pa.array([True, False]), "user").tolist() == [b"true", b"false"]


def test_hour_and_weekday_are_of_the_utc_time():
    monday_evening = datetime(2026, 3, 2, 23, 59, 59, tzinfo=UTC)
    sunday = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
    berlin = datetime(2026, 3, 2, 0, 30, tzinfo=timezone(timedelta(hours=1)))  # still Sunday in UTC
    first = datetime(1971, 1, 1, 0, 0, tzinfo=UTC)  # a Friday
    table = pa.table({"ts": pa.array([monday_evening, sunday, berlin, first], pa.timestamp("us", "UTC"))})
    expected = [[1 + 23, 25 + 1 + 0], [1 + 0, 25 + 1 + 6], [1 + 23, 25 + 1 + 6], [1 + 0, 25 + 1 + 4]]
    assert encode(table, (HOUR, WEEKDAY)).ids.tolist() == expected
    assert in_graph(table, (HOUR, WEEKDAY))["ids"].numpy().tolist() == expected


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000_000])
def test_seconds_milliseconds_and_nanoseconds_are_no_times_in_microseconds(unit):
    years = [datetime(year, 6, 1, 12, tzinfo=UTC).timestamp() for year in (1972, 2026, 2200)]
    table = pa.table({"ts": pa.array([int(seconds * unit) for seconds in years])})
    missing = [[0, 25]] * 3
    assert encode(table, (HOUR, WEEKDAY)).ids.tolist() == missing
    assert in_graph(table, (HOUR, WEEKDAY))["ids"].numpy().tolist() == missing


def test_times_are_read_however_they_are_written():
    one = 3_600_000_000  # 1970-01-01 01:00 UTC in µs
    for column in (
        pa.array(["1970-01-01T01:00:00Z", " "]),
        pa.array(["1970-01-01 01:00:00", None]),
        pa.array(["1970-01-01T02:00:00+01:00", ""]),
        pa.array([one, None]),
        pa.array([3600, None], pa.timestamp("s", "Europe/Berlin")),
        pa.array([one * 1000, None], pa.timestamp("ns")),
    ):
        assert as_times(column, "ts").tolist() == [one, MISSING_TIME]
    assert as_times(pa.array([date(1970, 1, 2)]), "ts").tolist() == [24 * one]


def test_numbers_are_read_however_they_are_written():
    expected = np.array([1.5, np.nan, -2], np.float32)
    for column in (
        pa.array([1.5, None, -2]),
        pa.array(["1.5", "", "-2"]),
        pa.array([" 1.5", None, "-2 "], pa.string_view()),
        pa.array([1.5, float("nan"), -2], pa.float32()),
        pa.array([1.5, float("inf"), -2]),  # ingest takes an infinite number for a missing one
    ):
        assert np.array_equal(as_numbers(column, "age"), expected, equal_nan=True)
    assert as_numbers(pa.array([True, None, False]), "age").tolist()[::2] == [1, 0]


@pytest.mark.parametrize(
    ("column", "feature", "words"),
    [
        (pa.array(["ten"]), AGE, "column 'age': expected numbers, received string"),
        (pa.array([0], pa.timestamp("us")), AGE, "column 'age': expected numbers, received timestamp"),
        (pa.array(["yesterday"]), HOUR, "column 'ts': expected ISO 8601 times"),
        (pa.array([1.5]), HOUR, "column 'ts': expected times, received double"),
        (pa.array([[1]]), USER, "column 'user': expected single values, received list"),
    ],
)
def test_a_column_of_a_wrong_type_is_refused_by_name(column, feature, words):
    with pytest.raises(DataRejectedError, match=words):
        encode(pa.table({feature.sources[0]: column}), (feature,))


def test_offline_and_graph_agree_on_awkward_rows():
    table = pa.table(
        {
            "user": ["u1", None, "", "u\0", "x" * 128, "日本"],
            "town": pa.array([1.0, 2.5, None, float("nan"), 1e300, -0.0]),
            "age": [1, None, 0, -5, 2**40, 7],
            "bid": ["0.1", "", None, "1e300", "-1e-30", "nan"],
            "ts": pa.array([0, None, -1, 10**15, 1_772_409_600_000_000, 3_599_999_999]),
            "unknown": [1, 2, 3, 4, 5, 6],
        }
    )
    features = fitted(table.slice(0, 4), ALL)
    offline, graph = encode(table, features), in_graph(table, features)
    assert offline.ids.dtype == graph["ids"].numpy().dtype == np.int32
    assert np.array_equal(offline.ids, graph["ids"].numpy())
    assert np.array_equal(offline.numeric, graph["numeric"].numpy(), equal_nan=True)
    assert np.isnan(offline.numeric[3, 1])  # 1e300 is no number that float32 holds


def test_tables_without_rows_and_recipes_without_ids_or_numbers_are_encoded():
    empty = encode(pa.table({"user": pa.array([], pa.string())}), ALL)
    assert (empty.ids.shape, empty.numeric.shape) == ((0, 4), (0, 2))
    table = pa.table({"age": [1.0, 2.0], "user": ["a", "b"]})
    assert encode(table, (AGE,)).ids.shape == in_graph(table, (AGE,))["ids"].shape == (2, 0)
    assert encode(table, (USER,)).numeric.shape == in_graph(table, (USER,))["numeric"].shape == (2, 0)


def test_a_column_can_serve_two_features_of_one_type_only():
    assert raw_columns((HOUR, WEEKDAY, USER)) == {"ts": "int64", "user": "string"}
    with pytest.raises(UsageError, match="expected one kind a column, received two for column 'ts'"):
        raw_columns((HOUR, Categorical(name="t", column="ts")))


def test_a_table_longer_than_an_int32_can_name_is_refused(monkeypatch):
    monkeypatch.setattr(table_layout, "ROWS_LIMIT", 1009)
    with pytest.raises(UsageError, match=r"expected at most 1009 embedding rows in all, received 1010\. Set buckets"):
        field_offsets((USER, CITY))


def test_numeric_state_is_mean_and_deviation_after_the_transform():
    e = np.e
    raw = np.array([[1, e - 1], [2, 1 - e], [6, np.nan], [np.nan, np.inf]], np.float32)  # log: 1, -1, left out
    state = fit_numeric_state([raw], (AGE, BID))
    assert state.log == (False, True)
    assert state.mean == pytest.approx((3, 0), abs=1e-7)
    assert state.scale == pytest.approx(((14 / 3) ** 0.5, 1))  # deviations -2, -1, 3


def test_numeric_state_does_not_depend_on_the_chunks():
    raw = np.random.default_rng(1).normal(5, 2, (1000, 2)).astype(np.float32)
    whole, parts = fit_numeric_state([raw], (AGE, BID)), fit_numeric_state(np.split(raw, [1, 17, 400]), (AGE, BID))
    assert parts.mean == pytest.approx(whole.mean, rel=1e-12)
    assert parts.scale == pytest.approx(whole.scale, rel=1e-12)


def test_constants_and_absent_numbers_get_scale_1_and_small_units_do_not():
    raw = np.array([[0.1, np.nan], [0.1, np.nan]], np.float32)
    assert fit_numeric_state([raw], (AGE, AGE)).scale == (1, 1)
    assert fit_numeric_state([raw], (AGE, AGE)).mean[1] == 0
    tiny = np.array([[1e-9], [3e-9]], np.float32)
    assert fit_numeric_state([tiny], (AGE,)).scale == pytest.approx((1e-9,), rel=1e-6)
    assert fit_numeric_state([], (AGE,)) == NumericState((False,), (0,), (1,), bounds=((0, 0),), knots=((),))


def test_encoder_comes_back_from_its_configuration():
    encoder = FeatureEncoder(ALL)
    assert FeatureEncoder.from_config(encoder.get_config()).features == ALL
